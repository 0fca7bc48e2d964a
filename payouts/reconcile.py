"""Holds what Stripe did against what is posted; what a lost webhook left out is made up for.

The same code settles an object, whether an event or this told of it.
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
"""More than Stripe takes to list what it did, and than a sandbox's day."""

LONG: Final = timedelta(hours=1)
"""After so long an event that waits has lost its job."""

FIRST_WINDOW: Final = timedelta(days=29)
"""Stripe lists events of 30 days."""

Settle = Callable[[Cashier, BalanceTransaction], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Reconciled:
    movements: int
    made_up: int
    """Posted now, of which no webhook had told."""
    unexplained: int
    missed_events: int


async def reconcile(cashier: Cashier, *, now: datetime | None = None) -> Reconciled:
    """Everything since the last run, and the day before it again; then whatever was left lying."""
    async with cashier.database.transaction() as session:
        began = now or await money_now(session)
        books = await session.get_one(StripeBooks, 1)
        since = (books.reconciled_to or began - FIRST_WINDOW) - OVERLAP
    missed = await missed_events(cashier, since)
    counts = {True: 0, False: 0}
    seen = 0
    async for page in cashier.gateway.movements(since=since):
        seen += len(page)
        for movement in await _unposted(cashier, page):
            counts[await _explain(cashier, movement)] += 1
    await enqueue_open_transfers(cashier)
    async with cashier.database.transaction() as session:
        await enqueue_open_refunds(session)
        await end_left_orders(session)
        await inbox.enqueue_waiting(session, older_than=LONG)
        await alerts.resolve_posted(session)
        await session.execute(sa.update(StripeBooks).values(reconciled_to=began))
    result = Reconciled(seen, counts[True], counts[False], missed)
    log.info("reconciled: %s", result)
    return result


async def _unposted(
    cashier: Cashier, page: Sequence[BalanceTransaction]
) -> Sequence[BalanceTransaction]:
    async with cashier.database.transaction() as session:
        posted = await balance_transactions.posted(session, [movement.id for movement in page])
    return [movement for movement in page if movement.id not in posted]


async def _explain(cashier: Cashier, movement: BalanceTransaction) -> bool:
    """Whether it is posted afterwards; if not, it is set aside in the site's own books."""
    settle = SETTLED_BY.get(movement.kind)
    try:
        if settle is not None:
            await settle(cashier, movement)
    except Unavailable:
        raise  # it passes
    except Problem as refused:  # nothing holds up what comes after it
        log.warning("movement %s: %s", movement.id, refused.detail)
    if not await _unposted(cashier, [movement]):
        return True
    async with cashier.database.transaction() as session:
        site = await ensure_default_platform(session)
        await balance_transactions.record_line(session, site, movement)
        if not await _told_of(session, movement.source):
            await alerts.set_aside(session, alerts.UNEXPLAINED, movement.id, platform_id=site)
    return False


async def _told_of(session: AsyncSession, source: str) -> bool:
    """Whether what moved it has been set aside itself."""
    told = sa.exists().where(MoneyException.object_id == source, sa.literal(source) != "")
    return bool(await session.scalar(sa.select(told)))


async def _charge(cashier: Cashier, movement: BalanceTransaction) -> None:
    await settle_charge(cashier, movement.source)


async def _refund(cashier: Cashier, movement: BalanceTransaction) -> None:
    await settle_refund(cashier, movement.source)


async def _adjustment(cashier: Cashier, movement: BalanceTransaction) -> None:
    if movement.source.startswith(("du_", "dp_")):
        await settle_dispute(cashier, movement.source)
    elif movement.category == "fee":
        await _fee(cashier, movement)


async def _transfer(cashier: Cashier, movement: BalanceTransaction) -> None:
    await settle_transfer(cashier, movement.source)


async def _reversal(cashier: Cashier, movement: BalanceTransaction) -> None:
    await settle_transfer(cashier, await cashier.gateway.reversed_transfer(movement.id))


def _of_the_site(book: Callable[..., Awaitable[object]]) -> Settle:
    """What is of our account at Stripe, and of nobody's sales."""

    async def settle(cashier: Cashier, movement: BalanceTransaction) -> None:
        async with cashier.database.transaction() as session:
            site: UUID = await ensure_default_platform(session)
            await book(session, site=site, line=movement)

    return settle


_fee: Final = _of_the_site(book_site_fee)
_payout: Final = _of_the_site(book_site_payout)

_OWN_MONEY: Final = ("payout", "payout_failure", "payout_cancel", "topup", "topup_reversal")
SETTLED_BY: Final[Mapping[str, Settle]] = {
    "charge": _charge,
    "payment": _charge,
    "refund": _refund,
    "payment_refund": _refund,
    "refund_failure": _refund,
    "payment_failure_refund": _refund,
    "adjustment": _adjustment,
    "transfer": _transfer,
    "transfer_refund": _reversal,
    **dict.fromkeys(_OWN_MONEY, _payout),
    **dict.fromkeys(("stripe_fee", "stripe_fx_fee", "tax_fee"), _fee),
}


async def hold_invariants(session: AsyncSession) -> int:
    """How many of the eleven are broken; each is logged with what breaks it."""
    broken = [each for each in await invariants.check(session) if not each.holds]
    for each in broken:
        log.error("books: %d, %s: %s", each.number, each.says, "; ".join(each.breaks))
    if aside := await alerts.waiting(session):
        log.error("books: %d things of Stripe's wait for somebody: encore money check", len(aside))
    return len(broken)
