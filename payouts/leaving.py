"""Those who leave: what is theirs is paid when it has matured, or waits for them, and is never
income; what they owe is our loss. Who they were is forgotten at once.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.leaving import pseudonymize
from core.errors import Conflict
from core.queue import enqueue
from payouts.amounts import decimal, stars_said
from payouts.cashier import Cashier
from payouts.clock import money_now
from payouts.creators import creator_left, earnings, lock_creators
from payouts.earned import Earner
from payouts.gateway_models import ConnectedAccount
from payouts.models import Creator
from payouts.orders import expire_pages
from payouts.tip_models import RoomTip
from payouts.wallets import holdings_of
from rooms.events import tell_gone
from rooms.leaving import call_off, forget_names, hand_on_groups
from rooms.models import Participant, Room, RoomState
from rooms.queries import standing_on_stage

log = logging.getLogger(__name__)

LEFT_JOB: Final = "person.left"
"""For what was made later than rooms: `user_id` has left."""


class StillLive(Conflict):
    code = "still_live"
    title = "You are on the stage of a live room"


class SomethingLeft(Conflict):
    code = "something_left"
    title = "Something of yours would be lost"


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """What somebody would lose who left now."""

    stars: int
    """Unused ones."""

    unpaid_minor: int
    """Earned, without an account that it could be transferred to."""

    def __bool__(self) -> bool:
        return bool(self.stars or self.unpaid_minor)


async def left_behind(session: AsyncSession, earner: Earner) -> LeftBehind:
    platform_id, user_id = earner.platform_id, earner.creator_id
    wallet = await holdings_of(session, platform_id=platform_id, user_id=user_id)
    if await _payable(session, platform_id, user_id):
        return LeftBehind(wallet.stars, 0)
    found = await earnings(
        session, platform_id=platform_id, creator_id=user_id, currency=earner.currency
    )
    unpaid = found.pending_minor + found.matured_minor + found.on_hold_minor
    return LeftBehind(wallet.stars, max(0, unpaid))


async def close_account(session: AsyncSession, earner: Earner, *, give_up: bool) -> None:
    """By its owner, for good; `give_up`: with what would be lost.

    Raises StillLive, SomethingLeft, and then nothing of it may be committed.
    """
    await _off_stage(session, earner.creator_id)
    await leave(session, platform_id=earner.platform_id, user_id=earner.creator_id)
    lost = await left_behind(session, earner)  # behind the lock on who they are: see crediting
    if lost and not give_up:
        raise _refused(lost, earner.currency)


async def _off_stage(session: AsyncSession, user_id: UUID) -> None:
    on_stage = sa.exists().where(
        Participant.room_id == Room.id, Participant.user_id == user_id, standing_on_stage()
    )
    live = sa.select(Room.host_id).where(Room.state == RoomState.LIVE)
    hosts = await session.scalars(live.where((Room.host_id == user_id) | on_stage))
    found = set(hosts)
    if user_id in found:
        raise StillLive("End your room first.")
    if found:
        raise StillLive("Leave the stage first.")


def _refused(lost: LeftBehind, currency: str) -> SomethingLeft:
    said = []
    if lost.stars:
        are, them = ("is", "it") if lost.stars == 1 else ("are", "them")
        unused = f"{stars_said(lost.stars)} {are} unused"
        said.append(f"{unused}: give {them} back or tip {them} first")
    if lost.unpaid_minor:
        amount = decimal(lost.unpaid_minor, currency)
        said.append(f"{amount} {currency} can't be paid to you: finish your onboarding first")
    return SomethingLeft(
        f"{'; '.join(said)}. Or send give_up=true.",
        stars=lost.stars,
        unpaid_minor=lost.unpaid_minor,
        currency=currency,
    )


async def leave(session: AsyncSession, *, platform_id: UUID, user_id: UUID) -> None:
    """From now on sweeps pay them below the minimum too, also what comes in later to somebody who
    has earned nothing yet. Repeated, nothing."""
    row = {"platform_id": platform_id, "user_id": user_id, "leaving_at": datetime.now(UTC)}
    left = insert(Creator).values(row)
    first = sa.func.coalesce(Creator.leaving_at, left.excluded.leaving_at)
    await session.execute(
        left.on_conflict_do_update(
            index_elements=["platform_id", "user_id"], set_={"leaving_at": first}
        )
    )
    await pseudonymize(session, user_id)
    await expire_pages(session, user_id)
    await call_off(session, user_id)
    await hand_on_groups(session, user_id)
    await forget_in_rooms(session, user_id)
    await tell_gone(session, user_id)
    await enqueue(session, LEFT_JOB, {"user_id": str(user_id)}, dedupe_key=str(user_id))


async def forget_in_rooms(session: AsyncSession, user_id: UUID) -> None:
    """Again soon after they have left: a tip that was on its way then tells who sent it."""
    tipped = sa.select(RoomTip.room_id).where(RoomTip.payer_id == user_id)
    await forget_names(session, user_id, also=tipped)


async def left_within(session: AsyncSession, lately: timedelta) -> Sequence[UUID]:
    """Who has left so lately that a request of theirs may have been under way meanwhile."""
    left = sa.select(Creator.user_id).where(Creator.leaving_at > datetime.now(UTC) - lately)
    return (await session.scalars(left.order_by(Creator.user_id))).all()


async def close_left(cashier: Cashier, *, now: datetime | None = None) -> int:
    """Closes the books of those who have left and to whom nothing is paid any more, now or later;
    returns how many had something in them. What came in since is closed anew."""
    async with cashier.database.transaction() as session:
        left = sa.select(Creator).where(Creator.leaving_at.is_not(None))
        found = (await session.scalars(left.order_by(Creator.user_id))).all()
    closed = 0
    for each in found:
        async with cashier.database.transaction() as session:
            closed += await _close(session, each, cashier.settings.settlement_currency, now)
    return closed


async def _close(
    session: AsyncSession, creator: Creator, currency: str, now: datetime | None
) -> bool:
    owner = {"platform_id": creator.platform_id, "creator_id": creator.user_id}
    now = now or await money_now(session)
    await lock_creators(session, creator.platform_id, [creator.user_id])
    found = await earnings(session, **owner, currency=currency, now=now)
    if found.pending_minor or found.on_hold_minor or found.in_transfer_minor:
        return False
    payable = await _payable(session, creator.platform_id, creator.user_id)
    if found.matured_minor > 0 and creator.deleted_at is None and payable:
        return False  # the next sweep pays it
    booked = await creator_left(session, **owner, currency=currency, at=now)
    if booked is not None:
        log.info("creator %s has left, %d unclaimed", creator.user_id, found.matured_minor)
    return booked is not None


async def _payable(session: AsyncSession, platform_id: UUID, user_id: UUID) -> bool:
    account = sa.exists().where(
        ConnectedAccount.platform_id == platform_id,
        ConnectedAccount.user_id == user_id,
        ConnectedAccount.transfers_active,
    )
    return bool(await session.scalar(sa.select(account)))
