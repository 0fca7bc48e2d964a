"""Orders of Stars: written first, then paid on Stripe's page, credited by what Stripe then says.

Nothing that a browser tells us credits an order: only a charge that was fetched from Stripe does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.auth.rights import require_user
from core.errors import Conflict, NotFound
from core.ids import uuid7
from core.queue import enqueue
from payouts.cashier import Cashier
from payouts.creators import has_left
from payouts.gateway import KeyReused, StripeRefused
from payouts.gateway_models import OrderState, StarOrder
from payouts.packs import find_pack, tax_within
from payouts.stripe_objects import CheckoutSession

CHECK_JOB: Final = "payouts.check_order"
EXPIRE_JOB: Final = "payouts.expire_checkout"
"""For `order_id`, whose buyer has left: nobody is to pay on its page any more."""

FIRST_CHECK: Final = timedelta(minutes=2)
CHECKOUT_LIFE: Final = timedelta(hours=24)
"""Of Stripe's page, and of its memory of an idempotency key."""


class OrderUnknown(NotFound):
    code = "order_unknown"
    title = "You have no such order"


class OrderDiffers(Conflict):
    code = "order_differs"
    title = "There is an order with this key for another pack"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody orders: `client_key` is theirs, once for each order that they mean."""

    client_key: str
    pack: str


async def place_order(cashier: Cashier, *, principal: Principal, wish: Wish) -> StarOrder:
    """The order of this key, with a page to pay on while it is open. Twice is once.

    Raises Unauthenticated, AccountNeeded, PackUnknown, OrderDiffers, and what the gateway does:
    after StripeBusy or OutcomeUnknown the same call goes on where it was.
    """
    async with cashier.database.transaction() as session:
        order = await _written(session, cashier, principal, wish)
    if order.state is not OrderState.NEW:
        return order
    try:
        opened = await cashier.gateway.open_checkout(
            key=str(order.id),
            order=str(order.id),
            name=f"{order.stars} Stars",
            amount_minor=order.price_minor,
            currency=order.currency,
            return_url=f"{cashier.settings.public_web_url}/orders/{order.id}",
        )
    except (StripeRefused, KeyReused) as refused:
        async with cashier.database.transaction() as session:
            await _close(session, order.id, getattr(refused, "stripe_code", refused.code))
        raise
    async with cashier.database.transaction() as session:
        order = await _locked(session, order.id)
        await note_checkout(session, order, opened)
        await enqueue_check(session, order.id, FIRST_CHECK)
        if await has_left(session, platform_id=order.platform_id, user_id=order.user_id):
            await expire_pages(session, order.user_id)
    return order


async def _written(
    session: AsyncSession, cashier: Cashier, principal: Principal, wish: Wish
) -> StarOrder:
    user_id, pack = require_user(principal), find_pack(cashier.settings, wish.pack)
    row = {
        "id": uuid7(),
        "platform_id": principal.platform_id,
        "user_id": user_id,
        "client_key": wish.client_key,
        "pack": pack.key,
        "stars": pack.total_stars,
        "price_minor": pack.price_minor,
        "currency": pack.currency,
        "tax_minor": tax_within(pack.price_minor, cashier.settings.tax_bps),
        "livemode": cashier.gateway.livemode,
        "expires_at": datetime.now(UTC) + CHECKOUT_LIFE,
    }
    await session.execute(insert(StarOrder).values(row).on_conflict_do_nothing())
    mine = sa.and_(StarOrder.user_id == user_id, StarOrder.client_key == wish.client_key)
    order = (await session.scalars(sa.select(StarOrder).where(mine))).one()
    if order.pack != wish.pack:
        raise OrderDiffers(f"The order with this key is for {order.pack}: send another key.")
    if order.state is OrderState.NEW and order.expires_at < datetime.now(UTC):
        order.state = OrderState.EXPIRED  # Stripe has forgotten the key: it would be another page
    return order


async def note_checkout(session: AsyncSession, order: StarOrder, found: CheckoutSession) -> None:
    """What Stripe says of the page where a locked order is paid; forward only."""
    if order.state in (OrderState.NEW, OrderState.OPEN):
        order.checkout_session, order.checkout_url = found.id, found.url
        order.expires_at, order.payment_intent = found.expires_at, found.payment_intent
        order.state = OrderState.EXPIRED if found.status == "expired" else OrderState.OPEN
        await session.flush()


async def note_decline(session: AsyncSession, reference: str | None, failure_code: str) -> None:
    """The page stays open for another card."""
    order = await find_order(session, reference, lock=True)
    if order is not None and order.state is OrderState.OPEN:
        order.failure_code = failure_code


async def find_order(
    session: AsyncSession, reference: str | None, *, lock: bool = False
) -> StarOrder | None:
    """By what Stripe's objects carry of ours: None for what is no order."""
    try:
        order_id = UUID(reference or "")
    except ValueError:
        return None
    return await session.get(StarOrder, order_id, with_for_update=lock, populate_existing=True)


