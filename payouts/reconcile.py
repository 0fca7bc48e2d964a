"""Compares what Stripe did with what is posted, and makes up for webhooks that never came.

Events and reconciliation settle an object with the same functions.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.platforms import ensure_default_platform
from core.errors import Problem, Unavailable
from payouts import alerts, balance_transactions, inbox, invariants
from payouts.cashier import Cashier
from payouts.clock import money_now
from payouts.crediting import settle_charge
from payouts.dispute_events import settle_dispute
from payouts.gateway_models import StripeBooks
from payouts.missed_events import missed_events
from payouts.orders import end_left_orders
from payouts.postings import BalanceTransaction
from payouts.refunds import enqueue_open_refunds, settle_refund
from payouts.site_lines import book_site_fee, book_site_payout
from payouts.stripe_facts import MoneyException
from payouts.sweep import enqueue_open_transfers, settle_transfer

log = logging.getLogger(__name__)

OVERLAP: Final = timedelta(hours=26)
"""How far each run goes back behind the last one: Stripe may list late what it did earlier, and the
sandbox's clock is moved by whole days."""

LONG: Final = timedelta(hours=1)
"""An event that has waited longer than this has lost its job."""

FIRST_WINDOW: Final = timedelta(days=29)
"""Of the first run; Stripe lists events of 30 days."""

Settle = Callable[[Cashier, BalanceTransaction], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Reconciled:
    movements: int
    made_up: int
    """Posted now: no webhook had told us of them."""
    unexplained: int
    missed_events: int


async def reconcile(cashier: Cashier, *, now: datetime | None = None) -> Reconciled:
    """Posts everything since the last run and OVERLAP before it, then queues again what was left
    open: transfers, refunds, orders and events."""
    async with cashier.database.transaction() as session:
        began = now or await money_now(session)
        books = await session.get_one(StripeBooks, 1)
        since = (books.reconciled_to or began - FIRST_WINDOW) - OVERLAP
    missed = await missed_events(cashier, since)
    movements = made_up = unexplained = 0
    async for page in cashier.gateway.movements(since=since):
        movements += len(page)
        for movement in await _unposted(cashier, page):
            if await _post(cashier, movement):
                made_up += 1
            else:
                unexplained += 1
    await enqueue_open_transfers(cashier)
    async with cashier.database.transaction() as session:
        await enqueue_open_refunds(session)
        await end_left_orders(session)
        await inbox.enqueue_waiting(session, older_than=LONG)
        await alerts.resolve_posted(session)
        await session.execute(sa.update(StripeBooks).values(reconciled_to=began))
    result = Reconciled(movements, made_up, unexplained, missed)
    log.info("reconciled: %s", result)
    return result


async def _unposted(
    cashier: Cashier, page: Sequence[BalanceTransaction]
) -> Sequence[BalanceTransaction]:
    async with cashier.database.transaction() as session:
        posted = await balance_transactions.posted(session, [movement.id for movement in page])
    return [movement for movement in page if movement.id not in posted]


async def _post(cashier: Cashier, movement: BalanceTransaction) -> bool:
    """Settles what the movement is about; returns whether it is posted now.

    If it is not, it is set aside in the books of the site's own platform.
    """
    settle = SETTLED_BY.get(movement.kind)
    try:
        if settle is not None:
            await settle(cashier, movement)
    except Unavailable:
        raise  # temporary: the next run tries again
    except Problem as refused:  # the movements after it are still settled
        log.warning("movement %s: %s", movement.id, refused.detail)
    if not await _unposted(cashier, [movement]):
        return True
    async with cashier.database.transaction() as session:
        site = await ensure_default_platform(session)
        await balance_transactions.record_line(session, site, movement)
        if not await _is_set_aside(session, movement.source):
            await alerts.set_aside(session, alerts.UNEXPLAINED, movement.id, platform_id=site)
    return False


async def _is_set_aside(session: AsyncSession, source: str) -> bool:
    """Whether an operator is told of the object that made the movement already."""
    aside = sa.exists().where(MoneyException.object_id == source)
    return source != "" and bool(await session.scalar(sa.select(aside)))


def _source(settle: Callable[[Cashier, str], Awaitable[object]]) -> Settle:
    """Settles the object that made the movement."""

    async def settle_source(cashier: Cashier, movement: BalanceTransaction) -> None:
        await settle(cashier, movement.source)

    return settle_source


async def _adjustment(cashier: Cashier, movement: BalanceTransaction) -> None:
    if movement.source.startswith(("du_", "dp_")):
        await settle_dispute(cashier, movement.source)
    elif movement.category == "fee":
        await _fee(cashier, movement)


async def _reversal(cashier: Cashier, movement: BalanceTransaction) -> None:
    await settle_transfer(cashier, await cashier.gateway.reversed_transfer(movement.id))


def _of_the_site(book: Callable[..., Awaitable[object]]) -> Settle:
    """Books a movement of the account itself, which belongs to no sale of any platform."""

    async def settle(cashier: Cashier, movement: BalanceTransaction) -> None:
        async with cashier.database.transaction() as session:
            site: UUID = await ensure_default_platform(session)
            await book(session, site=site, line=movement)

    return settle


_fee: Final = _of_the_site(book_site_fee)
_payout: Final = _of_the_site(book_site_payout)

_OWN_MONEY: Final = ("payout", "payout_failure", "payout_cancel", "topup", "topup_reversal")
_REFUNDS: Final = ("refund", "payment_refund", "refund_failure", "payment_failure_refund")
SETTLED_BY: Final[Mapping[str, Settle]] = {
    **dict.fromkeys(("charge", "payment"), _source(settle_charge)),
    **dict.fromkeys(_REFUNDS, _source(settle_refund)),
    "adjustment": _adjustment,
    "transfer": _source(settle_transfer),
    "transfer_refund": _reversal,
    **dict.fromkeys(_OWN_MONEY, _payout),
    **dict.fromkeys(("stripe_fee", "stripe_fx_fee", "tax_fee"), _fee),
}
"""By the type of the balance transaction (docs.stripe.com/reports/balance-transaction-types)."""


async def hold_invariants(session: AsyncSession) -> int:
    """Logs each invariant that is broken, with what breaks it; returns how many there are."""
    broken = [each for each in await invariants.check(session) if not each.holds]
    for each in broken:
        log.error("books: %d, %s: %s", each.number, each.says, "; ".join(each.breaks))
    if aside := await alerts.waiting(session):
        log.error("books: %d things of Stripe's wait for somebody: encore money check", len(aside))
    return len(broken)
