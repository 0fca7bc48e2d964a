"""Tips as people see them, beside what the ledger holds of them; goals; own spending limits.

As in the books, no foreign key refers to a row that many tips share.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

import rooms.models  # noqa: F401 - tables that foreign keys of these refer to
from core.db import Base
from core.ids import uuid7
from payouts import tip_sql


class RoomTip(Base):
    """`id` is its transaction's in the ledger, which holds who earned what by it."""

    __tablename__ = "room_tip"
    __table_args__ = (
        sa.CheckConstraint("stars > 0", name="stars"),
        sa.CheckConstraint("room_ms >= 0", name="room_ms"),
        sa.Index("ix_room_tip_room_id_room_ms_id", "room_id", "room_ms", "id"),
        sa.Index("ix_room_tip_payer_id_at_payer_stars", "payer_id", "at", "payer_stars"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    platform_id: Mapped[UUID]
    room_id: Mapped[UUID]
    payer_id: Mapped[UUID]
    goal_id: Mapped[UUID | None]
    """Counted towards it."""

    stars: Mapped[int]
    message: Mapped[str | None] = mapped_column(sa.Text)
    anonymous: Mapped[bool]
    live: Mapped[bool]
    """Sent while the room was live."""

    room_ms: Mapped[int] = mapped_column(sa.BigInteger)
    """What was being heard: the tip is pinned to whatever was said then."""

    at: Mapped[datetime]
    wish_sha256: Mapped[bytes]
    """Of all that was asked for: the same client key with another wish is refused."""

    payer_stars: Mapped[int] = mapped_column(sa.BigInteger)
    """What the payer had tipped by then, with this one: it grows with `at`. Two rows say what was
    spent in between, however many tips that were."""

    thanked_at: Mapped[datetime | None]
    hidden_at: Mapped[datetime | None]
    """The message is shown to its writer alone."""


class RoomGoal(Base):
    """What a room collects for. At most one of a room is open, and tips count towards that."""

    __tablename__ = "room_goal"
    __table_args__ = (
        sa.CheckConstraint("target_stars > 0", name="target_stars"),
        sa.CheckConstraint("raised_stars >= 0", name="raised_stars"),
        sa.Index(
            "uq_room_goal_open",
            "room_id",
            unique=True,
            postgresql_where=sa.text("closed_at is null"),
        ),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    room_id: Mapped[UUID] = mapped_column(sa.ForeignKey("room.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(sa.Text)
    target_stars: Mapped[int]
    raised_stars: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    set_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    reached_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class SpendingLimit(Base):
    """What somebody allows themselves, in Stars; null: as much as everybody may."""

    __tablename__ = "spending_limit"
    __table_args__ = (sa.CheckConstraint("hour_stars >= 0 and day_stars >= 0", name="stars"),)

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user_account.id"), primary_key=True)
    hour_stars: Mapped[int | None]
    day_stars: Mapped[int | None]
    set_at: Mapped[datetime] = mapped_column(server_default=sa.func.now(), onupdate=sa.func.now())


tip_sql.install_with(Base.metadata)
