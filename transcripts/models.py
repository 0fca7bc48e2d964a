"""What was said: runs of a model over a recording, what people made of them, what is published.

A run never changes once it is done; edits are patches over (track, time) and survive another
run. All times are milliseconds on the room's clock.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

import ingest.models  # noqa: F401 - tables that foreign keys of these refer to
from core.db import Base, text_enum
from core.ids import uuid7


class RunStatus(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


UNDER_WAY: Final = (RunStatus.WAITING, RunStatus.RUNNING)


class Run(Base):
    """One model over one revision of a recording."""

    __tablename__ = "transcript_run"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    recording_id: Mapped[UUID] = mapped_column(sa.ForeignKey("recording.id"), index=True)
    revision: Mapped[int]
    model: Mapped[str] = mapped_column(sa.Text)
    """As it was asked for; `model_digest` tells which weights that were."""

    model_digest: Mapped[str | None] = mapped_column(sa.Text)
    compute_type: Mapped[str | None] = mapped_column(sa.Text)
    status: Mapped[RunStatus] = mapped_column(
        text_enum(RunStatus, "run_status"), default=RunStatus.WAITING
    )
    error_code: Mapped[str | None] = mapped_column(sa.Text)
    requested_by: Mapped[UUID | None]
    """Null: made because the room had ended."""

    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class RunTrack(Base):
    """One speaker in a run."""

    __tablename__ = "transcript_run_track"

    run_id: Mapped[UUID] = mapped_column(sa.ForeignKey("transcript_run.id"), primary_key=True)
    participant_id: Mapped[UUID] = mapped_column(sa.ForeignKey("participant.id"), primary_key=True)
    language: Mapped[str | None] = mapped_column(sa.Text)
    """Null where nobody spoke."""

    language_probability: Mapped[float] = mapped_column(sa.Double, default=0.0)
    """1 where a person chose it."""

    speech_ms: Mapped[int] = mapped_column(sa.BigInteger)


class Window(Base):
    """At most 30 s of one speaker's speech, packed; its words are stored as soon as they are."""

    __tablename__ = "transcript_window"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["run_id", "participant_id"],
            ["transcript_run_track.run_id", "transcript_run_track.participant_id"],
        ),
    )

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    participant_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    regions: Mapped[list[list[int]]] = mapped_column(JSONB)
    """The stretches of speech in it: [start_ms, end_ms], in order."""

    words: Mapped[list[list[Any]] | None] = mapped_column(JSONB)
    """[start_ms, end_ms, text, confidence] each; null until it has been decoded."""

    missing: Mapped[list[list[int]]] = mapped_column(JSONB, default=list, server_default="[]")
    """[start_ms, end_ms] of speech in which hardly a word was understood."""

    decoded_at: Mapped[datetime | None]


