"""A platform with a listener and creators, whose money moves by a few words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from payouts import ledger, purchases
from payouts.accounts import STARS, Account, AccountKind
from payouts.gateway_models import StripeBooks
from payouts.ledger import Booked
from payouts.models import LedgerAccount, LedgerEntry
from payouts.postings import BalanceTransaction, Pin, Share, Terms
from payouts.spending import Tip
from tests.factories import make_platform, make_user
from tests.payouts.booking import book_tip

TERMS = Terms()


def charge(
    amount: int = 699,
    fee: int = 50,
    *,
    kind: str = "charge",
    source: str = "",
    at: datetime | None = None,
) -> BalanceTransaction:
    return BalanceTransaction(
        id=f"txn_{uuid4().hex}",
        kind=kind,
        amount_minor=amount,
        fee_minor=fee,
        currency=TERMS.currency,
        at=at or datetime.now(UTC),
        source=source,
    )


@dataclass
class Till:
    """One platform's money in one session: events by name, and what the accounts say."""

    session: AsyncSession
    platform_id: UUID
    listener: UUID
    creators: list[UUID] = field(default_factory=list)

    async def buy(
        self,
        stars: int = 500,
        amount: int = 699,
        fee: int = 50,
        *,
        tax: int = 0,
        charged_in: str | None = None,
    ) -> UUID:
        booked = await purchases.book_purchase(
            self.session,
            platform_id=self.platform_id,
            user_id=self.listener,
            key=f"purchase:{uuid4()}",
            stars=stars,
            charge=charge(amount, fee),
            tax_minor=tax,
            charged_in=charged_in,
        )
        return booked.transaction_id

    async def grant(self, stars: int) -> UUID:
        booked = await purchases.grant(
            self.session,
            platform_id=self.platform_id,
            user_id=self.listener,
            key=f"promotion:{uuid4()}",
            stars=stars,
            currency=TERMS.currency,
        )
        return booked.transaction_id

    async def tip(
        self,
        stars: int,
        shares: Sequence[Share] | None = None,
        *,
        key: str | None = None,
        pin: Pin | None = None,
    ) -> Booked:
        tip = Tip(
            payer_id=self.listener,
            key=key or f"tip:{uuid4()}",
            stars=stars,
            shares=shares or [Share(self.creators[0])],
            pin=pin,
        )
        return await book_tip(self.session, platform_id=self.platform_id, tip=tip, terms=TERMS)

    async def entries(self, transaction_id: UUID) -> dict[str, int]:
        """By account name, people as `listener` and `creator0`."""
        found = await ledger.entries_of(self.session, transaction_id)
        return {self._named(str(entry.account)): entry.amount for entry in found}

    async def balances(self) -> dict[str, int]:
        """Every account that is not at 0, as the sum of its entries."""
        total = sa.func.sum(LedgerEntry.amount)
        rows = await self.session.execute(
            sa.select(LedgerAccount.kind, LedgerAccount.owner, total)
            .join(LedgerEntry, LedgerEntry.account_id == LedgerAccount.id)
            .where(LedgerAccount.platform_id == self.platform_id)
            .group_by(LedgerAccount.id)
            .having(total != 0)
        )
        return {self._named(str(Account(kind, "", owner))): int(sum_) for kind, owner, sum_ in rows}

    async def wallet(self) -> int:
        return await ledger.balance(
            self.session,
            self.platform_id,
            Account(AccountKind.WALLET, STARS, str(self.listener)),
        )

    def _named(self, account: str) -> str:
        account = account.replace(f":{self.listener}", "")
        for number, creator in enumerate(self.creators):
            account = account.replace(f":{creator}", str(number or ""))
        return account


async def on_our_clock(session: AsyncSession, *, ahead: timedelta = timedelta()) -> None:
    """Until the session's end: tests of the sandbox move the clock of test money."""
    row = {"id": 1, "livemode": False, "currency": TERMS.currency, "clock_ahead": ahead}
    books = insert(StripeBooks).values(row)
    await session.execute(
        books.on_conflict_do_update(index_elements=["id"], set_={"clock_ahead": ahead})
    )


async def make_till(session: AsyncSession, *, creators: int = 1) -> Till:
    platform = await make_platform(session)
    people = [(await make_user(session, platform)).id for _ in range(creators + 1)]
    return Till(session, platform.id, people[0], people[1:])


async def committed_till(database: Database, *, creators: int = 1) -> Till:
    """Whose people are there for every connection; give it a session before use."""
    async with database.transaction() as session:
        return await make_till(session, creators=creators)
