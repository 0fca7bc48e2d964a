"""All recordings in a line each, for operators."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.progress import JobProgress
from ingest.models import Gap, GapCause, Recording, Rendition, Segment
from replay.compaction import COMPACT_JOB
from rooms.models import Room


@dataclass(frozen=True, slots=True)
class Listed:
    """`gaps`: without the pauses that somebody wished. `bytes`: of all segments.

    `media_ms`: None while it is live.
    """

    recording_id: UUID
    title: str
    live_at: datetime
    media_ms: float | None
    tracks: int
    bytes: int
    gaps: int
    state: str


async def list_recordings(session: AsyncSession, *, limit: int) -> list[Listed]:
    """The newest first. States: live, stored, compacting 43 %, damaged, compacted."""
    sizes = (
        sa.select(
            Rendition.recording_id,
            sa.func.count(Rendition.participant_id.distinct()).label("tracks"),
            sa.func.coalesce(sa.func.sum(Segment.bytes), 0).label("bytes"),
        )
        .outerjoin(Segment, Segment.rendition_id == Rendition.id)
        .group_by(Rendition.recording_id)
        .subquery()
    )
    gaps = (
        sa.select(sa.func.count(Gap.id))
        .where(Gap.recording_id == Recording.id, Gap.cause != GapCause.OFF_THE_RECORD)
        .scalar_subquery()
    )
    told = sa.and_(
        JobProgress.kind == COMPACT_JOB,
        JobProgress.subject == sa.cast(Recording.id, sa.Text),
    )
    rows = await session.execute(
        sa.select(Recording, Room.title, sizes.c.tracks, sizes.c.bytes, gaps, JobProgress)
        .join(Room, Room.id == Recording.room_id)
        .outerjoin(sizes, sizes.c.recording_id == Recording.id)
        .outerjoin(JobProgress, told)
        .order_by(Recording.live_at.desc(), Recording.id)
        .limit(limit)
    )
    return [
        Listed(
            recording.id,
            title,
            recording.live_at,
            None if recording.media_samples is None else recording.media_samples / 48,
            tracks or 0,
            int(size or 0),
            missing,
            _state(recording, progress),
        )
        for recording, title, tracks, size, missing, progress in rows
    ]


def _state(recording: Recording, progress: JobProgress | None) -> str:
    if recording.compacted_at is not None:
        return "compacted"
    if progress is None:
        return recording.status.value
    if progress.total is None:
        return "damaged"
    return f"compacting {100 * progress.done // max(progress.total, 1)} %"