class TrackLanguage(Base):
    """What a speaker speaks, as they or the host said, before the room, in it or after.

    Without a row it is detected. A participant is of one room, and that has one recording.
    """

    __tablename__ = "transcript_track_language"

    participant_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("participant.id", ondelete="CASCADE"), primary_key=True
    )
    language: Mapped[str] = mapped_column(sa.Text)
    set_by: Mapped[UUID | None]
    """Null: the platform."""

    set_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class Transcript(Base):
    """What of a recording is published. `version` rises with every change of it."""

    __tablename__ = "transcript"

    recording_id: Mapped[UUID] = mapped_column(sa.ForeignKey("recording.id"), primary_key=True)
    run_id: Mapped[UUID] = mapped_column(sa.ForeignKey("transcript_run.id"))
    version: Mapped[int] = mapped_column(default=1)
    run_version: Mapped[int] = mapped_column(default=1, server_default="1")
    """The one that brought `run_id`."""

    published_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class Cue(Base):
    """What is read, shown and searched: run and patches, cut into readable pieces."""

    __tablename__ = "transcript_cue"
    __table_args__ = (
        sa.Index("ix_transcript_cue_recording_id_start_ms", "recording_id", "start_ms"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    recording_id: Mapped[UUID] = mapped_column(sa.ForeignKey("recording.id"))
    room_id: Mapped[UUID] = mapped_column(sa.ForeignKey("room.id"))
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"))
    participant_id: Mapped[UUID] = mapped_column(sa.ForeignKey("participant.id"), index=True)
    start_ms: Mapped[int] = mapped_column(sa.BigInteger)
    end_ms: Mapped[int] = mapped_column(sa.BigInteger)
    language: Mapped[str] = mapped_column(sa.Text)
    text: Mapped[str] = mapped_column(sa.Text)
    """One line or two, with a line break between them."""

    words: Mapped[list[list[Any]]] = mapped_column(JSONB)
    """[start_ms, end_ms, text, confidence] each."""

    confidence: Mapped[float] = mapped_column(sa.Double)
    edited: Mapped[bool] = mapped_column(default=False, server_default=sa.false())


class Missing(Base):
    """Speech in the published transcript in which hardly a word was understood."""

    __tablename__ = "transcript_missing"

    recording_id: Mapped[UUID] = mapped_column(sa.ForeignKey("recording.id"), primary_key=True)
    participant_id: Mapped[UUID] = mapped_column(sa.ForeignKey("participant.id"), primary_key=True)
    start_ms: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    end_ms: Mapped[int] = mapped_column(sa.BigInteger)


class PatchState(StrEnum):
    """`conflict`: another run hears something else there; shown, until a person decides."""

    APPLIED = "applied"
    CONFLICT = "conflict"
    WITHDRAWN = "withdrawn"


class Patch(Base):
    """What a person put in place of a stretch of one speaker's words; kept with who and when."""

    __tablename__ = "transcript_patch"
    __table_args__ = (sa.UniqueConstraint("recording_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    recording_id: Mapped[UUID] = mapped_column(sa.ForeignKey("recording.id"))
    number: Mapped[int]
    """In the order in which they were made."""

    participant_id: Mapped[UUID] = mapped_column(sa.ForeignKey("participant.id"))
    start_ms: Mapped[int] = mapped_column(sa.BigInteger)
    end_ms: Mapped[int] = mapped_column(sa.BigInteger)
    text: Mapped[str | None] = mapped_column(sa.Text)
    """What was said there; empty: nothing. Null leaves the words and sets `breaks` only."""

    breaks: Mapped[list[int]] = mapped_column(JSONB, default=list, server_default="[]")
    """Where cues have to begin within it."""

    replaced: Mapped[str] = mapped_column(sa.Text)
    """The words that stood there: what another run's words are compared with."""

    run_id: Mapped[UUID] = mapped_column(sa.ForeignKey("transcript_run.id"))
    state: Mapped[PatchState] = mapped_column(
        text_enum(PatchState, "patch_state"), default=PatchState.APPLIED
    )
    version: Mapped[int] = mapped_column(default=0, server_default="0")
    """Of the transcript when it was made, withdrawn or decided on: who has read an earlier one
    has not seen it so."""

    author_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    withdrawn_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("user_account.id"))
    withdrawn_at: Mapped[datetime | None]


class Rename(Base):
    """That a speaker was called otherwise in the transcript; kept with who and when."""

    __tablename__ = "transcript_rename"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    recording_id: Mapped[UUID] = mapped_column(sa.ForeignKey("recording.id"), index=True)
    participant_id: Mapped[UUID] = mapped_column(sa.ForeignKey("participant.id"))
    replaced: Mapped[str] = mapped_column(sa.Text)
    name: Mapped[str] = mapped_column(sa.Text)
    author_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class SpeakerName(Base):
    """How a speaker is called in the transcript, where that is not the name they had."""

    __tablename__ = "transcript_speaker_name"

    recording_id: Mapped[UUID] = mapped_column(sa.ForeignKey("recording.id"), primary_key=True)
    participant_id: Mapped[UUID] = mapped_column(sa.ForeignKey("participant.id"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text)
    set_by: Mapped[UUID]
    set_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
