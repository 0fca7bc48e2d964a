"""What rows, manifests and store hold of one recording that has ended: for what works on it whole.

Compaction, verification and export read it; the edge has its own, incremental way
(replay/stored.py).
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import NotFound, Problem
from core.storage import ObjectMissing, ObjectStore
from ingest.manifest import Line, RenditionOpened, SegmentWritten, parse
from ingest.models import Gap, Recording, Rendition, Segment
from rooms.models import Participant, Room

GETS_AT_ONCE: Final = 4


class UnknownRecording(NotFound):
    code = "unknown_recording"
    title = "There is no such recording"


class ManifestMissing(Problem):
    """The uploader puts it right after the recording was marked as stored: ask again."""

    status = 503
    code = "manifest_missing"
    title = "The recording's manifest is not in the object store"


@dataclass(frozen=True, slots=True)
class HeldSegment:
    """A segment by its row; `byte_start` and `bytes` are its place in the object."""

    sequence: int
    epoch: int
    object_key: str
    byte_start: int
    bytes: int
    sha256: str
    media_start: int
    samples: int
    room_start_ms: float
    discontinuity: bool

    @property
    def media_end(self) -> int:
        return self.media_start + self.samples

    @property
    def room_end_ms(self) -> float:
        return self.room_start_ms + self.samples / 48


@dataclass(slots=True)
class HeldRendition:
    row: Rendition
    speaker: str | None
    """The participant's name as people read it; None for the mix."""

    segments: list[HeldSegment] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.row.name


@dataclass(slots=True)
class Holding:
    """One recording. Renditions: the mix first, then tracks by their first sound."""

    recording: Recording
    title: str
    renditions: list[HeldRendition]
    gaps: list[Gap]

    @property
    def prefix(self) -> str:
        """Below it lies everything of this revision, without a slash at the end."""
        recording = self.recording
        return f"{recording.platform_id}/{recording.id}/{recording.revision}"

    @property
    def manifest_key(self) -> str:
        """What compaction leaves: the lines of all placements and where the bytes lie."""
        return f"{self.prefix}/manifest.jsonl"

    def source_key(self, line: SegmentWritten | RenditionOpened) -> str:
        """The object that the packager's file was uploaded to."""
        return line.object_key or f"{self.prefix}/{line.rendition}/{line.file}"


async def load_holding(session: AsyncSession, recording_id: UUID) -> Holding:
    """Raises UnknownRecording."""
    recording = await session.get(Recording, recording_id, populate_existing=True)
    if recording is None:
        raise UnknownRecording(f"There is no recording {recording_id}.")
    title = await session.scalar(sa.select(Room.title).where(Room.id == recording.room_id))
    renditions = await _renditions(session, recording_id)
    await _add_segments(session, renditions)
    gaps = await session.scalars(
        sa.select(Gap).where(Gap.recording_id == recording_id).order_by(Gap.number)
    )
    ordered = sorted(renditions.values(), key=_by_first_sound)
    return Holding(recording, title or "", ordered, list(gaps))


async def _renditions(session: AsyncSession, recording_id: UUID) -> dict[UUID, HeldRendition]:
    rows = await session.execute(
        sa.select(Rendition, Participant.display_name)
        .outerjoin(Participant, Participant.id == Rendition.participant_id)
        .where(Rendition.recording_id == recording_id)
    )
    return {row.id: HeldRendition(row, name) for row, name in rows}


async def _add_segments(session: AsyncSession, renditions: dict[UUID, HeldRendition]) -> None:
    columns = [getattr(Segment, name) for name in HeldSegment.__dataclass_fields__]
    rows = await session.execute(
        sa.select(Segment.rendition_id, *columns)
        .where(Segment.rendition_id.in_(renditions))
        .order_by(Segment.rendition_id, Segment.sequence)
    )
    for rendition_id, *values in rows:
        renditions[rendition_id].segments.append(HeldSegment(*values))


def _by_first_sound(rendition: HeldRendition) -> tuple[bool, float, str]:
    first = rendition.segments[0].room_start_ms if rendition.segments else float("inf")
    return rendition.row.participant_id is not None, first, rendition.name


async def read_manifest(store: ObjectStore, holding: Holding) -> list[Line]:
    """All lines: compaction's own, else the last placement's, which begins with those before.

    Raises ManifestMissing, StoreUnavailable.
    """
    try:
        return parse(await store.get(holding.manifest_key))
    except ObjectMissing:
        pass
    key = f"{holding.prefix}/manifest-{holding.recording.epoch}.jsonl"
    try:
        return parse(await store.get(key))
    except ObjectMissing:
        name = key.rpartition("/")[2]
        raise ManifestMissing(f"{name} is not in the store") from None


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of an object that belong together; `sha256` is empty where nobody noted it."""

    label: str
    object_key: str
    start: int
    size: int
    sha256: str = ""


async def read_pieces(
    store: ObjectStore, pieces: Iterable[Piece]
) -> AsyncIterator[tuple[Piece, bytes | None]]:
    """Each piece with its bytes, in order, a few being fetched ahead; None where it is missing."""
    waiting: deque[tuple[Piece, asyncio.Task[bytes | None]]] = deque()
    try:
        for piece in pieces:
            waiting.append((piece, asyncio.create_task(_read(store, piece))))
            if len(waiting) >= GETS_AT_ONCE:
                first, task = waiting.popleft()
                yield first, await task
        while waiting:
            first, task = waiting.popleft()
            yield first, await task
    finally:
        for _, task in waiting:
            task.cancel()


async def _read(store: ObjectStore, piece: Piece) -> bytes | None:
    try:
        return await store.get(piece.object_key, start=piece.start, end=piece.start + piece.size)
    except ObjectMissing:
        return None


def is_whole(piece: Piece, data: bytes | None) -> bool:
    if data is None or len(data) != piece.size:
        return False
    return not piece.sha256 or hashlib.sha256(data).hexdigest() == piece.sha256


class RunningHashes:
    """Hashes consecutive stretches of one stream, and the stream as a whole."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.digests: list[str] = []
        self.size = 0
        self._whole = hashlib.sha256()
        self._lengths = lengths
        self._part = hashlib.sha256()
        self._left = lengths[0] if lengths else 0

    def update(self, data: bytes) -> None:
        """Takes the next bytes; what comes after the last stretch counts for the whole only."""
        self._whole.update(data)
        self.size += len(data)
        view = memoryview(data)
        while view and len(self.digests) < len(self._lengths):
            taken = view[: self._left]
            self._part.update(taken)
            self._left -= len(taken)
            view = view[len(taken) :]
            if not self._left:
                self._close()

    def _close(self) -> None:
        self.digests.append(self._part.hexdigest())
        self._part = hashlib.sha256()
        if len(self.digests) < len(self._lengths):
            self._left = self._lengths[len(self.digests)]

    @property
    def whole(self) -> str:
        return self._whole.hexdigest()
