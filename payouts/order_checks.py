"""Jobs of orders: asks Stripe how one stands, since a webhook may never come, and closes the
payment page of one whose buyer has left."""

import logging
from datetime import UTC, datetime, timedelta
from uuid import UUID

from payouts.cashier import Cashier
from payouts.crediting import settle_checkout
from payouts.gateway import StripeRefused
from payouts.gateway_models import OrderState, StarOrder
from payouts.orders import enqueue_check

log = logging.getLogger(__name__)


async def check_order(cashier: Cashier, order_id: UUID, waited: timedelta) -> None:
    """Settles the order as it is at Stripe; if it stays open, checks again after twice the time."""
    async with cashier.database.transaction() as session:
        order = await session.get(StarOrder, order_id)
    if order is None or order.checkout_session is None or order.state is not OrderState.OPEN:
        return
    await settle_checkout(cashier, order.checkout_session)
    async with cashier.database.transaction() as session:
        order = await session.get_one(StarOrder, order_id)
        if order.state is OrderState.OPEN and datetime.now(UTC) < order.expires_at:
            await enqueue_check(session, order_id, 2 * waited)


async def expire_checkout(cashier: Cashier, order_id: UUID) -> None:
    """Nobody can pay the order any more. What was paid before is credited, and goes back."""
    async with cashier.database.transaction() as session:
        order = await session.get(StarOrder, order_id)
    if order is None or order.checkout_session is None or order.state is not OrderState.OPEN:
        return
    try:
        await cashier.gateway.expire_checkout(order.checkout_session, key=f"{order_id}:expire")
    except StripeRefused:
        log.info("the page of order %s is not open any more", order_id)
    await settle_checkout(cashier, order.checkout_session)
