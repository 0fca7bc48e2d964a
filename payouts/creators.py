"""Creators: what they have earned and in which state it is, and what happens when they leave.

Whatever reads a creator's earnings in order to move them locks the creator's row first; tips, which
only add to them, need no lock.
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
    """Can be transferred. Below zero, it is netted against what they earn next."""

    on_hold_minor: int
    """From tips that a buyer's bank disputed before they had matured."""

    in_transfer_minor: int
    transferred_minor: int
    """Sent to their connected account, from which Stripe pays it out; less what was reversed."""


async def lock_creators(
    session: AsyncSession, platform_id: UUID, creators: Collection[UUID]
) -> set[UUID]:
    """Locks the creators' rows, in one order; returns those of them who have left for good."""
    rows = await session.scalars(
        sa.select(Creator)
        .where(Creator.platform_id == platform_id, Creator.user_id.in_(creators))
        .order_by(Creator.user_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return {row.user_id for row in rows if row.deleted_at is not None}


async def has_left(session: AsyncSession, *, platform_id: UUID, user_id: UUID) -> bool:
    """Whether they have asked to leave. Locks their user row until the caller's commit: whoever
    leaves at this moment either sees what we put into their wallet, or has left before we look."""
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
    """As of `now`, or else of now. All zeros for somebody who never earned."""
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
    """Tips that have not matured, less what disputes hold or have taken of them."""
    tips = sa.select(-sa.func.sum(LedgerEntry.amount)).select_from(
        tips_of(platform_id, creator_id, currency)
    )
    held = sa.select(sa.func.sum(DisputeHold.amount_minor)).select_from(
        holds_of(platform_id, creator_id)
    )
    earned = await session.scalar(tips.where(tip_is_pending(now)))
    taken = await session.scalar(held.where(LedgerTransaction.matures_at > now))
    return int(earned or 0) - int(taken or 0)


def tips_of(platform_id: UUID, creator_id: UUID, currency: str) -> sa.FromClause:
    """The creator's entries from tips, joined with their transactions."""
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


def tip_is_pending(now: datetime) -> sa.ColumnElement[bool]:
    """Of `tips_of`: it has not matured. An entry's own `at` lets its index narrow the search."""
    return sa.and_(LedgerEntry.at > now - MOST_MATURITY, LedgerTransaction.matures_at > now)


def holds_of(platform_id: UUID, creator_id: UUID) -> sa.FromClause:
    """What disputes hold or have taken of the creator's tips, joined with these transactions."""
    not_won = sa.and_(
        LotDispute.id == DisputeHold.dispute_id,
        LotDispute.platform_id == platform_id,
        LotDispute.state != DisputeState.WON,
        DisputeHold.creator_id == creator_id,
        DisputeHold.held,
    )
    its_tip = LedgerTransaction.id == DisputeHold.tip_id
    return sa.join(sa.join(DisputeHold, LotDispute, not_won), LedgerTransaction, its_tip)


async def _transfers(session: AsyncSession, platform_id: UUID, creator_id: UUID) -> tuple[int, int]:
    """What is in transfer, and what has been transferred and not reversed."""
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
    """Books what is still owed to them as `unclaimed`, or what they owe as our loss.

    Done after their last transfer, and again if something came in since. Their row stays. Returns
    None when their balance is 0.
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
