"""A tip: Stars from a listener to those on stage, pinned to what was being heard.

Ledger, tip, goal and event are one transaction, which many tips share. Locks are taken in one
order: wallets, goals, rooms; the last two are shared by all tips of a room, so nothing slow comes
after them.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.auth.rights import require_user
from core.db import raw_connection
from core.errors import Conflict, Forbidden, Problem
from payouts import limits
from payouts.ledger import PARAMETERS, array_text
from payouts.limits import Caps, SpendingLimitReached
from payouts.postings import Pin, Terms
from payouts.spending import Spending, StarsMissing, Tip, WalletFrozen
from payouts.tiers import message_for, tier_of
from payouts.tip_models import RoomTip
from payouts.tip_place import earning, landed
from replay.recordings import NotRecorded
from replay.seconds import room_ms_at
from rooms.access import Action
from rooms.models import Room, RoomState
from rooms.moments import Course, courses_from
from rooms.queries import room_for


class TipDiffers(Conflict):
    code = "tip_differs"
    title = "Another tip was sent with this key: send a new one"


class TipToOneself(Forbidden):
    code = "tip_to_oneself"
    title = "Nobody but yourself would earn by this tip"


class NobodyToPay(Conflict):
    code = "nobody_to_pay"
    title = "Those who were on stage at that moment have left Encore: nobody would be paid"


@dataclass(frozen=True, slots=True)
class TipWish:
    """What somebody asks for: `client_key` is theirs, once for each tip that they mean.

    Of the place in the room at most one is given: without, it is now, or the end.
    """

    client_key: str
    stars: int
    message: str = ""
    anonymous: bool = False
    heard_at: datetime | None = None
    """The EXT-X-PROGRAM-DATE-TIME of what was being heard."""

    media_ms: int | None = None
    """The position in the recording's media."""

    def digest(self, room_id: UUID) -> bytes:
        heard_at = self.heard_at and self.heard_at.astimezone(UTC).isoformat()
        asked = f"{room_id} {self.stars} {self.anonymous} {heard_at} {self.media_ms} {self.message}"
        return hashlib.sha256(asked.encode()).digest()


@dataclass(frozen=True, slots=True)
class Asked:
    """A tip of somebody who may tip this room, before anything is locked for it."""

    payer_id: UUID
    name: str
    platform_id: UUID
    room_id: UUID
    host_id: UUID
    live: bool
    wish: TipWish
    message: str | None
    wanted_ms: float | None
    """On the room's clock; None: now, or its end."""

    @classmethod
    def of(
        cls,
        principal: Principal,
        room: Room,
        wish: TipWish,
        *,
        message: str | None = None,
        wanted_ms: float | None = None,
    ) -> Self:
        """Raises Unauthenticated, AccountNeeded."""
        return cls(
            payer_id=require_user(principal),
            name=principal.display_name,
            platform_id=room.platform_id,
            room_id=room.id,
            host_id=room.host_id,
            live=room.state is RoomState.LIVE,
            wish=wish,
            message=message,
            wanted_ms=wanted_ms,
        )

    @property
    def key(self) -> str:
        return f"tip:{self.payer_id}:{self.wish.client_key}"

    @property
    def digest(self) -> bytes:
        return self.wish.digest(self.room_id)


@dataclass(slots=True)
class Sent:
    """A tip as it was written: a `RoomTip` that no session knows."""

    id: UUID
    platform_id: UUID
    room_id: UUID
    payer_id: UUID
    goal_id: UUID | None
    stars: int
    message: str | None
    anonymous: bool
    live: bool
    room_ms: int
    at: datetime
    wish_sha256: bytes
    payer_stars: int
    thanked_at: datetime | None = None
    hidden_at: datetime | None = None

    @property
    def row(self) -> RoomTip:
        return RoomTip(**asdict(self))


async def ask_tip(
    session: AsyncSession, *, principal: Principal, room_id: UUID, wish: TipWish
) -> Asked:
    """Raises Unauthenticated, AccountNeeded, what access raises, MessageTooLong, NotRecorded."""
    require_user(principal)
    room, _ = await room_for(session, principal, room_id, Action.TIP)
    message = message_for(wish.stars, wish.message)
    wanted_ms = await _wanted_ms(session, room, wish)
    return Asked.of(principal, room, wish, message=message, wanted_ms=wanted_ms)


