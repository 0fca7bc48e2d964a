"""One object per rendition in place of thousands, once a recording is stored.

The order is what makes it safe to kill at any moment: an object is built from segments whose
hashes agree with the manifest, put (never overwritten), read back and hashed again; then one
transaction lets the rows point into it; only after a grace, in which edges may still read by
older rows, the segments' own objects go. Every step done again does nothing new.
"""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.errors import Problem
from core.progress import report_progress
from core.queue import enqueue
from core.storage import ObjectExists, ObjectMissing, ObjectStore
from ingest.manifest import Compacted, Line, RenditionOpened, SegmentWritten, dump
from ingest.models import Recording, RecordingStatus, Rendition, Segment
from replay.chain import chain_faults
from replay.holdings import (
    HeldRendition,
    Holding,
    Piece,
    RunningHashes,
    is_whole,
    load_holding,
    read_manifest,
    read_pieces,
)

log = logging.getLogger(__name__)

COMPACT_JOB: Final = "recording.compact"
SWEEP_JOB: Final = "recording.sweep"
GRACE: Final = timedelta(minutes=10)
"""Edges look at ended recordings every 30 s, and again when an object is gone."""

DELETES_AT_ONCE: Final = 8


class RecordingDamaged(Problem):
    """Bytes in the store are not what the manifest says. Nothing is deleted; a person must look.

    `encore recording verify` names all of it.
    """

    code = "recording_damaged"
    title = "The stored recording differs from its manifest"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of a rendition will lie: the init segment, then the segments in order."""

    rendition: HeldRendition
    object_key: str
    pieces: list[Piece]
    size: int

    @property
    def file(self) -> str:
        return self.object_key.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Whole:
    """A rendition's object, as it was read back."""

    layout: Layout
    sha256: str

    def line(self) -> Compacted:
        layout = self.layout
        return Compacted(layout.rendition.name, layout.file, layout.size, self.sha256)


async def compact(
    database: Database, store: ObjectStore, recording_id: UUID, *, scratch: Path
) -> bool:
    """Compacts a stored recording; `scratch` gets one rendition's size of files.

    Returns whether this call did it. Raises UnknownRecording, ManifestMissing (retry),
    RecordingDamaged, StoreUnavailable.
    """
    async with database.transaction() as session:
        holding = await load_holding(session, recording_id)
    recording = holding.recording
    if recording.status is not RecordingStatus.STORED or recording.compacted_at is not None:
        return False
    try:
        wholes, lines = await _make_objects(database, store, holding, scratch)
    except RecordingDamaged as damage:
        log.error("recording %s is damaged: %s", recording_id, damage.detail)
        await _tell(database, recording_id, done=0, total=None, note=damage.detail)
        raise
    if wholes:
        said = [line for line in lines if not isinstance(line, Compacted)]  # by a killed run
        final = b"".join(map(dump, [*said, *(whole.line() for whole in wholes)]))
        await _put_same(store, holding.manifest_key, final)
    async with database.transaction() as session:
        return await _point_rows(session, holding, wholes)


async def sweep(database: Database, store: ObjectStore, recording_id: UUID) -> int:
    """Deletes the objects that no row points to any more; how many names it went through.

    Raises UnknownRecording, RecordingDamaged, StoreUnavailable.
    """
    async with database.transaction() as session:
        holding = await load_holding(session, recording_id)
    if holding.recording.compacted_at is None or holding.recording.swept_at is not None:
        return 0
    for rendition in holding.renditions:
        await _check_present(store, rendition)
    kept = {key for r in holding.renditions for key in (r.row.init_key, r.row.object_key)}
    kept |= {s.object_key for r in holding.renditions for s in r.segments}
    lines = await read_manifest(store, holding)
    files = [line for line in lines if isinstance(line, RenditionOpened | SegmentWritten)]
    keys = [key for line in files if (key := holding.source_key(line)) not in kept]
    await _delete_all(store, keys)
    async with database.transaction() as session:
        row = sa.update(Recording).where(Recording.id == recording_id)
        await session.execute(row.values(swept_at=sa.func.now()))
    log.info("recording %s: %d objects gone after compaction", recording_id, len(keys))
    return len(keys)


async def _make_objects(
    database: Database, store: ObjectStore, holding: Holding, scratch: Path
) -> tuple[list[Whole], list[Line]]:
    if not holding.renditions:
        return [], []
    lines = await read_manifest(store, holding)
    for fault in chain_faults(holding, lines):
        raise RecordingDamaged(fault.text)
    layouts = [_layout(holding, rendition) for rendition in holding.renditions]
    total = sum(layout.size for layout in layouts)
    wholes: list[Whole] = []
    done = 0
    for layout in layouts:
        await _tell(database, holding.recording.id, done=done, total=total, note=layout.file)
        wholes.append(Whole(layout, await _make_object(store, layout, scratch)))
        done += layout.size
    await _tell(database, holding.recording.id, done=done, total=total)
    return wholes, lines


def _layout(holding: Holding, rendition: HeldRendition) -> Layout:
    row = rendition.row
    pieces = [Piece(f"{row.name} init segment", row.init_key, 0, row.init_bytes)]
    pieces += [
        Piece(f"{row.name} segment {s.sequence}", s.object_key, s.byte_start, s.bytes, s.sha256)
        for s in rendition.segments
    ]
    key = f"{holding.prefix}/{row.name}.mp4"
    return Layout(rendition, key, pieces, sum(piece.size for piece in pieces))


