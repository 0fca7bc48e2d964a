"""Tables of what we ask of Stripe and know of it. The money itself is in the ledger.

A row is written before Stripe is called, and its id is the call's idempotency key: whoever finds
the row open can repeat the call.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, text_enum
from core.ids import uuid7


class StripeBooks(Base):
    """One row: mode and settlement currency of this installation's books, for good."""

    __tablename__ = "stripe_books"
    __table_args__ = (
        sa.CheckConstraint("id = 1", name="one"),
        sa.CheckConstraint("not livemode or clock_ahead = interval '0'", name="clock_ahead"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    livemode: Mapped[bool]
    currency: Mapped[str] = mapped_column(sa.Text)
    """The settlement currency, ISO 4217."""

    opened_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    reconciled_to: Mapped[datetime | None]
    """Everything that Stripe did before then has been compared with the postings."""

    clock_ahead: Mapped[timedelta] = mapped_column(
        sa.Interval, default=timedelta(), server_default="0"
    )
    """With test money: how far the sandbox's clock was ahead of the machine's when last read."""


class OrderState(StrEnum):
    """Forward only, but for `failed`, which a later payment of the same order overtakes.

    `paid`: its Stars are in the wallet.
    """

    NEW = "new"
    OPEN = "open"
    PAID = "paid"
    EXPIRED = "expired"
    FAILED = "failed"


class StarOrder(Base):
    """A pack that somebody wants to buy, as it was priced then."""

    __tablename__ = "star_order"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "client_key"),
        sa.CheckConstraint("stars > 0 and price_minor > 0", name="amounts"),
        sa.CheckConstraint("tax_minor between 0 and price_minor", name="tax"),
        sa.CheckConstraint("(state = 'paid') = (paid_at is not null)", name="paid"),
        sa.Index("ix_star_order_user_id_id", "user_id", "id"),
        sa.Index(
            "ix_star_order_waiting",
            "expires_at",
            postgresql_where=sa.text("state in ('new', 'open')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"))
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user_account.id"))
    client_key: Mapped[str] = mapped_column(sa.Text)
    """The buyer's idempotency key: sent twice, it is one order."""

    pack: Mapped[str] = mapped_column(sa.Text)
    stars: Mapped[int]
    price_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.Text)
    tax_minor: Mapped[int] = mapped_column(sa.BigInteger)
    """Within the price, in its currency."""

    livemode: Mapped[bool]
    state: Mapped[OrderState] = mapped_column(
        text_enum(OrderState, "order_state"), default=OrderState.NEW
    )
    checkout_session: Mapped[str | None] = mapped_column(sa.Text, unique=True)
    checkout_url: Mapped[str | None] = mapped_column(sa.Text)
    payment_intent: Mapped[str | None] = mapped_column(sa.Text)
    charge: Mapped[str | None] = mapped_column(sa.Text, unique=True)
    lot_id: Mapped[UUID | None]
    """The lot of its Stars, once it is paid."""

    failure_code: Mapped[str | None] = mapped_column(sa.Text)
    """Of the last declined attempt; the buyer may try another card on the same page."""

    paid_with: Mapped[str | None] = mapped_column(sa.Text)
    receipt_url: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    expires_at: Mapped[datetime]
    paid_at: Mapped[datetime | None]


class RefundState(StrEnum):
    """`failed` may follow `succeeded`: the bank sent the money back."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class StarRefund(Base):
    """A refund at Stripe of an order's unused Stars; `id` is that of its `lot_return`."""

    __tablename__ = "star_refund"
    __table_args__ = (
        sa.CheckConstraint("amount_minor > 0", name="amount_minor"),
        sa.Index(
            "uq_star_refund_open",
            "order_id",
            unique=True,
            postgresql_where=sa.text("state = 'open'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot_return.id"), primary_key=True)
    order_id: Mapped[UUID] = mapped_column(sa.ForeignKey("star_order.id"), index=True)
    stars: Mapped[int]
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    """In the order's currency, including tax."""

    state: Mapped[RefundState] = mapped_column(
        text_enum(RefundState, "refund_state"), default=RefundState.OPEN
    )
    stripe_refund: Mapped[str | None] = mapped_column(sa.Text, unique=True)
    failure_code: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    settled_at: Mapped[datetime | None]


class ConnectedAccount(Base):
    """A creator's account at Stripe, as it was when Stripe last told us of it."""

    __tablename__ = "connected_account"
    __table_args__ = (sa.UniqueConstraint("platform_id", "user_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"))
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user_account.id"))
    livemode: Mapped[bool]
    country: Mapped[str | None] = mapped_column(sa.Text)
    account: Mapped[str | None] = mapped_column(sa.Text, unique=True)
    """Stripe's id, `acct_...`; None until Stripe has made it."""

    transfers_active: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    payouts_enabled: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    details_submitted: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    due: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    pending: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    disabled_reason: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    read_at: Mapped[datetime | None]
    """When it was last fetched: an older answer never overwrites a newer one."""


class InboxState(StrEnum):
    """`set_aside`: it could not be worked on; a `money_exception` says why."""

    RECEIVED = "received"
    DONE = "done"
    SET_ASIDE = "set_aside"


class InboxEvent(Base):
    """An event of Stripe's. Its contents are not kept, since the object it is about is fetched."""

    __tablename__ = "stripe_event"
    __table_args__ = (
        sa.Index(
            "ix_stripe_event_waiting",
            "received_at",
            postgresql_where=sa.text("state = 'received'"),
        ),
    )

    id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.Text)
    subject: Mapped[str] = mapped_column(sa.Text)
    account: Mapped[str | None] = mapped_column(sa.Text)
    api_version: Mapped[str | None] = mapped_column(sa.Text)
    livemode: Mapped[bool]
    created_at: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    state: Mapped[InboxState] = mapped_column(
        text_enum(InboxState, "inbox_state"), default=InboxState.RECEIVED
    )
    settled_at: Mapped[datetime | None]
