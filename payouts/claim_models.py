"""Tables of what buyers take back: refunds of unused Stars, and disputes with whom they hit."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, text_enum
from core.ids import uuid7


class ReturnState(StrEnum):
    """`failed` may follow `succeeded`: the bank sent the money back."""

    REQUESTED = "requested"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class LotReturn(Base):
    """All the Stars of a lot that were unused, out of the wallet while their money goes back."""

    __tablename__ = "lot_return"
    __table_args__ = (
        sa.CheckConstraint("stars > 0", name="stars"),
        sa.Index("ix_lot_return_lot_id", "lot_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"))
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user_account.id"))
    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("star_lot.id"))
    stars: Mapped[int]
    cash_minor: Mapped[int] = mapped_column(sa.BigInteger)
    tax_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.Text)
    state: Mapped[ReturnState] = mapped_column(
        text_enum(ReturnState, "return_state"), default=ReturnState.REQUESTED
    )
    requested_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class DisputeState(StrEnum):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


class LotDispute(Base):
    """A payment that the buyer's bank took back for now; sums in the settlement currency."""

    __tablename__ = "lot_dispute"
    __table_args__ = (
        sa.UniqueConstraint("platform_id", "stripe_dispute"),
        sa.CheckConstraint("amount_minor > 0", name="amount_minor"),
        sa.Index("ix_lot_dispute_lot_id", "lot_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"))
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user_account.id"))
    stripe_dispute: Mapped[str] = mapped_column(sa.Text)
    """`dp_...`"""

    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("star_lot.id"))
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    tax_minor: Mapped[int] = mapped_column(sa.BigInteger)
    """Within the amount."""

    state: Mapped[DisputeState] = mapped_column(
        text_enum(DisputeState, "dispute_state"), default=DisputeState.OPEN
    )
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class DisputeClaim(Base):
    """What a dispute takes of the cash that one tip released from the lot."""

    __tablename__ = "dispute_claim"

    dispute_id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot_dispute.id"), primary_key=True)
    tip_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("ledger_transaction.id"), primary_key=True, index=True
    )
    cash_minor: Mapped[int] = mapped_column(sa.BigInteger)


class DisputeHold(Base):
    """One creator's part in a claim."""

    __tablename__ = "dispute_hold"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["dispute_id", "tip_id"], ["dispute_claim.dispute_id", "dispute_claim.tip_id"]
        ),
        sa.CheckConstraint("amount_minor > 0", name="amount_minor"),
        sa.Index("ix_dispute_hold_creator_id", "creator_id"),
    )

    dispute_id: Mapped[UUID] = mapped_column(primary_key=True)
    tip_id: Mapped[UUID] = mapped_column(primary_key=True)
    creator_id: Mapped[UUID] = mapped_column(primary_key=True)
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    held: Mapped[bool]
    """False: the tip had matured, so the loss would be ours."""
