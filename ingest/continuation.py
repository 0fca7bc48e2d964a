"""What a recording has when it comes to another worker, and how that worker goes on from there.

A manifest that begins with the stored rows is all that the packager and the edge need: to them
the move looks like a restart, only that the first segments lie in the object store.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.durable import make_folder, replace_file, sync
from ingest import manifest
from ingest.gap_rows import gaps_of
from ingest.manifest import Continued, Line, Opened, RenditionOpened, SegmentWritten
from ingest.models import Recording, RecordingEpoch, Rendition, Segment
from ingest.room_clock import unix_us
from ingest.spans import PER_MS
from ingest.spool import GENESIS, MANIFEST, MIX
from ingest.track import OBJECT
from rooms.stage import Stage


async def stored_lines(
    session: AsyncSession, recording_id: UUID, *, epoch: int, up_to_epoch: int
) -> list[Line]:
    """The recording as a manifest of `epoch` begins: all rows of epochs up to the other.

    Read it where they stand still: that epoch is fenced, or this is its own worker.
    """
    recording = await session.get_one(Recording, recording_id, populate_existing=True)
    lines: list[Line] = [_opened(recording, epoch)]
    renditions = await session.scalars(
        sa.select(Rendition).where(Rendition.recording_id == recording_id).order_by(Rendition.id)
    )
    for row in renditions:
        segments = await _segments(session, row, up_to_epoch)
        if segments:
            lines += [_rendition(row), *segments]
    return [*lines, *await gaps_of(session, recording_id)]


def _opened(recording: Recording, epoch: int) -> Opened:
    return Opened(
        recording_id=str(recording.id),
        room_id=str(recording.room_id),
        platform_id=str(recording.platform_id),
        epoch=epoch,
        revision=recording.revision,
        live_at_us=unix_us(recording.live_at),
    )


def _rendition(row: Rendition) -> RenditionOpened:
    who = str(row.participant_id) if row.participant_id else None
    file = row.init_key.rpartition("/")[2]
    return RenditionOpened(row.name, who, row.codec, file, row.init_bytes, row.init_key)


async def _segments(
    session: AsyncSession, rendition: Rendition, up_to_epoch: int
) -> list[SegmentWritten]:
    """In order, without what lies behind a hole: it was never in a playlist."""
    rows = await session.execute(
        sa.select(*Segment.__table__.columns)
        .where(Segment.rendition_id == rendition.id, Segment.epoch <= up_to_epoch)
        .order_by(Segment.sequence)
    )
    found: list[SegmentWritten] = []
    for row in rows:
        found.append(
            SegmentWritten(
                rendition=rendition.name,
                sequence=row.sequence,
                file=row.object_key.rpartition("/")[2],
                bytes=row.bytes,
                sha256=row.sha256,
                previous=found[-1].sha256 if found else GENESIS,
                media_start=row.media_start,
                samples=row.samples,
                room_start_ms=row.room_start_ms,
                discontinuity=row.discontinuity,
                object_key=row.object_key,
            )
        )
    return found


async def continued(
    session: AsyncSession, stage: Stage, lines: list[Line], *, epoch: int
) -> Continued:
    """Where `epoch` goes on after `lines`, and whose sound may be missing before."""
    rows = await session.scalars(
        sa.select(RecordingEpoch)
        .where(RecordingEpoch.recording_id == stage.recording_id, RecordingEpoch.epoch <= epoch)
        .order_by(RecordingEpoch.epoch)
    )
    epochs = list(rows)
    complete_ms = max((e.complete_until_ms or 0.0 for e in epochs), default=0.0)
    segments = [line for line in lines if isinstance(line, SegmentWritten)]
    return Continued(
        began_ms=epochs[-1].began_ms,
        since_ms=max(_mix_end_ms(segments, stage), complete_ms),
        seams_ms=[e.began_ms for e in epochs[1:]],
        waiting=_waiting(segments, stage, complete_ms),
    )


def _mix_end_ms(segments: Iterable[SegmentWritten], stage: Stage) -> float:
    ends = [s.room_start_ms + s.samples / PER_MS for s in segments if s.rendition == MIX]
    begun = next((mark.room_ms for mark in stage.marks if mark.on), 0)
    return max(ends, default=float(begun))


def _waiting(segments: list[SegmentWritten], stage: Stage, complete_ms: float) -> dict[str, float]:
    """Who may have spoken since their last stored object, and from when on."""
    unstored_ms = max(complete_ms, _unstored_ms(segments))
    ends = {s.rendition: s.room_start_ms + s.samples / PER_MS for s in segments}
    return {
        str(who): max(unstored_ms, ends.get(f"track-{who}", 0.0))
        for who, speaker in stage.speakers.items()
        if speaker.on_stage and speaker.consented
    }


def _unstored_ms(segments: list[SegmentWritten]) -> float:
    """Objects of tracks end every 30 s of media time and at pauses, and are stored before the
    mix that follows: at most this is missing of a track."""
    mix = [s for s in segments if s.rendition == MIX]
    if not mix:
        return 0.0
    since_pause = next((s for s in reversed(mix) if s.discontinuity), mix[0])
    end = mix[-1].media_start + mix[-1].samples
    into_object = min(end % OBJECT, end - since_pause.media_start)
    return mix[-1].room_start_ms + (mix[-1].samples - into_object) / PER_MS


def write_manifest(spool: Path, lines: Iterable[Line]) -> None:
    """The folder with its manifest, durable and at once: whoever looks finds all or nothing."""
    draft = spool.with_name(f".{spool.name}")
    shutil.rmtree(draft, ignore_errors=True)
    make_folder(draft)
    replace_file(draft / MANIFEST, b"".join(map(manifest.dump, lines)))
    draft.rename(spool)
    sync(spool.parent)
