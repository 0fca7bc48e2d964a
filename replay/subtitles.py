"""The cues of one recording's subtitles: live captions while it runs, then the final transcript's.

Times are milliseconds on the room's clock. Nothing here asks how words were found; what is
shown is always without those who took their consent back, whatever the rows hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, text_enum
from ingest.manifest import Opened
from ingest.models import Recording
from ingest.rows import hold_epoch
from rooms.events import clock_ms
from rooms.models import Participant, Room
from rooms.queries import spoken_with_consent


class CueKind(StrEnum):
    """`live`: heard while the room ran; `final`: of the published transcript."""

    LIVE = "live"
    FINAL = "final"


class SubtitleTrack(Base):
    """A recording with such a row lists subtitles in its master playlists, from then on."""

    __tablename__ = "subtitle_track"

    recording_id: Mapped[UUID] = mapped_column(sa.ForeignKey("recording.id"), primary_key=True)
    language: Mapped[str] = mapped_column(sa.Text)
    """The room's; each cue has its own."""

    kind: Mapped[CueKind] = mapped_column(text_enum(CueKind, "subtitle_kind"))
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    """Rises when cues are replaced; cues that are only added leave it."""

    last_number: Mapped[int] = mapped_column(default=0, server_default="0")


class SubtitleCue(Base):
    __tablename__ = "subtitle_cue"

    recording_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("subtitle_track.recording_id"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    """In the order in which they were stored; never given twice."""

    participant_id: Mapped[UUID] = mapped_column(sa.ForeignKey("participant.id"))
    name: Mapped[str | None] = mapped_column(sa.Text)
    """How the speaker is called, where that is not the participant's own name."""

    kind: Mapped[CueKind] = mapped_column(text_enum(CueKind, "subtitle_kind"))
    start_ms: Mapped[int] = mapped_column(sa.BigInteger)
    end_ms: Mapped[int] = mapped_column(sa.BigInteger)
    stored_ms: Mapped[int | None] = mapped_column(sa.BigInteger)
    """When a live cue came; null for a final one, which is never late."""

    language: Mapped[str] = mapped_column(sa.Text)
    text: Mapped[str] = mapped_column(sa.Text)
    """One line or two, with a line break between them."""


@dataclass(frozen=True, slots=True)
class NewCue:
    participant_id: UUID
    start_ms: int
    end_ms: int
    language: str
    text: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ShownCue:
    """A cue of somebody who consents; `name` is what its speaker is called."""

    number: int
    participant_id: UUID
    name: str
    kind: CueKind
    start_ms: int
    end_ms: int
    stored_ms: int | None
    language: str
    text: str


async def register(session: AsyncSession, opened: Opened, language: str) -> None:
    """Subtitles are listed from now on; what is registered stays as it is.

    Raises Fenced, RecordingUnknown.
    """
    await hold_epoch(session, opened)
    values = {
        "recording_id": UUID(opened.recording_id),
        "language": language,
        "kind": CueKind.LIVE,
    }
    await session.execute(insert(SubtitleTrack).values(values).on_conflict_do_nothing())


async def add_live_cues(
    session: AsyncSession, opened: Opened, cues: Sequence[NewCue]
) -> list[ShownCue]:
    """Stores what was just heard, of those who still consent, unless the final cues are there.

    Returns what was stored. The recording must be registered. Raises Fenced, RecordingUnknown.
    """
    await hold_epoch(session, opened)
    recording_id = UUID(opened.recording_id)
    track = await session.get(SubtitleTrack, recording_id, with_for_update=True)
    consented = await _consented(session, {cue.participant_id for cue in cues})
    kept = [cue for cue in cues if cue.participant_id in consented]
    if track is None or track.kind is CueKind.FINAL or not kept:
        return []
    now_ms = await session.scalar(sa.select(clock_ms()).where(Room.id == UUID(opened.room_id)))
    before = track.last_number
    rows = _rows(recording_id, CueKind.LIVE, kept, first=before + 1, stored_ms=now_ms)
    track.last_number += len(rows)
    await session.flush()
    await session.execute(sa.insert(SubtitleCue), rows)
    return await shown_cues(session, recording_id, after=before)


async def subtitles_version(session: AsyncSession, recording_id: UUID) -> int:
    """0 for a recording without subtitles."""
    query = sa.select(SubtitleTrack.version).where(SubtitleTrack.recording_id == recording_id)
    return await session.scalar(query) or 0


async def rename_speakers(session: AsyncSession, recording_id: UUID) -> None:
    """Whoever keeps its subtitles reads them anew: people are called otherwise."""
    track = sa.update(SubtitleTrack).where(SubtitleTrack.recording_id == recording_id)
    await session.execute(track.values(version=SubtitleTrack.version + 1))


async def last_heard(session: AsyncSession, recording_id: UUID) -> dict[UUID, int]:
    """Where the last live cue of each speaker ends: a restarted process goes on there."""
    rows = await session.execute(
        sa.select(SubtitleCue.participant_id, sa.func.max(SubtitleCue.end_ms).label("end_ms"))
        .where(SubtitleCue.recording_id == recording_id, SubtitleCue.kind == CueKind.LIVE)
        .group_by(SubtitleCue.participant_id)
    )
    return {row.participant_id: row.end_ms for row in rows}


async def replace_cues(session: AsyncSession, recording_id: UUID, cues: Sequence[NewCue]) -> None:
    """From here on these are the recording's subtitles; live captions come no more."""
    language = (
        sa.select(Room.language)
        .join(Recording, Recording.room_id == Room.id)
        .where(Recording.id == recording_id)
        .scalar_subquery()
    )
    final = {"kind": CueKind.FINAL, "version": SubtitleTrack.version + 1}
    put = (
        insert(SubtitleTrack)
        .values(recording_id=recording_id, language=language, kind=CueKind.FINAL)
        .on_conflict_do_update(index_elements=["recording_id"], set_=final)
        .returning(SubtitleTrack)
        .execution_options(populate_existing=True)
    )
    track = (await session.scalars(put)).one()
    there = await _final_cues(session, recording_id)
    new = [cue for cue in cues if there.pop(cue, None) is None]
    gone = SubtitleCue.number.in_(list(there.values())) | (SubtitleCue.kind == CueKind.LIVE)
    await session.execute(
        sa.delete(SubtitleCue)
        .where(SubtitleCue.recording_id == recording_id, gone)
        .execution_options(synchronize_session=False)
    )
    rows = _rows(recording_id, CueKind.FINAL, new, first=track.last_number + 1)
    track.last_number += len(rows)
    await session.flush()
    if rows:
        await session.execute(sa.insert(SubtitleCue), rows)


async def _final_cues(session: AsyncSession, recording_id: UUID) -> dict[NewCue, int]:
    """Their numbers: cues that stay as they are need not be written again."""
    rows = await session.execute(
        sa.select(
            SubtitleCue.number,
            SubtitleCue.participant_id,
            SubtitleCue.start_ms,
            SubtitleCue.end_ms,
            SubtitleCue.language,
            SubtitleCue.text,
            SubtitleCue.name,
        ).where(SubtitleCue.recording_id == recording_id, SubtitleCue.kind == CueKind.FINAL)
    )
    return {
        NewCue(c.participant_id, c.start_ms, c.end_ms, c.language, c.text, c.name): c.number
        for c in rows
    }


def _rows(
    recording_id: UUID,
    kind: CueKind,
    cues: Sequence[NewCue],
    *,
    first: int,
    stored_ms: int | None = None,
) -> list[dict[str, Any]]:
    same = {"recording_id": recording_id, "kind": kind, "stored_ms": stored_ms}
    return [
        {
            **same,
            "number": number,
            "participant_id": cue.participant_id,
            "name": cue.name,
            "start_ms": cue.start_ms,
            "end_ms": cue.end_ms,
            "language": cue.language,
            "text": cue.text,
        }
        for number, cue in enumerate(cues, first)
    ]


async def _consented(session: AsyncSession, participants: set[UUID]) -> set[UUID]:
    rows = await session.scalars(
        sa.select(Participant.id).where(
            Participant.id.in_(participants), Participant.consented_at.is_not(None)
        )
    )
    return set(rows)


_SHOWN: Final = (
    SubtitleCue.number,
    SubtitleCue.participant_id,
    sa.func.coalesce(SubtitleCue.name, Participant.display_name),
    SubtitleCue.kind,
    SubtitleCue.start_ms,
    SubtitleCue.end_ms,
    SubtitleCue.stored_ms,
    SubtitleCue.language,
    SubtitleCue.text,
)


async def shown_cues(
    session: AsyncSession, recording_id: UUID, *, after: int = 0, limit: int | None = None
) -> list[ShownCue]:
    """In the order in which they were stored, those numbered above `after`."""
    rows = await session.execute(
        sa.select(*_SHOWN)
        .join(Participant, Participant.id == SubtitleCue.participant_id)
        .where(
            SubtitleCue.recording_id == recording_id,
            SubtitleCue.number > after,
            Participant.consented_at.is_not(None),
        )
        .order_by(SubtitleCue.number)
        .limit(limit)
    )
    return [ShownCue(*row) for row in rows]


async def cues_between(
    session: AsyncSession, recording_id: UUID, *, from_ms: int, to_ms: int
) -> list[ShownCue]:
    """By their beginning, those that begin from `from_ms` to `to_ms`, both included."""
    rows = await session.execute(
        sa.select(*_SHOWN)
        .join(Participant, Participant.id == SubtitleCue.participant_id)
        .where(
            SubtitleCue.recording_id == recording_id,
            SubtitleCue.start_ms.between(from_ms, to_ms),
            spoken_with_consent(),
        )
        .order_by(SubtitleCue.start_ms, SubtitleCue.number)
    )
    return [ShownCue(*row) for row in rows]
