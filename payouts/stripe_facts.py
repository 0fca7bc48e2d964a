"""Tables of what Stripe did, to compare the books with: movements, transfers, exceptions."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, text_enum
from core.ids import uuid7


class StripeBalanceTransaction(Base):
    """A balance transaction that we know of, in the settlement currency.

    Its posting names it in `ledger_transaction.balance_transaction`.
    """

    __tablename__ = "stripe_balance_transaction"
    __table_args__ = (
        sa.CheckConstraint("net_minor = amount_minor - fee_minor", name="net"),
        sa.Index("ix_stripe_balance_transaction_platform_id_at", "platform_id", "at"),
        sa.Index(
            "ix_stripe_balance_transaction_transfer_intent_id",
            "transfer_intent_id",
            postgresql_where=sa.text("transfer_intent_id is not null"),
        ),
    )

    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"), primary_key=True)
    id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    """`txn_...`"""

    kind: Mapped[str] = mapped_column(sa.Text)
    """Stripe's `type`."""

    source: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    """`ch_...`, `re_...`, `tr_...`, `po_...`"""

    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    fee_minor: Mapped[int] = mapped_column(sa.BigInteger)
    net_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[datetime]
    transfer_intent_id: Mapped[UUID | None]
    """Of a transfer: the intent that its `transfer_group` names."""

    seen_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class IntentState(StrEnum):
    """Only moves forward. `open`: it is not known yet whether Stripe has made the transfer."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


class TransferIntent(Base):
    """One sum for one creator, committed before Stripe is asked; its id is the idempotency key."""

    __tablename__ = "transfer_intent"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["platform_id", "creator_id"], ["creator.platform_id", "creator.user_id"]
        ),
        sa.CheckConstraint("amount_minor > 0", name="amount_minor"),
        sa.CheckConstraint("reversed_minor between 0 and amount_minor", name="reversed_minor"),
        sa.CheckConstraint(
            "(state = 'confirmed') = (stripe_transfer is not null)", name="confirmed"
        ),
        sa.Index(
            "uq_transfer_intent_open",
            "platform_id",
            "creator_id",
            unique=True,
            postgresql_where=sa.text("state = 'open'"),
        ),
        sa.Index("ix_transfer_intent_platform_id_creator_id", "platform_id", "creator_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    platform_id: Mapped[UUID]
    creator_id: Mapped[UUID]
    """Their user id."""

    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.Text)
    destination: Mapped[str] = mapped_column(sa.Text)
    """The connected account (`acct_...`)."""

    state: Mapped[IntentState] = mapped_column(
        text_enum(IntentState, "intent_state"), default=IntentState.OPEN
    )
    stripe_transfer: Mapped[str | None] = mapped_column(sa.Text, unique=True)
    """`tr_...`"""

    reversed_minor: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    error_code: Mapped[str | None] = mapped_column(sa.Text)
    """Why it was refused, as Stripe's error code or ours."""

    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class MoneyException(Base):
    """Something at Stripe that no posting explains, for an operator to look at and resolve."""

    __tablename__ = "money_exception"
    __table_args__ = (
        sa.UniqueConstraint("platform_id", "object_id", "reason"),
        sa.Index(
            "ix_money_exception_unresolved",
            "platform_id",
            postgresql_where=sa.text("resolved_at is null"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"))
    object_id: Mapped[str] = mapped_column(sa.Text)
    """`txn_...`, `ch_...`, `tr_...`, `evt_...`"""

    reason: Mapped[str] = mapped_column(sa.Text)
    """A stable code."""

    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None] = mapped_column(sa.Text)