async def _wanted_ms(session: AsyncSession, room: Room, wish: TipWish) -> float | None:
    if wish.media_ms is not None:
        heard = await room_ms_at(session, room.recording_id, media_ms=wish.media_ms)
        if heard is None:
            raise NotRecorded("There is nothing recorded to tip at: send `heard_at`, or neither.")
        return heard
    if wish.heard_at is not None and room.live_at is not None:
        return (wish.heard_at - room.live_at) / timedelta(milliseconds=1)
    return None


async def send_tip(
    session: AsyncSession,
    *,
    principal: Principal,
    room_id: UUID,
    wish: TipWish,
    terms: Terms,
    caps: Caps,
) -> RoomTip:
    """In a transaction of one's own: commit soon after it. Raises what `ask_tip` raises and what
    `send_tips` answers."""
    asked = await ask_tip(session, principal=principal, room_id=room_id, wish=wish)
    [sent] = await send_tips(await raw_connection(session), [asked], terms=terms, caps=caps)
    if isinstance(sent, Problem):
        raise sent
    await session.refresh(await session.get_one(Room, room_id))
    return await session.get_one(RoomTip, sent.id)


async def send_tips(
    raw: asyncpg.Connection, asked: Sequence[Asked], *, terms: Terms, caps: Caps
) -> list[Sent | Problem]:
    """Tips of one platform, each as if it were alone, in their order: one that is refused leaves
    the others be. Once for each client key; sent again it is the same tip, whatever has changed
    since.

    Refusals: TipToOneself, NobodyToPay, TipDiffers, StarsMissing, WalletFrozen,
    SpendingLimitReached.
    """
    sending = _Sending(Spending(asked[0].platform_id, terms), caps, datetime.now(UTC))
    sent = await sending.send(raw, asked, locked=True)
    assert sent is not None  # noqa: S101 - nobody else changes a wallet that is locked
    return sent


async def try_tips(
    raw: asyncpg.Connection, asked: Sequence[Asked], *, terms: Terms, caps: Caps
) -> list[Sent | Problem] | None:
    """As `send_tips`, outside of a transaction: nothing is locked while Python decides, and all is
    written by one statement. None, and nothing written, where one of the wallets has changed in
    between."""
    sending = _Sending(Spending(asked[0].platform_id, terms), caps, datetime.now(UTC))
    return await sending.send(raw, asked, locked=False)