async def _make_object(store: ObjectStore, layout: Layout, scratch: Path) -> str:
    """Puts the object unless an earlier run did, and reads it back; its SHA-256."""
    try:
        await store.head(layout.object_key)
    except ObjectMissing:
        await asyncio.to_thread(scratch.mkdir, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            draft = Path(folder) / layout.file
            await _write_draft(store, layout, draft)
            with suppress(ObjectExists):  # another worker was as fast: its object is checked
                await store.put_file(layout.object_key, draft, content_type="audio/mp4")
    return await _read_back(store, layout)


async def _write_draft(store: ObjectStore, layout: Layout, draft: Path) -> None:
    async with _opened(draft) as file:
        async for piece, data in read_pieces(store, layout.pieces):
            if data is None or not is_whole(piece, data):
                what = "is missing" if data is None else "is not what the manifest says"
                raise RecordingDamaged(f"{piece.label} {what} in the store")
            await asyncio.to_thread(file.write, data)


@asynccontextmanager
async def _opened(draft: Path) -> AsyncIterator[BinaryIO]:
    file = await asyncio.to_thread(draft.open, "wb")
    try:
        yield file
    finally:
        await asyncio.to_thread(file.close)


async def _read_back(store: ObjectStore, layout: Layout) -> str:
    hashes = RunningHashes([piece.size for piece in layout.pieces])
    async for chunk in store.stream(layout.object_key):
        hashes.update(chunk)
    if hashes.size != layout.size:
        raise RecordingDamaged(f"{layout.file} has {hashes.size} bytes instead of {layout.size}")
    for piece, digest in zip(layout.pieces, hashes.digests, strict=True):
        if piece.sha256 and digest != piece.sha256:
            raise RecordingDamaged(f"{piece.label} is not what the manifest says in {layout.file}")
    return hashes.whole


async def _put_same(store: ObjectStore, key: str, data: bytes) -> None:
    try:
        await store.put(key, data, content_type="application/jsonl")
    except ObjectExists:
        if await store.get(key) != data:
            raise RecordingDamaged(f"another {key.rpartition('/')[2]} lies in the store") from None


async def _point_rows(session: AsyncSession, holding: Holding, wholes: Sequence[Whole]) -> bool:
    """All rows of the recording in one step, and what deletes the rest later."""
    recording = await session.get_one(
        Recording, holding.recording.id, with_for_update=True, populate_existing=True
    )
    if recording.compacted_at is not None or recording.revision != holding.recording.revision:
        return False
    for whole in wholes:
        row = sa.update(Rendition).where(Rendition.id == whole.layout.rendition.row.id)
        key = whole.layout.object_key
        values = {"object_bytes": whole.layout.size, "object_sha256": whole.sha256}
        await session.execute(row.values(object_key=key, init_key=key, **values))
    await session.execute(_shift_segments(recording.id))
    recording.compacted_at = sa.func.now()
    if wholes:
        payload = {"recording_id": str(recording.id)}
        key = payload["recording_id"]
        await enqueue(session, SWEEP_JOB, payload, dedupe_key=key, delay=GRACE)
    log.info("recording %s is compacted into %d objects", recording.id, len(wholes))
    return True


def _shift_segments(recording_id: UUID) -> sa.Update:
    before = sa.func.sum(Segment.bytes).over(
        partition_by=Segment.rendition_id, order_by=Segment.sequence
    )
    laid = (
        sa.select(
            Segment.rendition_id,
            Segment.sequence,
            Rendition.object_key,
            sa.cast(Rendition.init_bytes + before - Segment.bytes, sa.BigInteger).label("start"),
        )
        .join(Rendition, Rendition.id == Segment.rendition_id)
        .where(Rendition.recording_id == recording_id)
        .subquery()
    )
    return (
        sa.update(Segment)
        .where(Segment.rendition_id == laid.c.rendition_id, Segment.sequence == laid.c.sequence)
        .values(object_key=laid.c.object_key, byte_start=laid.c.start)
        .execution_options(synchronize_session=False)
    )


async def _check_present(store: ObjectStore, rendition: HeldRendition) -> None:
    """Nothing goes before what replaces it is seen once more."""
    row = rendition.row
    try:
        info = await store.head(row.object_key or "")
    except ObjectMissing:
        raise RecordingDamaged(f"the object of {row.name} is missing in the store") from None
    if info.size != row.object_bytes:
        raise RecordingDamaged(f"the object of {row.name} has another size in the store")


async def _delete_all(store: ObjectStore, keys: Sequence[str]) -> None:
    for at in range(0, len(keys), DELETES_AT_ONCE):
        await asyncio.gather(*(store.delete(key) for key in keys[at : at + DELETES_AT_ONCE]))


async def _tell(
    database: Database, recording_id: UUID, *, done: int, total: int | None, note: str = ""
) -> None:
    async with database.transaction() as session:
        subject = str(recording_id)
        await report_progress(
            session, kind=COMPACT_JOB, subject=subject, done=done, total=total, note=note
        )
