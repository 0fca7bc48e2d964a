"""Brings disputes into the books as Stripe reports them: opened, then won or lost."""

from typing import Final

import sqlalchemy as sa

from payouts import lot_disputes
from payouts.alerts import set_aside
from payouts.cashier import Cashier
from payouts.clock import money_now
from payouts.crediting import settle_charge
from payouts.gateway_models import StarOrder
from payouts.stripe_objects import Dispute

WON: Final = "won"
LOST: Final = "lost"


async def settle_dispute(cashier: Cashier, stripe_dispute: str) -> None:
    """Books the dispute as it is at Stripe now. An inquiry moves no money, so it is not booked
    (docs.stripe.com/disputes)."""
    found = await cashier.gateway.dispute(stripe_dispute)
    if found.charge is not None:
        await settle_charge(cashier, found.charge)  # its own event may not have come yet
    await _note(cashier, found)


async def _note(cashier: Cashier, found: Dispute) -> None:
    taken = [line for line in found.movements if line.amount_minor < 0]
    returned = [line for line in found.movements if line.amount_minor > 0]
    if not taken:
        return
    async with cashier.database.transaction() as session:
        now = await money_now(session)
        paid = sa.select(StarOrder).where(StarOrder.charge == found.charge)
        order = await session.scalar(paid)
        if order is None or order.lot_id is None:
            await set_aside(session, "foreign_dispute", found.id)
            return
        platform_id = order.platform_id
        await lot_disputes.open_dispute(
            session,
            platform_id=platform_id,
            user_id=order.user_id,
            lot_id=order.lot_id,
            stripe_dispute=found.id,
            line=taken[0],
            at=now,
        )
        if found.status == WON and returned:
            await lot_disputes.dispute_won(
                session, platform_id=platform_id, stripe_dispute=found.id, line=returned[0], at=now
            )
        if found.status == LOST:
            await lot_disputes.dispute_lost(
                session, platform_id=platform_id, stripe_dispute=found.id, at=now
            )
