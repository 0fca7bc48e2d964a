"""Rooms, who is in them, and what happened on the room's clock.

`room_ms` is milliseconds since `Room.live_at`, which the database sets at go-live.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

import core.auth.models  # noqa: F401 - tables that foreign keys of these refer to
from core.db import Base, members, row_check, text_enum
from core.ids import uuid7
from rooms import event_sql
from rooms.event_sql import COURSE

WHOLE_BPS: Final = 10_000
"""All of a tip, in 1/100 of a percent."""


class RoomState(StrEnum):
    SCHEDULED = "scheduled"
    LIVE = "live"
    ENDED = "ended"


class Visibility(StrEnum):
    """Public rooms are listed; unlisted ones open by link; group rooms exist for members only."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    GROUP = "group"


class Role(StrEnum):
    HOST = "host"
    COHOST = "cohost"
    SPEAKER = "speaker"
    LISTENER = "listener"


ON_STAGE = (Role.HOST, Role.COHOST, Role.SPEAKER)


class RecordingState(StrEnum):
    """`off`: never started or stopped for good; `paused`: off the record."""

    OFF = "off"
    ON = "on"
    PAUSED = "paused"


class Group(Base):
    """A list of people that members-only rooms belong to; `key` is the platform's name for it."""

    __tablename__ = "member_group"
    __table_args__ = (sa.UniqueConstraint("platform_id", "key"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"))
    key: Mapped[str] = mapped_column(sa.Text)
    name: Mapped[str] = mapped_column(sa.Text)
    owner_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class GroupMember(Base):
    __tablename__ = "group_member"

    group_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("member_group.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("user_account.id"), primary_key=True, index=True
    )
    added_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class Room(Base):
    __tablename__ = "room"
    __table_args__ = (
        sa.CheckConstraint(
            "room_holds(state, visibility, recording_state, group_id, live_at, speakers_share_bps)",
            name="holds",
        ),
        sa.Index("ix_room_platform_id_state_id", "platform_id", "state", "id"),
        sa.Index(
            "ix_room_recording_open",
            "id",
            postgresql_where=sa.text("recording_id is not null and recording_closed_at is null"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"))
    host_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user_account.id"), index=True)
    title: Mapped[str] = mapped_column(sa.Text)
    description: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    topics: Mapped[list[str]] = mapped_column(server_default="{}")
    language: Mapped[str] = mapped_column(sa.Text, default="en", server_default="en")
    visibility: Mapped[Visibility] = mapped_column(
        text_enum(Visibility, "visibility", checked=False)
    )
    group_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("member_group.id"), index=True)
    state: Mapped[RoomState] = mapped_column(
        text_enum(RoomState, "room_state", checked=False), default=RoomState.SCHEDULED
    )
    scheduled_at: Mapped[datetime | None]
    live_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    duration_ms: Mapped[int | None] = mapped_column(sa.BigInteger)
    """Length on the room's clock, set at the end."""

    speakers_share_bps: Mapped[int] = mapped_column(default=0, server_default="0")
    """Offered to who comes on stage from now on: of every tip, in 1/100 of a percent, what the
    speakers on stage share equally."""

    record_from_start: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    recording_state: Mapped[RecordingState] = mapped_column(
        text_enum(RecordingState, "recording_state", checked=False), default=RecordingState.OFF
    )
    recording_id: Mapped[UUID | None] = mapped_column(unique=True)
    """Made at go-live; ingest's `recording` row has this id."""

    recording_closed_at: Mapped[datetime | None]
    """Ingest has written the end of the recording: nothing more is to be received."""

    epoch: Mapped[int] = mapped_column(default=0, server_default="0")
    """Rises with every placement on a receiving worker; fences writes of earlier ones."""

    event_seq: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    event_ms: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    """Highest `room_ms` recorded so far: a clock that is set back moves no event back."""

    course_version: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    """Another one whenever it is told anew who was on stage or what was recorded, and when."""

    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


HOLDS: Final = row_check(
    "room",
    "state text, visibility text, recording_state text, group_id uuid, live_at timestamptz, "
    "speakers_share_bps int",
    (
        f"state in ({members(RoomState)})",
        f"visibility in ({members(Visibility)})",
        f"recording_state in ({members(RecordingState)})",
        "(visibility = 'group') = (group_id is not null)",
        "(state = 'scheduled') = (live_at is null)",
        f"speakers_share_bps between 0 and {WHOLE_BPS}",
    ),
)
sa.event.listen(Room.__table__, "before_create", HOLDS)


class Participant(Base):
    """One person in one room: the stage, the hands, and the consent to be recorded."""

    __tablename__ = "participant"
    __table_args__ = (sa.UniqueConstraint("room_id", "user_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    room_id: Mapped[UUID] = mapped_column(sa.ForeignKey("room.id"))
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user_account.id"), index=True)
    display_name: Mapped[str] = mapped_column(sa.Text)
    role: Mapped[Role] = mapped_column(text_enum(Role, "role"))
    invited_role: Mapped[Role | None] = mapped_column(text_enum(Role, "invited_role"))
    share_bps: Mapped[int] = mapped_column(default=0, server_default="0")
    """The room's `speakers_share_bps` as it was offered with the stage, agreed to by taking it."""

    muted: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    hand_raised_at: Mapped[datetime | None]
    consented_at: Mapped[datetime | None]
    joined_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    """Removed by the host: may not come back."""

    @property
    def present(self) -> bool:
        return self.joined_at is not None and self.left_at is None and self.removed_at is None

    @property
    def on_stage(self) -> bool:
        return self.present and self.role in ON_STAGE

    @property
    def hand_raised(self) -> bool:
        return self.hand_raised_at is not None

    @property
    def consented(self) -> bool:
        return self.consented_at is not None

    @property
    def removed(self) -> bool:
        return self.removed_at is not None


class RoomEvent(Base):
    """Durable, in per-room order: `seq` is taken under the room's row lock (decisions: Events)."""

    __tablename__ = "room_event"
    __table_args__ = (
        sa.Index(
            "ix_room_event_consent_withdrawn",
            "room_id",
            "at",
            postgresql_where=sa.text("kind = 'consent.withdrawn'"),
        ),
        sa.Index(
            "ix_room_event_course",
            "room_id",
            "seq",
            postgresql_where=sa.text(f"kind in ({COURSE})"),
        ),
    )

    room_id: Mapped[UUID] = mapped_column(sa.ForeignKey("room.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    room_ms: Mapped[int | None] = mapped_column(sa.BigInteger)
    kind: Mapped[str] = mapped_column(sa.Text)
    actor_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(server_default=sa.func.clock_timestamp())


event_sql.install_with(Base.metadata)
