"""Unused Stars of an order leave the wallet; a job is queued that asks Stripe for the refund."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.queue import enqueue
from payouts.amounts import charge_step
from payouts.clock import money_now
from payouts.gateway_models import RefundState, StarOrder, StarRefund
from payouts.lot_returns import NothingUnused, request_return
from payouts.models import StarLot

REFUND_JOB: Final = "payouts.refund"


async def give_back(
    session: AsyncSession, order: StarOrder, *, though_frozen: bool = False, ask_stripe: bool = True
) -> StarRefund:
    """All unused Stars of a paid order, in the caller's transaction.

    `though_frozen`: even while other payments of the same buyer are disputed. Without `ask_stripe`
    no job is queued: the money has gone back another way. Raises NothingUnused, WalletFrozen.
    """
    assert order.lot_id is not None  # noqa: S101 - what is paid has one
    now = await money_now(session)
    made = await request_return(
        session,
        platform_id=order.platform_id,
        user_id=order.user_id,
        lot_id=order.lot_id,
        at=now,
        though_frozen=though_frozen,
    )
    lot = await session.get_one(StarLot, order.lot_id)
    amount_minor = in_currency_of(order, lot, made.cash_minor + made.tax_minor)
    if amount_minor == 0:
        raise NothingUnused("What is left of this purchase is less than can be paid back.")
    refund = StarRefund(
        id=made.id,
        order_id=order.id,
        stars=made.stars,
        amount_minor=amount_minor,
        state=RefundState.OPEN,
        created_at=now,
    )
    session.add(refund)
    await session.flush()
    if ask_stripe:
        await enqueue_refund(session, refund.id)
    return refund


async def enqueue_refund(session: AsyncSession, refund_id: UUID) -> None:
    payload = {"refund_id": str(refund_id)}
    await enqueue(session, REFUND_JOB, payload, dedupe_key=str(refund_id))


def in_currency_of(order: StarOrder, lot: StarLot, back_minor: int) -> int:
    """What the buyer gets back, in minor units of the order's currency, for `back_minor` (of the
    settlement currency, with tax) of what the lot holds; rounded down to what Stripe can refund."""
    back = order.price_minor * back_minor // (lot.cash_minor + lot.tax_minor)
    return back - back % charge_step(order.currency)
