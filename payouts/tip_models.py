"""Tables of tips as people see them (their money is in the ledger), goals, own spending limits.

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
    """`id` is that of its transaction in the ledger, which says who earned what."""

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
    """The goal that it counted towards."""

    stars: Mapped[int]
    message: Mapped[str | None] = mapped_column(sa.Text)
    anonymous: Mapped[bool]
    live: Mapped[bool]
    """Sent while the room was live."""

    room_ms: Mapped[int] = mapped_column(sa.BigInteger)
    """What was being heard, on the room's clock: the tip is pinned to what was said then."""

    at: Mapped[datetime]
    wish_sha256: Mapped[bytes]
    """Digest of the whole wish: the same client key with another wish is refused."""

    payer_stars: Mapped[int] = mapped_column(sa.BigInteger)
    """All Stars that the payer has tipped up to and with this tip; it grows with `at`. What was
    spent between two tips is the difference of theirs, however many came in between."""

    thanked_at: Mapped[datetime | None]
    hidden_at: Mapped[datetime | None]
    """From then on only its writer sees the message."""


class RoomGoal(Base):
    """What a room collects for. Tips count towards the room's open goal; there is one at most."""

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
    """A limit that somebody has set for themselves, in Stars; null where they set none."""

    __tablename__ = "spending_limit"
    __table_args__ = (sa.CheckConstraint("hour_stars >= 0 and day_stars >= 0", name="stars"),)

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user_account.id"), primary_key=True)
    hour_stars: Mapped[int | None]
    day_stars: Mapped[int | None]
    set_at: Mapped[datetime] = mapped_column(server_default=sa.func.now(), onupdate=sa.func.now())


tip_sql.install_with(Base.metadata)
