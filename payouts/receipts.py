"""What has become of an order: how many of its Stars are unused, their worth, and its refunds."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from payouts.gateway_models import StarOrder, StarRefund
from payouts.models import StarLot
from payouts.orders import order_of
from payouts.refund_requests import in_currency_of


@dataclass(frozen=True, slots=True)
class Receipt:
    order: StarOrder
    unused: int
    """Stars of the order that are still in the wallet."""

    refundable_minor: int
    """What a refund of these would pay, in the order's currency."""

    refunds: Sequence[StarRefund]
    """Oldest first."""


async def receipt_of(session: AsyncSession, principal: Principal, order_id: UUID) -> Receipt:
    """Of the caller's own order. Raises Unauthenticated, AccountNeeded, OrderUnknown."""
    order = await order_of(session, principal, order_id)
    return (await receipts_of(session, [order]))[0]


async def receipts_of(session: AsyncSession, orders: Sequence[StarOrder]) -> list[Receipt]:
    """One for each order."""
    wanted = StarLot.id.in_([order.lot_id for order in orders])
    lots: dict[UUID | None, StarLot] = {
        lot.id: lot for lot in await session.scalars(sa.select(StarLot).where(wanted))
    }
    refunds = await _refunds(session, orders)
    return [
        Receipt(order, *_unused(order, lots.get(order.lot_id)), refunds.get(order.id, []))
        for order in orders
    ]


async def _refunds(
    session: AsyncSession, orders: Sequence[StarOrder]
) -> dict[UUID, list[StarRefund]]:
    mine = StarRefund.order_id.in_([order.id for order in orders])
    found: dict[UUID, list[StarRefund]] = {}
    for refund in await session.scalars(
        sa.select(StarRefund).where(mine).order_by(StarRefund.created_at, StarRefund.id)
    ):
        found.setdefault(refund.order_id, []).append(refund)
    return found


def _unused(order: StarOrder, lot: StarLot | None) -> tuple[int, int]:
    if lot is None or lot.gone == lot.stars:
        return 0, 0
    left_minor = lot.as_lot.cash_left_minor + lot.tax_left_minor
    return lot.as_lot.left, in_currency_of(order, lot, left_minor)
