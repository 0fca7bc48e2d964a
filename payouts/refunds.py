"""Refunds of unused Stars: booked as requested, then asked of Stripe, then booked as they ended."""

import logging
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.errors import Conflict
from payouts.alerts import REFUND_UNPAID, resolve_about, set_aside
from payouts.cashier import Cashier
from payouts.clock import money_now
from payouts.creators import has_left
from payouts.crediting import settle_charge
from payouts.gateway import CALLS_END, KEYS_KEPT, NOT_MADE, OutcomeUnknown, StripeRefused
from payouts.gateway_models import OrderState, RefundState, StarOrder, StarRefund
from payouts.lot_disputes import revoke_returned
from payouts.lot_returns import NothingUnused, return_failed, return_paid, return_succeeded
from payouts.models import StarLot
from payouts.orders import OrderUnknown, order_of
from payouts.postings import BalanceTransaction
from payouts.refund_requests import enqueue_refund, give_back
from payouts.stripe_objects import Refund

log = logging.getLogger(__name__)

FAILED: Final = ("failed", "canceled")


class OrderNotPaid(Conflict):
    code = "order_not_paid"
    title = "This order has not been paid: there is nothing to give back"


async def request_refund(
    session: AsyncSession, *, principal: Principal, order_id: UUID
) -> StarRefund:
    """All unused Stars of the caller's order leave the wallet; a job asks Stripe for the refund.

    While a refund of the order is under way, that one is returned. Raises Unauthenticated,
    AccountNeeded, OrderUnknown, OrderNotPaid, NothingUnused, WalletFrozen.
    """
    await order_of(session, principal, order_id)
    order = await session.get_one(StarOrder, order_id, with_for_update=True, populate_existing=True)
    if order.state is not OrderState.PAID or order.lot_id is None:
        raise OrderNotPaid
    if (under_way := await _open_refund(session, order_id)) is not None:
        return under_way
    return await give_back(session, order)


async def refund_again(
    session: AsyncSession, name: str, *, paid_by_hand: bool = False
) -> tuple[StarRefund, StarOrder]:
    """An operator's refund of all unused Stars of an order.

    `name` is the id of the order, of its charge or of one of its refunds. With `paid_by_hand` our
    bank has paid already, and Stripe is not asked. Exceptions about earlier refunds of the order
    are resolved. Raises OrderUnknown, OrderNotPaid, NothingUnused, WalletFrozen.
    """
    order = await _named(session, name)
    if order.state is not OrderState.PAID or order.lot_id is None:
        raise OrderNotPaid
    if await _open_refund(session, order.id) is not None:
        raise NothingUnused("A refund of this order is under way: see how it ends.")
    refund = await give_back(session, order, though_frozen=True, ask_stripe=not paid_by_hand)
    if paid_by_hand:
        await return_paid(session, return_id=refund.id, at=await money_now(session))
        await _ended(session, refund.id, RefundState.SUCCEEDED, None)
    earlier = sa.select(StarRefund).where(StarRefund.order_id == order.id)
    for each in await session.scalars(earlier):
        names = (each.stripe_refund or "", str(each.id))
        await resolve_about(session, names, REFUND_UNPAID, because=f"refund {refund.id}")
    return refund, order


async def _named(session: AsyncSession, name: str) -> StarOrder:
    """Locked. Raises OrderUnknown."""
    row_id = sa.cast(StarOrder.id, sa.Text)
    refunds = sa.select(StarRefund.order_id).where(
        sa.or_(StarRefund.stripe_refund == name, sa.cast(StarRefund.id, sa.Text) == name)
    )
    which = sa.or_(row_id == name, StarOrder.charge == name, StarOrder.id.in_(refunds))
    found = await session.scalar(sa.select(StarOrder).where(which).with_for_update())
    if found is None:
        raise OrderUnknown(f"There is no order, charge or refund {name!r}.")
    return found


async def enqueue_open_refunds(session: AsyncSession) -> int:
    """Queues a job for each open refund that has none, such as one whose job was given up.

    Returns how many refunds are open.
    """
    under_way = sa.select(StarRefund.id).where(StarRefund.state == RefundState.OPEN)
    found = (await session.scalars(under_way)).all()
    for refund_id in found:
        await enqueue_refund(session, refund_id)
    return len(found)


async def _open_refund(session: AsyncSession, order_id: UUID) -> StarRefund | None:
    mine = sa.select(StarRefund).where(
        StarRefund.order_id == order_id, StarRefund.state == RefundState.OPEN
    )
    return await session.scalar(mine)


