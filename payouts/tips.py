"""A tip: Stars from a listener to those on stage, pinned to what was being heard.

Ledger, tip, goal and event are one transaction, which many tips share. Locks are taken in one
order: wallets, goals, rooms; the last two are shared by all tips of a room, so nothing slow comes
after them.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.auth.rights import require_user
from core.errors import Conflict, Forbidden, Problem
from payouts import limits
from payouts.accounts import Account
from payouts.ledger import PARAMETERS, array_text
from payouts.limits import Caps, SpendingLimitReached
from payouts.postings import Pin, Terms
from payouts.spending import Spending, StarsMissing, Tip, WalletFrozen
from payouts.tiers import message_for, tier_of
from payouts.tip_place import earning, landed
from payouts.tip_wishes import Asked, Sent, TipWish
from replay.recordings import NotRecorded
from replay.seconds import room_ms_at
from rooms.access import Action
from rooms.models import Room
from rooms.moments import Course, Past, courses_from
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


@dataclass(frozen=True)
class Known:
    """What a process keeps of a platform from one batch to the next: what never changes, and what
    has a version."""

    accounts: dict[Account, int] = field(default_factory=dict)
    courses: dict[UUID, Past] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.accounts) + len(self.courses)


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
    return await sending.send(raw, asked)


async def try_tips(
    raw: asyncpg.Connection,
    asked: Sequence[Asked],
    *,
    terms: Terms,
    caps: Caps,
    known: Known,
) -> Sequence[Sent | Problem] | None:
    """As `send_tips`, outside of a transaction: nothing is locked while Python decides, and all is
    written by one statement. None, and nothing written, where a wallet has changed in between, a
    key has been booked, or one would be refused.

    What the batch learned is added to `known`.
    """
    sending = _Sending(Spending(asked[0].platform_id, terms), caps, datetime.now(UTC), known)
    return await sending.try_send(raw, asked)


class _Sending:
    """One batch: what is known of it, and what was decided."""

    def __init__(
        self, spending: Spending, caps: Caps, now: datetime, known: Known | None = None
    ) -> None:
        self._spending, self._caps, self._now = spending, caps, now
        self._known = known or Known()
        self._courses: dict[UUID, Course] = {}
        self._spent: dict[UUID, limits.Spending] = {}
        self._tips: dict[UUID, Sent] = {}
        self._new: list[tuple[Asked, Sent]] = []

    async def send(self, raw: asyncpg.Connection, asked: Sequence[Asked]) -> list[Sent | Problem]:
        await self._read(raw, asked, [one.key for one in asked], locked=True)
        if former := list(self._spending.booked.values()):
            rows = await raw.fetch("select * from room_tip where id = any($1::uuid[])", former)
            self._tips = {row["id"]: Sent(**dict(row)) for row in rows}
        sent = [self._decide(one) for one in asked]
        if self._new:
            await self._write(raw, ())
        return sent

    async def try_send(
        self, raw: asyncpg.Connection, asked: Sequence[Asked]
    ) -> Sequence[Sent] | None:
        await self._read(raw, asked, (), locked=False)
        sent = [self._decide(one) for one in asked]
        tips = [one for one in sent if isinstance(one, Sent)]
        if len(tips) < len(sent):
            return None
        try:
            accounts = await self._write(raw, {tip.payer_id for tip in tips})
        except asyncpg.UniqueViolationError:
            return None
        if accounts is None:
            return None
        self._known.accounts.update(zip(self._spending.accounts, accounts, strict=True))
        return tips

    async def _read(
        self, raw: asyncpg.Connection, asked: Sequence[Asked], keys: Sequence[str], *, locked: bool
    ) -> None:
        payers, rooms = {one.payer_id for one in asked}, {one.room_id for one in asked}
        since = limits.since(self._now)
        platform_id = self._spending.platform_id
        known = self._known.courses
        pasts = {room_id: known[room_id] for room_id in rooms if room_id in known}
        found = await raw.fetchrow(
            _OPEN,
            platform_id,
            keys,
            array_text(payers),
            array_text(rooms),
            *since,
            locked,
            array_text(pasts[each].version if each in pasts else None for each in rooms),
        )
        wallets, ahead, spent, courses = found
        self._now += ahead
        self._spending.opened(payers, wallets or ())
        self._spent = limits.spendings(spent)
        self._courses = courses_from(courses, pasts)  # others may have learned more meanwhile
        known.update(pasts)

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

    async def _write(self, raw: asyncpg.Connection, payers: Iterable[UUID]) -> Sequence[int] | None:
        """The ids of the accounts; None where a wallet of these payers is not as it was read."""
        rooms, columns = _columns(self._new)
        expected = [array_text(each) for each in self._spending.versions(payers)]
        booked = self._spending.columns(self._known.accounts)
        landed = await raw.fetchrow(_LAND, *booked, *columns, *expected)
        if landed is None:
            return None
        accounts, goals = landed
        goal_of = dict(zip(rooms, goals, strict=True))
        for _, tip in self._new:
            tip.goal_id = goal_of[tip.room_id]
        return cast("Sequence[int]", accounts)


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
    (select array_agg(c) from room_courses(o.rooms, $8::text::bigint[]) c)
from opened o
"""
_LAND = (
    f"select * from land_tips({PARAMETERS}, "  # noqa: S608 - constants
    "$23::text::uuid[], $24::text::int[], $25, $26::text::boolean[], $27::text::boolean[], $28, "
    "$29::text::bigint[], $30::text::uuid[], $31, $32::text::int[], $33::text::int[], "
    "$34::text::int[], $35::text::uuid[], $36::text::int[], $37::text::bigint[], "
    "$38::text::bigint[])"
)


def _columns(new: Sequence[tuple[Asked, Sent]]) -> tuple[list[UUID], list[Sequence[object]]]:
    """The rooms of these tips in one order, and the parameters of `land_tips` (payouts/tip_sql.py)
    behind those of the ledger."""
    tips = [tip for _, tip in new]
    rooms = sorted({tip.room_id for tip in tips})
    number = {room_id: n for n, room_id in enumerate(rooms, 1)}
    nth, stars = dict.fromkeys(rooms, 0), dict.fromkeys(rooms, 0)
    places = []
    for tip in tips:
        nth[tip.room_id] += 1
        stars[tip.room_id] += tip.stars
        places.append((nth[tip.room_id], stars[tip.room_id], number[tip.room_id]))
    return rooms, [
        array_text(tip.payer_id for tip in tips),
        array_text(tip.stars for tip in tips),
        [tip.message for tip in tips],
        array_text(tip.anonymous for tip in tips),
        array_text(tip.live for tip in tips),
        [tip.wish_sha256 for tip in tips],
        array_text(tip.payer_stars for tip in tips),
        array_text(None if tip.anonymous else tip.payer_id for tip in tips),
        [json.dumps(told(tip, one.name)) for one, tip in new],
        *(array_text(each) for each in zip(*places, strict=True)),
        array_text(rooms),
        array_text(stars.values()),
    ]


def told(tip: Sent, name: str) -> dict[str, Any]:
    """As the room's events say it, before a goal: of who is anonymous nothing."""
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
        "goal": None,
    }
