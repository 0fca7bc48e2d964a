"""What searching reads: made of published cues by `transcripts.indexing`, and only a copy."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base


class SearchedRecording(Base):
    """A recording whose cues can be found. Who may see it is asked of its room each time."""

    __tablename__ = "transcript_searched"
    __table_args__ = (
        sa.Index(
            "ix_transcript_searched_newest",
            "platform_id",
            sa.text("live_at desc"),
            sa.text("recording_id desc"),
        ),
    )

    recording_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("recording.id", ondelete="CASCADE"), primary_key=True
    )
    room_id: Mapped[UUID] = mapped_column(sa.ForeignKey("room.id", ondelete="CASCADE"), unique=True)
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"))
    live_at: Mapped[datetime]
    cues: Mapped[int]


class SearchedCue(Base):
    """The words of a cue, and the first ones of its speaker's next cue.

    Narrow on purpose: searches read thousands of these, and few of the cues themselves.
    """

    __tablename__ = "transcript_searched_cue"
    __table_args__ = (
        sa.Index(
            "ix_transcript_searched_cue_vector",
            "vector",
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
        ),
    )

    cue_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("transcript_cue.id", ondelete="CASCADE"), primary_key=True
    )
    recording_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("recording.id", ondelete="CASCADE"), index=True
    )
    participant_id: Mapped[UUID] = mapped_column(sa.ForeignKey("participant.id"), index=True)
    live_at: Mapped[datetime]
    """When its room went live, which never changes: what is newest is told without the rooms."""

    start_ms: Mapped[int] = mapped_column(sa.BigInteger)
    language: Mapped[str] = mapped_column(sa.Text)
    """`pt` for `pt-BR`."""

    vector: Mapped[str] = mapped_column(TSVECTOR)
    """Lexemes with positions, the cue's own with the weight A, and tags (`transcripts.tags`)."""


class Stem(Base):
    """Every word that a platform's people ever said: what 'did you mean' chooses from."""

    __tablename__ = "transcript_stem"
    __table_args__ = (
        sa.Index(
            "ix_transcript_stem_trigrams",
            "stem",
            postgresql_using="gin",
            postgresql_ops={"stem": "gin_trgm_ops"},
        ),
    )

    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"), primary_key=True)
    language: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    stem: Mapped[str] = mapped_column(sa.Text, primary_key=True)


@sa.event.listens_for(Base.metadata, "before_create")
def _allow_trigrams(_: object, connection: sa.Connection, **__: object) -> None:
    """Where tables are made without migrations."""
    connection.execute(sa.text("create extension if not exists pg_trgm"))