async def send_refund(cashier: Cashier, refund_id: UUID, *, now: datetime | None = None) -> None:
    """Has Stripe make an open refund, and books how that ended.

    As with transfers (payouts/sweep.py), a call is repeated with the same key while Stripe keeps
    it; later the charge's refunds are listed. Raises Unavailable: try again later.
    """
    async with cashier.database.transaction() as session:
        refund = await session.get_one(StarRefund, refund_id)
        order = await session.get_one(StarOrder, refund.order_id)
        now = now or await money_now(session)
    if refund.state is not RefundState.OPEN or order.charge is None:
        return
    age = now - refund.created_at
    if refund.stripe_refund is not None:
        await settle_refund(cashier, refund.stripe_refund)
    elif age > KEYS_KEPT:
        over = age > KEYS_KEPT + CALLS_END
        if not await _adopt(cashier, refund, order.charge, or_close=over):
            raise OutcomeUnknown
    else:
        await _ask(cashier, refund, order.charge)


async def _ask(cashier: Cashier, refund: StarRefund, charge: str) -> None:
    """Repeated with the same key for as long as the outcome is unknown."""
    try:
        found = await cashier.gateway.refund(
            key=str(refund.id),
            charge=charge,
            amount_minor=refund.amount_minor,
            metadata={"refund": str(refund.id), "order": str(refund.order_id)},
        )
    except StripeRefused as refused:
        await _refused(cashier, refund.id, refused.stripe_code)
    except OutcomeUnknown:
        if not await _adopt(cashier, refund, charge, or_close=False):
            raise
    else:
        await _note(cashier, found)


async def _adopt(cashier: Cashier, refund: StarRefund, charge: str, *, or_close: bool) -> bool:
    """Books the refund that Stripe has made for ours, if there is one.

    `or_close`: otherwise ours has failed. Returns whether it is settled now.
    """
    for found in await cashier.gateway.refunds_of(charge):
        if found.metadata.get("refund") == str(refund.id):
            await _note(cashier, found)
            return True
    if or_close:
        await _refused(cashier, refund.id, NOT_MADE)
    return or_close


async def _refused(cashier: Cashier, refund_id: UUID, error_code: str) -> None:
    """It was certainly not made: the Stars are in the wallet again."""
    async with cashier.database.transaction() as session:
        await _failed(session, refund_id, None, error_code)


async def settle_refund(cashier: Cashier, stripe_refund: str) -> None:
    """Books a refund as it is at Stripe now."""
    found = await cashier.gateway.refund_now(stripe_refund)
    if found.charge is not None:
        await settle_charge(cashier, found.charge)  # its own event may not have come yet
    await _note(cashier, found)


async def _note(cashier: Cashier, found: Refund) -> None:
    async with cashier.database.transaction() as session:
        refund = await _ours(session, found)
        if refund is None:
            await set_aside(session, "foreign_refund", found.id)
            return
        refund.stripe_refund = found.id
        if refund.state is RefundState.OPEN and found.movement is not None:
            await return_succeeded(session, return_id=refund.id, line=found.movement)
            await _ended(session, refund.id, RefundState.SUCCEEDED, None)
        if found.status in FAILED and refund.state is not RefundState.FAILED:
            await _failed(session, refund.id, found.failure_movement, found.failure_code)


async def _failed(
    session: AsyncSession, refund_id: UUID, line: BalanceTransaction | None, code: str | None
) -> None:
    """The Stars come back. If their owner has left, an operator is told: nobody else could help."""
    await return_failed(session, return_id=refund_id, line=line, at=await money_now(session))
    await revoke_returned(session, return_id=refund_id)
    refund = await _ended(session, refund_id, RefundState.FAILED, code)
    order = await session.get_one(StarOrder, refund.order_id)
    owner = {"platform_id": order.platform_id, "user_id": order.user_id}
    if await has_left(session, **owner) and await _has_stars_left(session, order):
        name = refund.stripe_refund or str(refund.id)
        await set_aside(session, REFUND_UNPAID, name, platform_id=order.platform_id)


async def _has_stars_left(session: AsyncSession, order: StarOrder) -> bool:
    """Whether any Stars of the order are in the wallet: a lost dispute may have revoked them."""
    lot = await session.get_one(StarLot, order.lot_id, populate_existing=True)
    return lot.gone < lot.stars


async def _ours(session: AsyncSession, found: Refund) -> StarRefund | None:
    try:
        refund_id = UUID(found.metadata.get("refund", ""))
    except ValueError:
        return None
    return await session.get(StarRefund, refund_id, with_for_update=True, populate_existing=True)


async def _ended(
    session: AsyncSession, refund_id: UUID, state: RefundState, failure_code: str | None
) -> StarRefund:
    refund = await session.get_one(StarRefund, refund_id)
    refund.state, refund.failure_code = state, failure_code
    refund.settled_at = await money_now(session)
    await session.flush()
    log.info("refund %s %s", refund_id, state.value)
    return refund
