"""What was recorded: placements, the recording, its segments, tracks and gaps.

Sample counts are at 48 kHz. Media time skips pauses (off the record), room time does not;
each segment carries both, which is the map between them.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

import rooms.models  # noqa: F401 - tables that foreign keys of these refer to
from core.db import Base, text_enum
from core.ids import uuid7


class IngestWorker(Base):
    """One machine that receives: a receive and a package process over one disk."""

    __tablename__ = "ingest_worker"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    whip_url: Mapped[str] = mapped_column(sa.Text)
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    alive_seconds: Mapped[float] = mapped_column(sa.Double, default=15.0, server_default="15")
    """With an older heartbeat it counts as stalled: others take its rooms over."""

    sessions: Mapped[int] = mapped_column(default=0, server_default="0")
    """Speakers that are connected to it."""

    draining: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """It takes no more rooms."""

    moving: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Besides, it hands over those that it has."""


class RecordingStatus(StrEnum):
    """`live`: being written; `stored`: every object and row is in place."""

    LIVE = "live"
    STORED = "stored"


class Recording(Base):
    __tablename__ = "recording"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    room_id: Mapped[UUID] = mapped_column(sa.ForeignKey("room.id"), unique=True)
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"))
    worker_id: Mapped[UUID] = mapped_column(sa.ForeignKey("ingest_worker.id"), index=True)
    epoch: Mapped[int]
    revision: Mapped[int] = mapped_column(default=1, server_default="1")
    status: Mapped[RecordingStatus] = mapped_column(
        text_enum(RecordingStatus, "recording_status"), default=RecordingStatus.LIVE
    )
    live_at: Mapped[datetime]
    media_samples: Mapped[int | None] = mapped_column(sa.BigInteger)
    """Length of the media timeline, set at the end."""

    packets_received: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    packets_lost: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    last_peer_at: Mapped[datetime | None]
    """When somebody was last known to be connected (`ingest.attendance`); null at the start."""

    ended_at: Mapped[datetime | None]
    stored_at: Mapped[datetime | None]
    compacted_at: Mapped[datetime | None]
    """Since when the rows point into one object per rendition (`replay.compaction`)."""

    swept_at: Mapped[datetime | None]
    """When the segments' own objects were deleted."""


class RecordingEpoch(Base):
    """One placement of a recording: epoch by epoch, who received it from when on."""

    __tablename__ = "recording_epoch"

    recording_id: Mapped[UUID] = mapped_column(sa.ForeignKey("recording.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    worker_id: Mapped[UUID] = mapped_column(sa.ForeignKey("ingest_worker.id"))
    began_ms: Mapped[int] = mapped_column(sa.BigInteger)
    """On the room's clock; what arrived before at an earlier worker is that one's to keep."""

    complete_until_ms: Mapped[float | None] = mapped_column(sa.Double)
    """All that arrived in this epoch, which was until then, is stored; null until that is so."""


class Rendition(Base):
    """What the master playlist may list: the mix, and each speaker's track."""

    __tablename__ = "rendition"
    __table_args__ = (sa.UniqueConstraint("recording_id", "name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    recording_id: Mapped[UUID] = mapped_column(sa.ForeignKey("recording.id"))
    name: Mapped[str] = mapped_column(sa.Text)
    """`mix`, or `track-<participant id>`."""

    participant_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("participant.id"))
    codec: Mapped[str] = mapped_column(sa.Text)
    """RFC 6381: `mp4a.40.2`, `opus`."""

    init_key: Mapped[str] = mapped_column(sa.Text)
    init_bytes: Mapped[int]
    object_key: Mapped[str | None] = mapped_column(sa.Text)
    """After compaction: the object that holds the init segment, then every segment."""

    object_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    object_sha256: Mapped[str | None] = mapped_column(sa.Text)


class Segment(Base):
    """2 s of mix or about 30 s of a track: `bytes` of the object, from `byte_start` on."""

    __tablename__ = "segment"

    rendition_id: Mapped[UUID] = mapped_column(sa.ForeignKey("rendition.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int]
    object_key: Mapped[str] = mapped_column(sa.Text)
    byte_start: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    bytes: Mapped[int] = mapped_column(sa.BigInteger)
    sha256: Mapped[str] = mapped_column(sa.Text)
    media_start: Mapped[int] = mapped_column(sa.BigInteger)
    samples: Mapped[int] = mapped_column(sa.BigInteger)
    room_start_ms: Mapped[float] = mapped_column(sa.Double)
    discontinuity: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    stored_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class GapCause(StrEnum):
    """Why a stretch of a recording has no sound of somebody, or of anybody."""

    RECEIVER_DOWN = "receiver_down"
    PACKETS_LOST = "packets_lost"
    DISK_FULL = "disk_full"
    OFF_THE_RECORD = "off_the_record"
    CONNECTION_LOST = "connection_lost"
    WORKER_LOST = "worker_lost"


class Gap(Base):
    """A stretch that is missing, on the room's clock. `participant_id` is null for all tracks."""

    __tablename__ = "gap"
    __table_args__ = (sa.UniqueConstraint("recording_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    recording_id: Mapped[UUID] = mapped_column(sa.ForeignKey("recording.id"))
    number: Mapped[int]
    """The gap's number in the manifest: what makes its row unique."""

    participant_id: Mapped[UUID | None]
    cause: Mapped[GapCause] = mapped_column(text_enum(GapCause, "gap_cause"))
    room_start_ms: Mapped[float] = mapped_column(sa.Double)
    room_end_ms: Mapped[float] = mapped_column(sa.Double)