class _Sending:
    """One batch: what is known of it, and what was decided."""

    def __init__(self, spending: Spending, caps: Caps, now: datetime) -> None:
        self._spending, self._caps, self._now = spending, caps, now
        self._courses: dict[UUID, Course] = {}
        self._spent: dict[UUID, limits.Spending] = {}
        self._tips: dict[UUID, Sent] = {}
        self._new: list[tuple[Asked, Sent]] = []

    async def send(
        self, raw: asyncpg.Connection, asked: Sequence[Asked], *, locked: bool
    ) -> list[Sent | Problem] | None:
        await self._read(raw, asked, locked=locked)
        sent = [self._decide(one) for one in asked]
        return sent if await self._write(raw, locked=locked) else None

    async def _read(self, raw: asyncpg.Connection, asked: Sequence[Asked], *, locked: bool) -> None:
        payers = {one.payer_id for one in asked}
        keys, rooms = [one.key for one in asked], {one.room_id for one in asked}
        since = limits.since(self._now)
        platform_id = self._spending.platform_id
        found = await raw.fetchrow(
            _OPEN, platform_id, keys, array_text(payers), array_text(rooms), *since, locked
        )
        wallets, ahead, spent, courses = found
        self._now += ahead
        self._spending.opened(payers, wallets or ())
        self._spent = limits.spendings(spent)
        self._courses = courses_from(courses)
        if former := list(self._spending.booked.values()):
            rows = await raw.fetch("select * from room_tip where id = any($1::uuid[])", former)
            self._tips = {row["id"]: Sent(**dict(row)) for row in rows}

    def _decide(self, one: Asked) -> Sent | Problem:
        former = self._spending.booked.get(one.key)
        if former is not None:
            tip = self._tips[former]
            return tip if tip.wish_sha256 == one.digest else TipDiffers()
        try:
            return self._new_tip(one)
        except _REFUSALS as refused:
            return refused

    def _new_tip(self, one: Asked) -> Sent:
        payer_id, stars, course = one.payer_id, one.wish.stars, self._courses[one.room_id]
        room_ms = landed(course, course.now_ms if one.wanted_ms is None else one.wanted_ms)
        shares = earning(course, room_ms, host=one.host_id, payer=payer_id)
        if not shares:
            raise NobodyToPay if one.host_id in course.gone else TipToOneself
        spent = self._spent[payer_id]
        limits.check(spent, stars, self._caps)
        at = max(self._now, spent.latest or self._now)  # clocks of processes may differ
        pin = Pin(one.room_id, room_ms)
        booked = self._spending.tip(Tip(payer_id, one.key, stars, shares, pin, at))
        spent = self._spent[payer_id] = spent.after(stars, at)
        tip = Sent(
            id=booked.transaction_id,
            platform_id=one.platform_id,
            room_id=one.room_id,
            payer_id=payer_id,
            goal_id=None,
            stars=stars,
            message=one.message,
            anonymous=one.wish.anonymous,
            live=one.live,
            room_ms=room_ms,
            at=at,
            wish_sha256=one.digest,
            payer_stars=spent.ever_stars,
        )
        self._tips[tip.id] = tip
        self._new.append((one, tip))
        return tip

    async def _write(self, raw: asyncpg.Connection, *, locked: bool) -> bool:
        """Whether the wallets are as they were read."""
        if not self._new:
            return True
        payers = () if locked else {tip.payer_id for _, tip in self._new}
        versions = self._spending.versions(payers)
        expected = [array_text(each) for each in versions]
        columns = [*self._spending.columns, *_columns(self._new), *expected]
        landed = await raw.fetch(_LAND, *columns)
        if landed and landed[0]["room_id"] is None:
            return False
        goals = {row["room_id"]: row["goal_id"] for row in landed}
        for _, tip in self._new:
            tip.goal_id = goals.get(tip.room_id)
        return True


_REFUSALS = (TipToOneself, NobodyToPay, StarsMissing, WalletFrozen, SpendingLimitReached)

# All three read what is there once the wallets are locked: the last two take arguments from the
# first, and a function sees what was committed while it waited. Tips are dated by the clock of the
# money (payouts/clock.py), as what follows them.
_OPEN = """
with opened as materialized (
    select array_agg(w) as wallets, $3::text::uuid[] as payers, $4::text::uuid[] as rooms,
        coalesce((select clock_ahead from stripe_books), interval '0') as ahead
    from star_wallets($1, $3::text::text[], $2, $7) w
)
select o.wallets, o.ahead,
    (select array_agg(s) from tip_spending(
        o.payers, $5::timestamptz + o.ahead, $6::timestamptz + o.ahead
    ) s),
    (select array_agg(c) from room_courses(o.rooms) c)
from opened o
"""
_LAND = (
    f"select * from land_tips({PARAMETERS}, "  # noqa: S608 - constants
    "$22::text::uuid[], $23::text::int[], $24, $25::text::boolean[], $26::text::boolean[], $27, "
    "$28::text::bigint[], $29, $30::text::bigint[], $31::text::bigint[])"
)


def _columns(new: Sequence[tuple[Asked, Sent]]) -> list[Sequence[object]]:
    """Of `land_tips` (payouts/tip_sql.py), behind those of the ledger."""
    return [
        array_text(tip.payer_id for _, tip in new),
        array_text(tip.stars for _, tip in new),
        [tip.message for _, tip in new],
        array_text(tip.anonymous for _, tip in new),
        array_text(tip.live for _, tip in new),
        [tip.wish_sha256 for _, tip in new],
        array_text(tip.payer_stars for _, tip in new),
        [json.dumps(told(tip, one.name)) for one, tip in new],
    ]


def told(tip: Sent, name: str) -> dict[str, Any]:
    """As the room's events say it, but for its goal: of who is anonymous nothing."""
    tier = tier_of(tip.stars)
    return {
        "tip_id": str(tip.id),
        "stars": tip.stars,
        "message": tip.message,
        "anonymous": tip.anonymous,
        "user_id": None if tip.anonymous else str(tip.payer_id),
        "name": None if tip.anonymous else name,
        "tier": {"name": tier.name, "color": tier.color, "seconds": tier.seconds},
        "live": tip.live,
    }
