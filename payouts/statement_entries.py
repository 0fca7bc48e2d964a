"""The ledger entries behind a statement, as CSV, so that anybody can check its sums."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from payouts.accounts import AccountKind
from payouts.amounts import decimal
from payouts.earned import Earner
from payouts.models import LedgerAccount, LedgerEntry, LedgerTransaction
from payouts.postings import AT_STRIPE
from payouts.statements import month_bounds

COLUMNS: Final = (
    *("at", "transaction", "kind", "account", "amount", "currency", "room", "room_ms"),
    "at_stripe",
)
BLOCK: Final = 2000
"""Entries read in one transaction, so that a slow download does not occupy a connection."""

_ACCOUNTS: Final = {AccountKind.CREATOR: "owed", AccountKind.CREATOR_HOLD: "held"}

_Row = sa.Row[LedgerEntry, LedgerTransaction, AccountKind]


async def entries_csv(database: Database, earner: Earner, month: str) -> AsyncIterator[str]:
    """The entries of a month, oldest first, in RFC 4180 and in pieces.

    A positive amount adds to what is owed or held. `at` is when it was booked, `at_stripe` when
    the underlying event happened at Stripe. It contains nobody's name. Raises NoMonth.
    """
    bounds = month_bounds(month)
    yield _lines([COLUMNS])
    after: tuple[datetime, int] | None = None
    while True:
        async with database.transaction() as session:
            rows = await _block(session, earner, bounds, after)
        if not rows:
            return
        yield _lines([_cells(*row) for row in rows])
        last = rows[-1][0]
        after = last.at, last.id


async def _block(
    session: AsyncSession,
    earner: Earner,
    bounds: tuple[datetime, datetime],
    after: tuple[datetime, int] | None,
) -> Sequence[_Row]:
    place = sa.tuple_(LedgerEntry.at, LedgerEntry.id)
    found = (
        sa.select(LedgerEntry, LedgerTransaction, LedgerAccount.kind)
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .where(earner.accounts(*_ACCOUNTS), LedgerEntry.at >= bounds[0], LedgerEntry.at < bounds[1])
        .order_by(place)
        .limit(BLOCK)
    )
    if after is not None:
        found = found.where(place > sa.tuple_(*after))
    return (await session.execute(found)).all()


def _cells(
    entry: LedgerEntry, transaction: LedgerTransaction, kind: AccountKind
) -> tuple[Any, ...]:
    return (
        entry.at.isoformat(),
        transaction.id,
        transaction.kind.value,
        _ACCOUNTS[kind],
        decimal(-entry.amount, entry.currency),
        entry.currency,
        transaction.room_id or "",
        "" if transaction.room_ms is None else transaction.room_ms,
        transaction.facts.get(AT_STRIPE, ""),
    )


def _lines(rows: Iterable[tuple[Any, ...]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
