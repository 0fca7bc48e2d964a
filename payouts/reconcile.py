"""Holds what Stripe did against what is posted; what a lost webhook left out is made up for.

The same code settles an object, whether an event or this told of it.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.platforms import ensure_default_platform
from payouts import inbox, invariants, stripe_lines
from payouts.alerts import set_aside
from payouts.cashier import Cashier
from payouts.crediting import settle_charge
from payouts.dispute_events import settle_dispute
from payouts.gateway import StripeRefused
from payouts.gateway_models import StripeBooks
from payouts.models import LedgerTransaction
from payouts.postings import BalanceTransaction
from payouts.refunds import settle_refund
from payouts.sweep import owe_open_transfers, settle_transfer

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
    """Everything since the last run, and the day before it again."""
    began = now or datetime.now(UTC)
    async with cashier.database.transaction() as session:
        books = await session.get_one(StripeBooks, 1)
        since = (books.reconciled_to or began - FIRST_WINDOW) - OVERLAP
    missed = await _missed_events(cashier, since)
    counts = {True: 0, False: 0}
    seen = 0
    async for movement in cashier.gateway.movements(since=since):
        seen += 1
        if not await _posted(cashier, movement.id):
            counts[await _explain(cashier, movement)] += 1
    await owe_open_transfers(cashier)
    async with cashier.database.transaction() as session:
        await inbox.owe_waiting(session, older_than=LONG)
        await session.execute(sa.update(StripeBooks).values(reconciled_to=began))
    result = Reconciled(seen, counts[True], counts[False], missed)
    log.info("reconciled: %s", result)
    return result


async def _missed_events(cashier: Cashier, since: datetime) -> int:
    missed = 0
    async for event in cashier.gateway.events(since=since):
        async with cashier.database.transaction() as session:
            livemode = cashier.gateway.livemode
            missed += await inbox.receive(session, event, livemode=livemode)
    return missed


async def _posted(cashier: Cashier, movement_id: str) -> bool:
    async with cashier.database.transaction() as session:
        posted = sa.select(LedgerTransaction.id).where(
            LedgerTransaction.balance_transaction == movement_id
        )
        return await session.scalar(posted) is not None


async def _explain(cashier: Cashier, movement: BalanceTransaction) -> bool:
    """Whether it is posted afterwards; if not, it is set aside in the site's own books."""
    settle = SETTLED_BY.get(movement.kind)
    try:
        if settle is not None:
            await settle(cashier, movement)
    except StripeRefused as refused:
        log.warning("movement %s: its source was refused: %s", movement.id, refused.stripe_code)
    if await _posted(cashier, movement.id):
        return True
    async with cashier.database.transaction() as session:
        site = await ensure_default_platform(session)
        await stripe_lines.see(session, site, movement)
        await set_aside(session, "unexplained_movement", movement.id, platform_id=site)
    return False


async def _charge(cashier: Cashier, movement: BalanceTransaction) -> None:
    await settle_charge(cashier, movement.source)


async def _refund(cashier: Cashier, movement: BalanceTransaction) -> None:
    await settle_refund(cashier, movement.source)


async def _adjustment(cashier: Cashier, movement: BalanceTransaction) -> None:
    if movement.source.startswith(("du_", "dp_")):
        await settle_dispute(cashier, movement.source)


async def _transfer(cashier: Cashier, movement: BalanceTransaction) -> None:
    await settle_transfer(cashier, movement.source)


async def _reversal(cashier: Cashier, movement: BalanceTransaction) -> None:
    await settle_transfer(cashier, await cashier.gateway.reversed_transfer(movement.id))


def _of_the_site(book: Callable[..., Awaitable[object]]) -> Settle:
    """What is of our account at Stripe, and of no platform's sales."""

    async def settle(cashier: Cashier, movement: BalanceTransaction) -> None:
        async with cashier.database.transaction() as session:
            site = await ensure_default_platform(session)
            await book(session, platform_id=site, line=movement)

    return settle


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
    "payout": _of_the_site(stripe_lines.book_platform_payout),
    "payout_failure": _of_the_site(stripe_lines.book_platform_payout),
    "payout_cancel": _of_the_site(stripe_lines.book_platform_payout),
    "stripe_fee": _of_the_site(stripe_lines.book_stripe_fee),
}


async def hold_invariants(session: AsyncSession) -> int:
    """How many of the eleven are broken; each is logged with what breaks it."""
    broken = [each for each in await invariants.check(session) if not each.holds]
    for each in broken:
        log.error("books: %d, %s: %s", each.number, each.says, "; ".join(each.breaks))
    return len(broken)
