"""Writes postings, each once, and reads balances. Everything else of this package books by it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import raw_connection
from core.ids import uuid7
from payouts.accounts import Account, Entry
from payouts.models import LedgerAccount, LedgerCheckpoint, LedgerEntry, LedgerTransaction
from payouts.postings import Posting

_BOOK = f"select ledger_book({', '.join(f'${n}' for n in range(1, 19))})"


@dataclass(frozen=True)
class Booked:
    """`new`: by this call; otherwise the key had been booked before, and nothing was written."""

    transaction_id: UUID
    new: bool


async def book(
    session: AsyncSession, platform_id: UUID, posting: Posting, *, at: datetime | None = None
) -> Booked:
    """Writes the posting unless its key has been booked. `at` is now unless given.

    Two calls at once with one key: the second waits for the first one's transaction. The database
    refuses what breaks a floor or does not sum to zero (IntegrityError).
    """
    made = uuid7()
    raw = await raw_connection(session)
    if await raw.fetchval(_BOOK, made, platform_id, *_arguments(posting, at or datetime.now(UTC))):
        return Booked(made, new=True)
    found = await find(session, platform_id, posting.key)
    assert found is not None  # noqa: S101 - the key is there, and rows are never deleted
    return Booked(found.id, new=False)


def _arguments(posting: Posting, at: datetime) -> tuple[object, ...]:
    """Of `ledger_book` (payouts/ledger_sql.py), from the event's kind on."""
    accounts = [entry.account for entry in posting.entries]
    return (
        posting.kind.value,
        posting.key,
        at,
        posting.balance_transaction,
        posting.matures_at,
        posting.pin and posting.pin.room_id,
        posting.pin and posting.pin.room_ms,
        json.dumps(posting.facts),
        [account.kind.value for account in accounts],
        [account.owner for account in accounts],
        [account.currency for account in accounts],
        [entry.amount for entry in posting.entries],
        [taken.lot_id for taken in posting.taken],
        [taken.offset for taken in posting.taken],
        [taken.stars for taken in posting.taken],
        [taken.cash_minor for taken in posting.taken],
    )


async def find(session: AsyncSession, platform_id: UUID, key: str) -> LedgerTransaction | None:
    """The transaction that was booked by this key."""
    return await session.scalar(
        sa.select(LedgerTransaction).where(
            LedgerTransaction.platform_id == platform_id, LedgerTransaction.external_key == key
        )
    )


async def entries_of(session: AsyncSession, transaction_id: UUID) -> Sequence[Entry]:
    rows = await session.execute(
        sa.select(LedgerAccount, LedgerEntry.amount)
        .join(LedgerEntry, LedgerEntry.account_id == LedgerAccount.id)
        .where(LedgerEntry.transaction_id == transaction_id)
        .order_by(LedgerEntry.id)
    )
    return [Entry(Account(a.kind, a.currency, a.owner), amount) for a, amount in rows]


async def balance(session: AsyncSession, platform_id: UUID, account: Account) -> int:
    """The account's balance; 0 where nothing was ever booked on it."""
    row = await session.scalar(
        sa.select(LedgerAccount)
        .where(
            LedgerAccount.platform_id == platform_id,
            LedgerAccount.kind == account.kind,
            LedgerAccount.owner == account.owner,
            LedgerAccount.currency == account.currency,
        )
        .execution_options(populate_existing=True)
    )
    if row is None or row.balance is not None:
        return 0 if row is None else row.balance or 0
    return await _summed(session, row.id)


async def _summed(session: AsyncSession, account_id: int) -> int:
    """The checkpoint and what was booked since."""
    taken = await session.get(LedgerCheckpoint, account_id, populate_existing=True)
    tail = await session.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(LedgerEntry.amount), 0)).where(
            LedgerEntry.account_id == account_id,
            LedgerEntry.id > (taken.through_id if taken else 0),
        )
    )
    return (taken.balance if taken else 0) + int(tail or 0)
