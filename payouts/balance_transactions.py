"""Balance transactions of Stripe's as we learn of them: each kept once, booked yet or not."""

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from payouts import ledger, payout_postings
from payouts.ledger import Booked
from payouts.models import LedgerTransaction
from payouts.postings import BalanceTransaction
from payouts.stripe_facts import StripeBalanceTransaction


async def record_line(
    session: AsyncSession,
    platform_id: UUID,
    line: BalanceTransaction,
    *,
    transfer_intent_id: UUID | None = None,
) -> bool:
    """Keeps the line; returns whether it is new. Whatever books a line calls this first."""
    row = {
        "platform_id": platform_id,
        "id": line.id,
        "kind": line.kind,
        "source": line.source,
        "amount_minor": line.amount_minor,
        "fee_minor": line.fee_minor,
        "net_minor": line.net_minor,
        "currency": line.currency,
        "at": line.at,
        "transfer_intent_id": transfer_intent_id,
    }
    statement = insert(StripeBalanceTransaction).values(row).on_conflict_do_nothing()
    kept = await session.scalar(statement.returning(StripeBalanceTransaction.id))
    return kept is not None


async def posted(session: AsyncSession, lines: Collection[str]) -> set[str]:
    """Those of these ids (`txn_...`) that a posting of any platform names."""
    found = await session.scalars(
        sa.select(LedgerTransaction.balance_transaction).where(
            LedgerTransaction.balance_transaction.in_(lines)
        )
    )
    return {name for name in found if name is not None}


async def book_platform_payout(
    session: AsyncSession, *, platform_id: UUID, line: BalanceTransaction
) -> Booked:
    """Between our balance at Stripe and our bank, either way."""
    await record_line(session, platform_id, line)
    posting = payout_postings.platform_payout(line)
    return await ledger.book(session, platform_id, posting, at=line.at)


async def book_connect_fee(
    session: AsyncSession, *, platform_id: UUID, line: BalanceTransaction
) -> Booked:
    await record_line(session, platform_id, line)
    return await ledger.book(session, platform_id, payout_postings.connect_fee(line), at=line.at)


async def book_stripe_fee(
    session: AsyncSession, *, platform_id: UUID, line: BalanceTransaction
) -> Booked:
    """Any fee that is a line of its own, except those for Connect."""
    await record_line(session, platform_id, line)
    return await ledger.book(session, platform_id, payout_postings.stripe_fee(line), at=line.at)