async def enqueue_check(session: AsyncSession, order_id: UUID, delay: timedelta) -> None:
    """Asks Stripe itself after `delay`, in case that its webhook never comes."""
    payload = {"order_id": str(order_id), "delay_s": round(delay.total_seconds())}
    key = f"{order_id}/{payload['delay_s']}"
    await enqueue(session, CHECK_JOB, payload, dedupe_key=key, delay=delay)


async def expire_pages(session: AsyncSession, user_id: UUID) -> None:
    """Of who has left, behind the lock on who they are: a page that is made at this moment is
    either seen here, or its maker sees that they have left."""
    mine = sa.select(StarOrder.id).where(StarOrder.user_id == user_id)
    for order_id in await session.scalars(mine.where(StarOrder.state == OrderState.OPEN)):
        payload = {"order_id": str(order_id)}
        await enqueue(session, EXPIRE_JOB, payload, dedupe_key=str(order_id))


async def end_left_orders(session: AsyncSession, *, now: datetime | None = None) -> int:
    """Orders whose page was never made end with the day that it would have been open for, and
    Stripe is asked for those whose end it did not tell; returns how many.

    Should one be paid all the same, it is credited.
    """
    late = StarOrder.expires_at < (now or datetime.now(UTC))
    unmade = sa.update(StarOrder).where(StarOrder.state == OrderState.NEW, late)
    ended = await session.scalars(unmade.values(state=OrderState.EXPIRED).returning(StarOrder.id))
    open_ = await session.scalars(
        sa.select(StarOrder.id).where(StarOrder.state == OrderState.OPEN, late)
    )
    found = open_.all()
    for order_id in found:
        await enqueue_check(session, order_id, timedelta())
    return len(ended.all()) + len(found)


async def _locked(session: AsyncSession, order_id: UUID) -> StarOrder:
    return await session.get_one(StarOrder, order_id, with_for_update=True, populate_existing=True)


async def order_of(session: AsyncSession, principal: Principal, order_id: UUID) -> StarOrder:
    """The caller's own. Raises Unauthenticated, AccountNeeded, OrderUnknown."""
    user_id = require_user(principal)
    order = await session.get(StarOrder, order_id)
    if order is None or order.user_id != user_id:
        raise OrderUnknown
    return order


async def orders_of(
    session: AsyncSession, principal: Principal, *, before: UUID | None, limit: int
) -> Sequence[StarOrder]:
    """The caller's, newest first."""
    mine = sa.select(StarOrder).where(StarOrder.user_id == require_user(principal))
    if before is not None:
        mine = mine.where(StarOrder.id < before)
    return (await session.scalars(mine.order_by(StarOrder.id.desc()).limit(limit))).all()


async def _close(session: AsyncSession, order_id: UUID, failure_code: str) -> None:
    """Another order is needed; should this one be paid all the same, it is credited."""
    order = await _locked(session, order_id)
    if order.state is OrderState.NEW:
        order.state, order.failure_code = OrderState.FAILED, failure_code
