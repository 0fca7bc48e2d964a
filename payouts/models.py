"""The tables of the books: accounts, transactions, entries, and lots of Stars. One set a platform.

Transactions, entries and allocations are append-only (triggers in `ledger_sql.py`). They have no
foreign keys to rows that many tips share, such as a platform, a room or a famous creator's account:
tips would queue for the locks that such keys take. Triggers check what the keys would.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

import core.auth.models  # noqa: F401 - tables that foreign keys of these refer to
from core.db import Base, members, row_check, text_enum
from core.ids import uuid7
from payouts import ledger_sql
from payouts.accounts import AccountKind
from payouts.lots import Lot, part

MOST_MATURITY: Final = timedelta(days=365)
"""No tip takes longer to mature, so pending tips are searched only in entries of this time."""


class LedgerAccount(Base):
    """`balance` is kept only for kinds that have a floor; others are summed from their entries."""

    __tablename__ = "ledger_account"
    __table_args__ = (
        sa.UniqueConstraint("platform_id", "kind", "owner", "currency"),
        sa.CheckConstraint(
            "ledger_account_holds(kind, currency, balance, open_disputes)", name="holds"
        ),
    )

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"))
    kind: Mapped[AccountKind] = mapped_column(text_enum(AccountKind, "account_kind", checked=False))
    owner: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    currency: Mapped[str] = mapped_column(sa.Text)
    balance: Mapped[int | None] = mapped_column(sa.BigInteger)
    open_disputes: Mapped[int] = mapped_column(default=0, server_default="0")
    """Of a wallet: while there are any, nothing can be spent from it."""


ACCOUNT_HOLDS: Final = row_check(
    "ledger_account",
    "kind text, currency text, balance bigint, open_disputes int",
    (
        f"kind in ({members(AccountKind)})",
        "currency ~ '^[A-Z]{3}$'",
        "(balance is not null) = (kind in ('wallet', 'wallet_hold', 'creator_hold'))",
        "(currency = 'XST') = (kind in ('wallet', 'wallet_hold', 'xst_issued'))",
        "kind not in ('wallet', 'wallet_hold') or balance >= 0",
        "kind <> 'creator_hold' or balance <= 0",
        "open_disputes >= 0",
    ),
)
sa.event.listen(LedgerAccount.__table__, "before_create", ACCOUNT_HOLDS)


class EventKind(StrEnum):
    PURCHASE = "purchase"
    PROMOTION = "promotion"
    TIP = "tip"
    REFUND_REQUESTED = "refund_requested"
    REFUND_SUCCEEDED = "refund_succeeded"
    REFUND_FAILED = "refund_failed"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    TRANSFER_INTENT = "transfer_intent"
    TRANSFER_CONFIRMED = "transfer_confirmed"
    TRANSFER_REFUSED = "transfer_refused"
    TRANSFER_REVERSED = "transfer_reversed"
    PAYOUT_PAID = "payout_paid"
    PAYOUT_FAILED = "payout_failed"
    PLATFORM_PAYOUT = "platform_payout"
    CONNECT_FEE = "connect_fee"
    STRIPE_FEE = "stripe_fee"
    TAX_PAID = "tax_paid"
    CREATOR_DELETED = "creator_deleted"


class LedgerTransaction(Base):
    """Something that happened, once per `external_key`."""

    __tablename__ = "ledger_transaction"
    __table_args__ = (
        sa.UniqueConstraint("platform_id", "external_key"),
        sa.Index(
            "uq_ledger_transaction_balance_transaction",
            "platform_id",
            "balance_transaction",
            unique=True,
            postgresql_where=sa.text("balance_transaction is not null"),
        ),
        sa.CheckConstraint("ledger_transaction_holds(kind, at, matures_at)", name="holds"),
        sa.Index(
            "ix_ledger_transaction_room_id",
            "room_id",
            postgresql_where=sa.text("room_id is not null"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    platform_id: Mapped[UUID]
    kind: Mapped[EventKind] = mapped_column(text_enum(EventKind, "event_kind", checked=False))
    external_key: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[datetime]
    balance_transaction: Mapped[str | None] = mapped_column(sa.Text)
    """Stripe's (`txn_...`), where the `stripe` account moves."""

    matures_at: Mapped[datetime | None]
    """Of a tip: from then on its earnings can be transferred and are never clawed back."""

    room_id: Mapped[UUID | None]
    room_ms: Mapped[int | None] = mapped_column(sa.BigInteger)
    facts: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    """What the entries were made from: ids and numbers, never names or messages."""


