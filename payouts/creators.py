"""Those who earn: what is theirs and in which state, and how they leave.

What reads a creator's earnings in order to move them holds the creator's row; tips need not.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import User
from payouts import ledger, payout_postings
from payouts.accounts import AccountKind
from payouts.claim_models import DisputeHold, DisputeState, LotDispute
from payouts.clock import money_now
from payouts.ledger import Booked
from payouts.models import (
    MOST_MATURITY,
    Creator,
    EventKind,
    LedgerAccount,
    LedgerEntry,
    LedgerTransaction,
)
from payouts.postings import Books
from payouts.stripe_facts import IntentState, TransferIntent


@dataclass(frozen=True)
class Earnings:
    """A creator's money in minor units of the settlement currency, each unit in one state."""

    pending_minor: int
    """Tips that have not matured."""

    matured_minor: int
    """Can be transferred. Below zero: is netted against what comes."""

    on_hold_minor: int
    """Disputed by a buyer's bank before it had matured."""

    in_transfer_minor: int
    transferred_minor: int
    """To their connected account, from where Stripe pays it out."""


async def lock_creators(
    session: AsyncSession, platform_id: UUID, creators: Collection[UUID]
) -> set[UUID]:
    """Takes the creators' rows, in one order; which of them have left."""
    rows = await session.scalars(
        sa.select(Creator)
        .where(Creator.platform_id == platform_id, Creator.user_id.in_(creators))
        .order_by(Creator.user_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return {row.user_id for row in rows if row.deleted_at is not None}


async def has_left(session: AsyncSession, *, platform_id: UUID, user_id: UUID) -> bool:
    """Whoever leaves in this moment waits for us, or we for them: what comes into their wallet
    before our commit is either seen by them, or by us to be nobody's."""
    await session.get_one(User, user_id, with_for_update={"read": True})
    row = await session.get(Creator, (platform_id, user_id), populate_existing=True)
    return row is not None and row.leaving_at is not None


async def earnings(
    session: AsyncSession,
    *,
    platform_id: UUID,
    creator_id: UUID,
    currency: str,
    now: datetime | None = None,
) -> Earnings:
    """As of `now`. Somebody who never earned has zeros."""
    books = Books(currency)
    owed = -await ledger.balance(session, platform_id, books.of(AccountKind.CREATOR, creator_id))
    hold = -await ledger.balance(
        session, platform_id, books.of(AccountKind.CREATOR_HOLD, creator_id)
    )
    pending = await _pending(
        session, platform_id, creator_id, currency, now or await money_now(session)
    )
    in_transfer, transferred = await _transfers(session, platform_id, creator_id)
    return Earnings(pending, owed - pending, hold, in_transfer, transferred)


async def _pending(
    session: AsyncSession, platform_id: UUID, creator_id: UUID, currency: str, now: datetime
) -> int:
    """Tips that have not matured, without what a dispute holds of them or has taken."""
    tips = sa.select(sa.func.coalesce(-sa.func.sum(LedgerEntry.amount), 0)).select_from(
        tips_of(platform_id, creator_id, currency)
    )
    tips = tips.where(LedgerEntry.at > now - MOST_MATURITY, LedgerTransaction.matures_at > now)
    held = (
        sa.select(sa.func.coalesce(sa.func.sum(DisputeHold.amount_minor), 0))
        .join(LotDispute, LotDispute.id == DisputeHold.dispute_id)
        .join(LedgerTransaction, LedgerTransaction.id == DisputeHold.tip_id)
        .where(
            LotDispute.platform_id == platform_id,
            LotDispute.state != DisputeState.WON,
            DisputeHold.creator_id == creator_id,
            DisputeHold.held,
            LedgerTransaction.matures_at > now,
        )
    )
    return int(await session.scalar(tips) or 0) - int(await session.scalar(held) or 0)


def tips_of(platform_id: UUID, creator_id: UUID, currency: str) -> sa.FromClause:
    """The creator's entries of tips, each with its transaction."""
    account = sa.and_(
        LedgerAccount.platform_id == platform_id,
        LedgerAccount.kind == AccountKind.CREATOR,
        LedgerAccount.owner == str(creator_id),
        LedgerAccount.currency == currency,
    )
    of_account = sa.and_(LedgerEntry.account_id == LedgerAccount.id, account)
    is_tip = sa.and_(
        LedgerTransaction.id == LedgerEntry.transaction_id,
        LedgerTransaction.kind == EventKind.TIP,
    )
    return sa.join(sa.join(LedgerAccount, LedgerEntry, of_account), LedgerTransaction, is_tip)


async def _transfers(session: AsyncSession, platform_id: UUID, creator_id: UUID) -> tuple[int, int]:
    """What is under way, and what has arrived and stayed."""
    rows = await session.execute(
        sa.select(
            TransferIntent.state,
            sa.func.sum(TransferIntent.amount_minor - TransferIntent.reversed_minor),
        )
        .where(TransferIntent.platform_id == platform_id, TransferIntent.creator_id == creator_id)
        .group_by(TransferIntent.state)
    )
    sums = {state: int(total) for state, total in rows}
    return sums.get(IntentState.OPEN, 0), sums.get(IntentState.CONFIRMED, 0)


async def creator_left(
    session: AsyncSession,
    *,
    platform_id: UUID,
    creator_id: UUID,
    currency: str,
    at: datetime | None = None,
) -> Booked | None:
    """Their balance to `unclaimed`, or to our loss where they owe; None where it is 0.

    After the last sweep, and again when something came in since. Their row stays.
    """
    now = at or datetime.now(UTC)
    await lock_creators(session, platform_id, [creator_id])
    row = await session.get(Creator, (platform_id, creator_id))
    if row is not None and row.deleted_at is None:
        row.deleted_at = now
    account = Books(currency).of(AccountKind.CREATOR, creator_id)
    balance = await ledger.balance(session, platform_id, account)
    if balance == 0:
        return None
    posting = payout_postings.creator_deleted(
        key=f"creator_deleted:{creator_id}:{now.isoformat()}",
        creator_id=creator_id,
        balance_minor=balance,
        currency=currency,
    )
    return await ledger.book(session, platform_id, posting, at=now)
