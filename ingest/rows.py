"""What a manifest names, as rows: idempotent, and fenced by the recording's epoch."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict
from core.queue import enqueue
from ingest.manifest import Ended, GapFound, Line, Opened, RenditionOpened, SegmentWritten
from ingest.models import Gap, GapCause, Recording, RecordingStatus, Rendition, Segment

RECORDING_FINISHED: Final = "recording.finished"


class Fenced(Conflict):
    """A later placement owns the recording; this machine writes nothing of it any more."""

    code = "recording_fenced"
    title = "Another worker owns this recording"


class RecordingUnknown(Conflict):
    """The row is not there (yet); the receiving process makes it."""

    code = "recording_unknown"
    title = "The recording has no row yet"


def object_key(opened: Opened, rendition: str, file: str) -> str:
    """Where a file of the spool lies in the object store."""
    return f"{opened.platform_id}/{opened.recording_id}/{opened.revision}/{rendition}/{file}"


def manifest_key(opened: Opened) -> str:
    """Where the manifest of one placement lies in the object store once it has ended."""
    prefix = f"{opened.platform_id}/{opened.recording_id}/{opened.revision}"
    return f"{prefix}/manifest-{opened.epoch}.jsonl"


async def hold_epoch(session: AsyncSession, opened: Opened) -> None:
    """Locks the recording against a new placement until the transaction ends.

    Raises Fenced, RecordingUnknown.
    """
    epoch = await session.scalar(
        sa.select(Recording.epoch)
        .where(Recording.id == UUID(opened.recording_id))
        .with_for_update(key_share=True)
    )
    if epoch is None:
        raise RecordingUnknown
    if epoch != opened.epoch:
        raise Fenced


async def stored_segments(session: AsyncSession, recording_id: UUID) -> set[tuple[str, int]]:
    """Rendition and sequence of all segments that have a row."""
    rows = await session.execute(
        sa.select(Rendition.name, Segment.sequence)
        .join(Segment, Segment.rendition_id == Rendition.id)
        .where(Rendition.recording_id == recording_id)
    )
    return {(name, sequence) for name, sequence in rows}


async def add_rows(session: AsyncSession, *, opened: Opened, lines: Sequence[Line]) -> None:
    """Rows of renditions, segments and gaps; those that exist stay as they are.

    Values go as parameters of one statement, which is then compiled once and not for each batch.
    """
    await hold_epoch(session, opened)
    recording_id = UUID(opened.recording_id)
    await add_renditions(
        session, opened, [line for line in lines if isinstance(line, RenditionOpened)]
    )
    segments = [line for line in lines if isinstance(line, SegmentWritten)]
    if segments:
        ids = dict(await rendition_ids(session, recording_id))
        values = [segment_row(opened, line, ids[line.rendition]) for line in segments]
        await session.execute(insert(Segment).on_conflict_do_nothing(), values)
    gaps = [line for line in lines if isinstance(line, GapFound)]
    if gaps:
        values = [_gap_row(recording_id, line) for line in gaps]
        await session.execute(insert(Gap).on_conflict_do_nothing(), values)


async def add_renditions(
    session: AsyncSession, opened: Opened, lines: Sequence[RenditionOpened]
) -> None:
    """Those that exist stay as they are."""
    if lines:
        rows = [_rendition_row(opened, line) for line in lines]
        await session.execute(insert(Rendition).on_conflict_do_nothing(), rows)


async def rendition_ids(session: AsyncSession, recording_id: UUID) -> list[tuple[str, UUID]]:
    """Name and id of each rendition."""
    rows = await session.execute(
        sa.select(Rendition.name, Rendition.id).where(Rendition.recording_id == recording_id)
    )
    return [(row.name, row.id) for row in rows]


def _participant(value: str | None) -> UUID | None:
    return None if value is None else UUID(value)


def _rendition_row(opened: Opened, line: RenditionOpened) -> dict[str, object]:
    return {
        "recording_id": UUID(opened.recording_id),
        "name": line.rendition,
        "participant_id": _participant(line.participant_id),
        "codec": line.codec,
        "init_key": line.object_key or object_key(opened, line.rendition, line.file),
        "init_bytes": line.bytes,
    }


def segment_row(opened: Opened, line: SegmentWritten, rendition_id: UUID) -> dict[str, object]:
    return {
        "rendition_id": rendition_id,
        "sequence": line.sequence,
        "epoch": opened.epoch,
        "object_key": line.object_key or object_key(opened, line.rendition, line.file),
        "bytes": line.bytes,
        "sha256": line.sha256,
        "media_start": line.media_start,
        "samples": line.samples,
        "room_start_ms": line.room_start_ms,
        "discontinuity": line.discontinuity,
    }


def _gap_row(recording_id: UUID, line: GapFound) -> dict[str, object]:
    return {
        "recording_id": recording_id,
        "number": line.number,
        "participant_id": _participant(line.participant_id),
        "cause": GapCause(line.cause),
        "room_start_ms": line.room_start_ms,
        "room_end_ms": line.room_end_ms,
    }


async def mark_stored(session: AsyncSession, *, opened: Opened, ended: Ended) -> bool:
    """Closes the recording and tells those downstream, in one transaction; once.

    Returns whether this call did it. Raises Fenced, RecordingUnknown.
    """
    await hold_epoch(session, opened)
    recording_id = UUID(opened.recording_id)
    live_at = datetime.fromtimestamp(opened.live_at_us / 1_000_000, UTC)
    changed = await session.scalar(
        sa.update(Recording)
        .where(Recording.id == recording_id, Recording.status == RecordingStatus.LIVE)
        .values(
            status=RecordingStatus.STORED,
            media_samples=ended.media_samples,
            packets_received=ended.packets_received,
            packets_lost=ended.packets_lost,
            ended_at=live_at + timedelta(milliseconds=ended.room_end_ms),
            stored_at=sa.func.now(),
        )
        .returning(Recording.id)
    )
    if changed is None:
        return False
    await enqueue(
        session,
        RECORDING_FINISHED,
        {"recording_id": opened.recording_id},
        dedupe_key=opened.recording_id,
    )
    return True
