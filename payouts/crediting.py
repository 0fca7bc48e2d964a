"""Turns a paid charge into Stars, once, whether a webhook or reconciliation tells of it first."""

import logging
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.webhooks.service import emit
from payouts.alerts import set_aside
from payouts.cashier import Cashier
from payouts.creators import has_left
from payouts.gateway_models import OrderState, StarOrder
from payouts.orders import find_order, note_checkout, note_decline
from payouts.postings import BalanceTransaction
from payouts.purchases import book_purchase
from payouts.refund_requests import give_back
from payouts.stripe_objects import Charge

log = logging.getLogger(__name__)

ORDER_PAID = "order.paid"


async def settle_checkout(cashier: Cashier, checkout_id: str) -> None:
    """Updates the order of a Checkout Session to what Stripe says of the session now."""
    found = await cashier.gateway.checkout(checkout_id)
    async with cashier.database.transaction() as session:
        order = await find_order(session, found.order, lock=True)
        if order is None:
            await set_aside(session, "foreign_checkout", found.id)
            return
        await note_checkout(session, order, found)
    if found.payment_intent is not None:
        await settle_intent(cashier, found.payment_intent)


async def settle_intent(cashier: Cashier, intent_id: str) -> None:
    """Credits the charge of a PaymentIntent, or notes why its last attempt was declined."""
    found = await cashier.gateway.payment_intent(intent_id)
    if found.status == "requires_payment_method" and found.failure_code is not None:
        async with cashier.database.transaction() as session:
            await note_decline(session, found.metadata.get("order"), found.failure_code)
    if found.latest_charge is not None:
        await settle_charge(cashier, found.latest_charge)


async def settle_charge(cashier: Cashier, charge_id: str) -> UUID | None:
    """Credits the order that the charge pays; returns its id, or None if nothing is to be credited.

    A charge that we can't explain is set aside for an operator.
    """
    charge = await cashier.gateway.charge(charge_id)
    currency = cashier.settings.settlement_currency
    if charge.status != "succeeded" or charge.movement is None:
        return None
    async with cashier.database.transaction() as session:
        order = await find_order(session, charge.metadata.get("order"), lock=True)
        if (why := _unexplained(order, charge, currency)) is not None:
            owner = order.platform_id if order is not None else None
            await set_aside(session, why, charge.id, platform_id=owner)
            return None
        assert order is not None  # noqa: S101 - it would be unexplained
        await _credit(session, order, charge, charge.movement)
        return order.id


def _unexplained(order: StarOrder | None, charge: Charge, currency: str) -> str | None:
    """Why the charge cannot be credited, if so.

    Stripe must have settled it in the books' `currency`: the cash of a lot is spent as such.
    """
    if order is None:
        return "foreign_charge"
    if order.charge not in (None, charge.id):
        return "second_charge"
    if (charge.amount_minor, charge.currency) != (order.price_minor, order.currency):
        return "charge_of_another_amount"
    if charge.movement is not None and charge.movement.currency != currency:
        return "settled_in_another_currency"
    return None


async def _credit(
    session: AsyncSession, order: StarOrder, charge: Charge, movement: BalanceTransaction
) -> None:
    booked = await book_purchase(
        session,
        platform_id=order.platform_id,
        user_id=order.user_id,
        key=purchase_key(order.id),
        stars=order.stars,
        charge=movement,
        tax_minor=in_settlement(order.tax_minor, order, movement.amount_minor),
        charged_in=order.currency,
    )
    order.receipt_url, order.paid_with = charge.receipt_url, charge.paid_with
    if not booked.new:
        return
    order.state, order.failure_code, order.checkout_url = OrderState.PAID, None, None
    order.charge, order.payment_intent = charge.id, charge.payment_intent
    order.lot_id, order.paid_at = booked.transaction_id, movement.at
    data = {"order_id": str(order.id), "user_id": str(order.user_id), "stars": order.stars}
    await emit(session, platform_id=order.platform_id, kind=ORDER_PAID, data=data)
    log.info("order %s paid: %d Stars", order.id, order.stars)
    if await has_left(session, platform_id=order.platform_id, user_id=order.user_id):
        await give_back(session, order, though_frozen=True)


def purchase_key(order_id: UUID) -> str:
    """The key of an order's posting in the ledger."""
    return f"purchase:{order_id}"


def in_settlement(minor: int, order: StarOrder, settled_minor: int) -> int:
    """A part of the order's price (`minor`, in its currency) as the same part of `settled_minor`,
    what the whole price was settled to; rounded up."""
    return -(-settled_minor * minor // order.price_minor)
