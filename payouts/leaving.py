"""Creators who leave: what is theirs is paid when it has matured, or waits for them, and is never
income; what they owe is our loss. Who they were is forgotten at once.
"""

import logging
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.leaving import pseudonymize
from payouts.cashier import Cashier
from payouts.clock import money_now
from payouts.creators import creator_left, earnings, lock_creators
from payouts.gateway_models import ConnectedAccount
from payouts.models import Creator

log = logging.getLogger(__name__)


async def leave(session: AsyncSession, creator: Creator) -> None:
    """From now on sweeps pay them below the minimum too. Repeated, nothing."""
    creator.leaving_at = creator.leaving_at or datetime.now(UTC)
    await pseudonymize(session, creator.user_id)


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
    if found.matured_minor > 0 and creator.deleted_at is None and await _payable(session, creator):
        return False  # the next sweep pays it
    booked = await creator_left(session, **owner, currency=currency, at=now)
    if booked is not None:
        log.info("creator %s has left, %d unclaimed", creator.user_id, found.matured_minor)
    return booked is not None


async def _payable(session: AsyncSession, creator: Creator) -> bool:
    account = sa.exists().where(
        ConnectedAccount.platform_id == creator.platform_id,
        ConnectedAccount.user_id == creator.user_id,
        ConnectedAccount.transfers_active,
    )
    return bool(await session.scalar(sa.select(account)))