TRANSACTION_HOLDS: Final = row_check(
    "ledger_transaction",
    "kind text, at timestamptz, matures_at timestamptz",
    (
        f"kind in ({members(EventKind)})",
        f"matures_at is null or matures_at <= at + interval '{MOST_MATURITY.days} days'",
    ),
)
sa.event.listen(LedgerTransaction.__table__, "before_create", TRANSACTION_HOLDS)


class LedgerEntry(Base):
    """`at` is copied from its transaction, so that a month of an account is read from one index.

    Entries are stored in the order of time, as are their transactions' ids (UUIDv7). So a BRIN
    index is enough to find those of a transaction, which only disputes do; it costs a tip nothing.
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (
        sa.PrimaryKeyConstraint("account_id", "id", postgresql_include=["at", "amount"]),
        sa.CheckConstraint("amount <> 0", name="amount"),
        sa.Index(
            "ix_ledger_entry_transaction_id",
            "transaction_id",
            postgresql_using="brin",
            postgresql_with={"pages_per_range": "16", "autosummarize": "on"},
        ),
    )

    account_id: Mapped[int] = mapped_column(sa.BigInteger)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True))
    transaction_id: Mapped[UUID]
    at: Mapped[datetime]
    amount: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.Text)


class LedgerCheckpoint(Base):
    """The sum of an account's entries up to `through_id`; a reader adds those that came since."""

    __tablename__ = "ledger_checkpoint"

    account_id: Mapped[int] = mapped_column(
        sa.BigInteger, sa.ForeignKey("ledger_account.id"), primary_key=True
    )
    through_id: Mapped[int] = mapped_column(sa.BigInteger)
    balance: Mapped[int] = mapped_column(sa.BigInteger)
    taken_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class StarLot(Base):
    """What one purchase or grant put into a wallet; `id` is its transaction's.

    Stars leave it from the front: the first `gone` of them have been spent, given back or
    revoked, and floor(cash * gone / stars) of its cash with them.
    """

    __tablename__ = "star_lot"
    __table_args__ = (
        sa.CheckConstraint("stars > 0", name="stars"),
        sa.CheckConstraint("gone between 0 and stars", name="gone"),
        sa.CheckConstraint("cash_minor >= 0 and tax_minor >= 0", name="cash_minor"),
        sa.CheckConstraint("not promotional or cash_minor = 0", name="promotional"),
        sa.Index("ix_star_lot_wallet_id_bought_at_id", "wallet_id", "bought_at", "id"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    id: Mapped[UUID] = mapped_column(sa.ForeignKey("ledger_transaction.id"), primary_key=True)
    wallet_id: Mapped[int] = mapped_column(sa.BigInteger, sa.ForeignKey("ledger_account.id"))
    stars: Mapped[int]
    gone: Mapped[int] = mapped_column(default=0, server_default="0")
    cash_minor: Mapped[int] = mapped_column(sa.BigInteger)
    """Net of tax, in the settlement currency; the tax goes back with what is refunded."""

    tax_minor: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    currency: Mapped[str] = mapped_column(sa.Text)
    charged_in: Mapped[str] = mapped_column(sa.Text)
    """The currency that the buyer paid in: by the time of a refund the rate may have changed."""

    promotional: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    bought_at: Mapped[datetime]

    @property
    def as_lot(self) -> Lot:
        """For the arithmetic of `payouts.lots`."""
        return Lot(self.id, self.stars, self.gone, self.cash_minor, self.promotional)

    @property
    def tax_left_minor(self) -> int:
        """The tax on the Stars that are left; as `Lot.cash_left_minor`, exact to the unit."""
        return part(self.tax_minor, begin=self.gone, end=self.stars, whole=self.stars)


class StarAllocation(Base):
    """Which Stars of a lot a transaction moved, and the cash they released (negative: back)."""

    __tablename__ = "star_allocation"

    lot_id: Mapped[UUID] = mapped_column(primary_key=True)
    transaction_id: Mapped[UUID] = mapped_column(primary_key=True)
    offset: Mapped[int]
    """How many Stars of the transaction come before these."""

    stars: Mapped[int]
    cash_minor: Mapped[int] = mapped_column(sa.BigInteger)


class Creator(Base):
    """Somebody who has earned (the row is made with their first tip), or who has left."""

    __tablename__ = "creator"

    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user_account.id"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    payouts_failed_at: Mapped[datetime | None]
    """When the last payout to their bank failed; null again once one is paid."""

    leaving_at: Mapped[datetime | None]
    """When they asked to leave: from then on they are paid what is theirs, however little."""

    deleted_at: Mapped[datetime | None]
    """When they had left for good: nothing is owed to them any more."""


ledger_sql.install_with(Base.metadata)
