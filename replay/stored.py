"""Recordings that are not on this disk, from their rows; their bytes lie in the object store."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from ingest.gap_rows import gaps_of
from ingest.manifest import Opened, RenditionOpened, SegmentWritten
from ingest.models import Recording, RecordingStatus, Rendition, Segment
from replay.recorded import Place, Recorded


async def load_recorded(
    session: AsyncSession, recording_id: UUID, known: Recorded | None, *, now: float
) -> Recorded | None:
    """What the rows hold, added to `known` (an earlier answer of this function) if given.

    None if there is no such recording. It has ended once every object is stored: a list
    that said so earlier would lack its last segments for good. Compaction moves all bytes, so
    what is known from before is read anew; the names and playlists stay as they were.
    """
    recording = await session.get(Recording, recording_id)
    if recording is None:
        return None
    compacted = recording.compacted_at is not None
    if known is None or (known.revision, known.compacted) != (recording.revision, compacted):
        known = Recorded.of(_opened(recording))
        known.compacted = compacted
    names: dict[UUID, str] = {}
    rows = await session.scalars(
        sa.select(Rendition).where(Rendition.recording_id == recording_id).order_by(Rendition.id)
    )
    for rendition in rows:
        names[rendition.id] = rendition.name
        _add_rendition(known, rendition)
    for row in await session.execute(_segments_after(known, names)):
        _add_segment(known, names[row.rendition_id], row, now=now)
    if recording.status is RecordingStatus.STORED and not known.ended:
        known.gaps = await gaps_of(session, recording_id)
        known.end()
    return known


def _opened(recording: Recording) -> Opened:
    return Opened(
        recording_id=str(recording.id),
        room_id=str(recording.room_id),
        platform_id=str(recording.platform_id),
        epoch=recording.epoch,
        revision=recording.revision,
        live_at_us=round(recording.live_at.timestamp() * 1_000_000),
    )


def _add_rendition(recorded: Recorded, row: Rendition) -> None:
    participant = str(row.participant_id) if row.participant_id else None
    line = RenditionOpened(row.name, participant, row.codec, "", row.init_bytes)
    whole = None
    if row.object_key is not None:
        whole = Place(None, row.object_key, row.object_bytes or 0, row.object_sha256 or "")
    recorded.open_rendition(line, Place(None, row.init_key, row.init_bytes), whole)


def _add_segment(recorded: Recorded, rendition: str, row: sa.Row[Any], *, now: float) -> None:
    """In order only: what was uploaded past a hole waits until the hole is filled."""
    if row.sequence != len(recorded.renditions[rendition].places):
        return
    line = SegmentWritten(
        rendition=rendition,
        sequence=row.sequence,
        file="",
        bytes=row.bytes,
        sha256=row.sha256,
        previous="",
        media_start=row.media_start,
        samples=row.samples,
        room_start_ms=row.room_start_ms,
        discontinuity=row.discontinuity,
    )
    place = Place(None, row.object_key, row.bytes, row.sha256, row.byte_start)
    recorded.add_segment(line, place, now=now)


def _segments_after(recorded: Recorded, names: dict[UUID, str]) -> sa.Select[Any]:
    """The rows past what is known; columns, not objects: a replay of two hours has thousands."""
    newer = [
        sa.and_(
            Segment.rendition_id == rendition_id,
            Segment.sequence >= len(recorded.renditions[name].places),
        )
        for rendition_id, name in names.items()
    ]
    return (
        sa.select(*Segment.__table__.columns)
        .where(sa.or_(sa.false(), *newer))
        .order_by(Segment.rendition_id, Segment.sequence)
    )
