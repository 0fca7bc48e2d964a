"""Books postings, each once, and reads balances. Nothing else writes to the ledger's tables."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import raw_connection
from core.ids import uuid7
from payouts.accounts import Account, Entry
from payouts.models import LedgerAccount, LedgerCheckpoint, LedgerEntry, LedgerTransaction
from payouts.postings import Posting

_AS_TEXT: Final = {
    **{2: "uuid", 6: "text", 8: "uuid", 9: "bigint", 11: "bigint"},
    **{15: "int", 16: "int", 17: "bigint"},
    **{18: "int", 19: "uuid", 20: "int", 21: "int", 22: "bigint"},
}
"""Parameters of `ledger_book` (by number) that are sent as the text of an array, with its element
type. It is faster: asyncpg checks whether each element of an array is itself an array, unless it is
a string, and a tip has seven entries."""

PARAMETERS: Final = ", ".join(
    f"${n}::text::{_AS_TEXT[n]}[]" if n in _AS_TEXT else f"${n}" for n in range(1, 23)
)
_BOOK: Final = f"select ledger_book({PARAMETERS})"


class Booked(NamedTuple):
    """`new`: this call booked it; otherwise its key was booked before and nothing was written."""

    transaction_id: UUID
    new: bool


async def book(
    session: AsyncSession, platform_id: UUID, posting: Posting, *, at: datetime | None = None
) -> Booked:
    """Writes the posting unless its key has been booked. `at` is now unless given.

    Of two calls at once with one key, the second waits for the first one's transaction. Raises
    IntegrityError if a floor is broken or the entries do not sum to zero.
    """
    sheet = Sheet()
    made = sheet.add(posting, at or datetime.now(UTC))
    raw = await raw_connection(session)
    if await raw.fetchval(_BOOK, platform_id, *sheet.columns({})) is not None:
        return Booked(made, new=True)
    found = await find(session, platform_id, posting.key)
    assert found is not None  # noqa: S101 - the key is there, and rows are never deleted
    return Booked(found.id, new=False)


class Sheet:
    """Postings as the column arrays that `ledger_book` takes (payouts/ledger_sql.py)."""

    def __init__(self) -> None:
        self._ids: list[UUID] = []
        self._transactions: list[tuple[object, ...]] = []
        self._accounts: dict[Account, int] = {}
        self._entries: list[tuple[int, int, int]] = []
        self._taken: list[tuple[object, ...]] = []

    def add(self, posting: Posting, at: datetime) -> UUID:
        """Returns the id that the transaction gets when the sheet is booked."""
        made = uuid7()
        self._ids.append(made)
        number = len(self._ids)
        self._transactions.append(_columns(posting, at))
        for entry in posting.entries:
            account = self._accounts.setdefault(entry.account, len(self._accounts) + 1)
            self._entries.append((number, account, entry.amount))
        for one in posting.taken:
            self._taken.append((number, one.lot_id, one.offset, one.stars, one.cash_minor))
        return made

    @property
    def accounts(self) -> Iterable[Account]:
        """Each once, in the order of the ids that `ledger_book` returns."""
        return self._accounts

    def columns(self, known: Mapping[Account, int]) -> list[Sequence[object]]:
        """`known`: ids of accounts that the caller has learned; an account's id never changes."""
        ids = [known.get(account) for account in self._accounts]
        accounts = [(a.kind.value, a.owner, a.currency) for a in self._accounts]
        columns: list[Sequence[object]] = [
            self._ids,
            *_turned(self._transactions, 8),
            ids,
            *_turned(accounts, 3),
            *_turned(self._entries, 3),
            *_turned(self._taken, 5),
        ]
        for number, kind in _AS_TEXT.items():
            literal = _texts if kind == "text" else array_text
            columns[number - 2] = literal(columns[number - 2])
        return columns


def _columns(posting: Posting, at: datetime) -> tuple[object, ...]:
    return (
        posting.kind.value,
        posting.key,
        at,
        posting.balance_transaction,
        posting.matures_at,
        posting.pin and posting.pin.room_id,
        posting.pin and posting.pin.room_ms,
        json.dumps(posting.facts),
    )


def _turned(rows: Sequence[tuple[object, ...]], width: int) -> list[Sequence[object]]:
    """Rows as columns; `width` empty ones if there are no rows."""
    return list(zip(*rows, strict=True)) if rows else [()] * width


def array_text(values: Iterable[object]) -> str:
    """PostgreSQL's text form of an array of numbers, booleans, ids and nulls."""
    return "{" + ",".join(map(str, values)).replace("None", "null") + "}"


def _texts(values: Iterable[object]) -> str:
    return "{" + ",".join("null" if v is None else _quoted(str(v)) for v in values) + "}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


async def find(session: AsyncSession, platform_id: UUID, key: str) -> LedgerTransaction | None:
    """The transaction that was booked with this key."""
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
    """In minor units or Stars, debit positive; 0 if nothing was ever booked on it."""
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
    """The checkpoint plus what was booked since."""
    taken = await session.get(LedgerCheckpoint, account_id, populate_existing=True)
    tail = await session.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(LedgerEntry.amount), 0)).where(
            LedgerEntry.account_id == account_id,
            LedgerEntry.id > (taken.through_id if taken else 0),
        )
    )
    return (taken.balance if taken else 0) + int(tail or 0)
