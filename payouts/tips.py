"""A tip: Stars from a listener to those on stage, pinned to what was being heard.

Ledger, tip, goal and event are one transaction. Locks are taken in one order: wallet, goal, room;
the last two are shared by all tips of a room, so nothing slow comes after them.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.auth.rights import require_user
from core.errors import Conflict, Forbidden
from payouts import goals, ledger, limits
from payouts.limits import Caps
from payouts.postings import Pin, Terms
from payouts.spending import Tip, book_tip
from payouts.tiers import message_for, tier_of
from payouts.tip_models import RoomTip
from payouts.tip_place import landed, shares_of
from replay.recordings import NotRecorded
from replay.seconds import room_ms_at
from rooms.access import Action
from rooms.events import TIP_SENT, record_event
from rooms.models import Room, RoomState
from rooms.moments import Course, course_of
from rooms.queries import room_for


class TipDiffers(Conflict):
    code = "tip_differs"
    title = "Another tip was sent with this key"


class TipToOneself(Forbidden):
    code = "tip_to_oneself"
    title = "Nobody but yourself would earn by this tip"


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
        asked = [str(room_id), self.stars, self.message, self.anonymous, heard_at, self.media_ms]
        return hashlib.sha256(json.dumps(asked).encode()).digest()


async def send_tip(
    session: AsyncSession,
    *,
    principal: Principal,
    room_id: UUID,
    wish: TipWish,
    terms: Terms,
    caps: Caps,
) -> RoomTip:
    """Once for each client key; sent again it is the same tip, whatever has changed since.

    Commit soon after it. Raises Unauthenticated, AccountNeeded, what access raises, MessageTooLong,
    NotRecorded, TipToOneself, TipDiffers, StarsMissing, WalletFrozen, SpendingLimitReached.
    """
    payer_id = require_user(principal)
    room, _ = await room_for(session, principal, room_id, Action.TIP)
    message, key = message_for(wish.stars, wish.message), f"tip:{payer_id}:{wish.client_key}"
    course = await course_of(session, room.id)
    room_ms = await _place(session, room, course, wish)
    shares = shares_of(course.on_stage(room_ms), host=room.host_id, payer=payer_id)
    if not shares:
        return await _sent_before(session, room, key, wish)
    now = datetime.now(UTC)
    booked = await book_tip(
        session,
        platform_id=room.platform_id,
        tip=Tip(payer_id, key, wish.stars, shares, Pin(room.id, room_ms), now),
        terms=terms,
    )
    if not booked.new:
        return await _same(session, room, booked.transaction_id, wish)
    limits.check(await limits.spending_of(session, payer_id, now=now), wish.stars, caps)
    tip = RoomTip(
        id=booked.transaction_id,
        platform_id=room.platform_id,
        room_id=room.id,
        payer_id=payer_id,
        stars=wish.stars,
        message=message,
        anonymous=wish.anonymous,
        live=room.state is RoomState.LIVE,
        room_ms=room_ms,
        at=now,
        wish_sha256=wish.digest(room.id),
    )
    await _land(session, room, tip, principal)
    return tip


async def _place(session: AsyncSession, room: Room, course: Course, wish: TipWish) -> int:
    if wish.media_ms is not None:
        heard = await room_ms_at(session, room.recording_id, media_ms=wish.media_ms)
        if heard is None:
            raise NotRecorded("There is nothing recorded to tip at: send `heard_at`, or neither.")
        return landed(course, heard)
    if wish.heard_at is not None and room.live_at is not None:
        return landed(course, (wish.heard_at - room.live_at) / timedelta(milliseconds=1))
    return landed(course, course.now_ms)


async def _sent_before(session: AsyncSession, room: Room, key: str, wish: TipWish) -> RoomTip:
    """Who would tip themselves now may have tipped others when they sent it first."""
    booked = await ledger.find(session, room.platform_id, key)
    if booked is None:
        raise TipToOneself
    return await _same(session, room, booked.id, wish)


async def _same(session: AsyncSession, room: Room, tip_id: UUID, wish: TipWish) -> RoomTip:
    tip = await session.get_one(RoomTip, tip_id)
    if tip.wish_sha256 != wish.digest(room.id):
        raise TipDiffers
    return tip


async def _land(session: AsyncSession, room: Room, tip: RoomTip, principal: Principal) -> None:
    progress = await goals.count(session, room.id, tip.stars)
    tip.goal_id = None if progress is None else progress.goal_id
    session.add(tip)
    await session.flush()
    actor_id = None if tip.anonymous else tip.payer_id
    data = {**told(tip, principal.display_name), "goal": progress and progress.told()}
    await record_event(session, room, TIP_SENT, actor_id=actor_id, room_ms=tip.room_ms, data=data)
    if progress is not None and progress.just_reached:
        await record_event(session, room, goals.GOAL_REACHED, data=progress.told())


def told(tip: RoomTip, name: str) -> dict[str, Any]:
    """As the room's events say it: of who is anonymous nothing."""
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
