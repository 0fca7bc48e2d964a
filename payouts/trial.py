"""The trial balance: debits and credits of all accounts, summed by kind and currency."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from payouts.accounts import AccountKind
from payouts.models import LedgerAccount, LedgerEntry

TOTAL: Final = "total"


@dataclass(frozen=True)
class TrialLine:
    """All accounts of a kind in a currency; amounts in minor units, both positive."""

    account: str
    currency: str
    debit: int
    credit: int


async def trial_balance(session: AsyncSession, platform_id: UUID | None = None) -> list[TrialLine]:
    """Of one platform or of all. Reads every entry; in each currency debits equal credits."""
    amount = LedgerEntry.amount
    debit, credit = (
        sa.func.coalesce(sa.func.sum(side).filter(condition), 0)
        for side, condition in ((amount, amount > 0), (-amount, amount < 0))
    )
    query = (
        sa.select(LedgerAccount.kind, LedgerAccount.currency, debit, credit)
        .join(LedgerEntry, LedgerEntry.account_id == LedgerAccount.id)
        .group_by(LedgerAccount.kind, LedgerAccount.currency)
    )
    if platform_id is not None:
        query = query.where(LedgerAccount.platform_id == platform_id)
    order = list(AccountKind)
    rows = sorted(await session.execute(query), key=lambda row: (row[1], order.index(row[0])))
    return [TrialLine(kind.value, currency, int(d), int(c)) for kind, currency, d, c in rows]


def totals(lines: Sequence[TrialLine]) -> list[TrialLine]:
    """One line for each currency: debit and credit are equal, or the books are broken."""
    found = []
    for currency in dict.fromkeys(line.currency for line in lines):
        mine = [line for line in lines if line.currency == currency]
        debit, credit = sum(line.debit for line in mine), sum(line.credit for line in mine)
        found.append(TrialLine(TOTAL, currency, debit, credit))
    return found
