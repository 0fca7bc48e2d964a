"""Is a recording whole? Every byte, row and moment is looked at; what is missing is named.

A recording is `complete` when all that was sent while the room was on the record is there. It is
`intact` when nothing is missing but what its gaps explain.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from core.storage import ObjectMissing, ObjectStore
from ingest.manifest import Compacted, Ended, Erased, Line
from ingest.models import Gap, GapCause, RecordingStatus
from replay.chain import Fault, chain_faults, fault_at
from replay.fragments import BrokenFragment, samples_of
from replay.holdings import (
    HeldRendition,
    HeldSegment,
    Holding,
    ManifestMissing,
    Piece,
    RunningHashes,
    is_whole,
    read_manifest,
    read_pieces,
)
from replay.recorded import MIX

NEAR_MS: Final = 20.0
"""Pauses begin and end on the packager's grid of 20 ms."""

ON_PURPOSE: Final = (GapCause.OFF_THE_RECORD,)


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch of the room without sound, and why; without a speaker, of everybody."""

    speaker: str | None
    cause: str
    room_start_ms: float
    room_end_ms: float


@dataclass(slots=True)
class Verification:
    """What was looked at and what came out; `findings` explain why it is not intact."""

    recording_id: str
    title: str
    status: str
    compacted: bool
    quick: bool
    renditions: int = 0
    segments: int = 0
    bytes_checked: int = 0
    media_ms: float = 0.0
    room_end_ms: float = 0.0
    pauses: list[Hole] = field(default_factory=list)
    gaps: list[Hole] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    findings: list[Fault] = field(default_factory=list)

    @property
    def live(self) -> bool:
        """Not finished: only the bytes of what is stored so far were looked at."""
        return self.status == RecordingStatus.LIVE

    @property
    def intact(self) -> bool:
        return not self.findings

    @property
    def complete(self) -> bool:
        return self.intact and not self.gaps and not self.live

    def as_json(self) -> dict[str, Any]:
        return {"complete": self.complete, "intact": self.intact, **asdict(self)}


async def verify(store: ObjectStore, holding: Holding, *, quick: bool = False) -> Verification:
    """`quick` believes the sizes; else every byte is hashed. Raises StoreUnavailable."""
    recording = holding.recording
    report = Verification(
        recording_id=str(recording.id),
        title=holding.title,
        status=recording.status.value,
        compacted=recording.compacted_at is not None,
        quick=quick,
        renditions=len(holding.renditions),
        segments=sum(len(r.segments) for r in holding.renditions),
        media_ms=(recording.media_samples or 0) / 48,
    )
    lines = [] if report.live else await _manifest(store, holding, report)
    report.room_end_ms = _room_end_ms(holding, lines)
    _name_gaps(holding, report)
    if not report.live:
        report.findings += _time_faults(holding, report.room_end_ms)
    erased = _Erased(lines)
    report.erased = erased.names
    for rendition in holding.renditions:
        faults = _quick(store, rendition) if quick else _bytes(store, rendition, erased, report)
        report.findings += [fault async for fault in faults]
    report.findings += _whole_faults(holding, lines)
    return report


async def _manifest(store: ObjectStore, holding: Holding, report: Verification) -> list[Line]:
    try:
        lines = await read_manifest(store, holding)
    except ManifestMissing as missing:
        report.findings.append(Fault("manifest_missing", str(missing.detail)))
        return []
    report.findings += chain_faults(holding, lines)
    return lines


def _room_end_ms(holding: Holding, lines: Sequence[Line]) -> float:
    ends = [line.room_end_ms for line in lines if isinstance(line, Ended)]
    ends += [r.segments[-1].room_end_ms for r in holding.renditions if r.segments]
    return max(ends, default=0.0)


def _name_gaps(holding: Holding, report: Verification) -> None:
    names = {r.row.participant_id: r.speaker for r in holding.renditions}
    for gap in sorted(holding.gaps, key=lambda gap: gap.room_start_ms):
        speaker = None
        if gap.participant_id is not None:
            speaker = names.get(gap.participant_id) or "somebody"
        hole = Hole(speaker, gap.cause.value, gap.room_start_ms, gap.room_end_ms)
        (report.pauses if gap.cause in ON_PURPOSE else report.gaps).append(hole)


def _time_faults(holding: Holding, room_end_ms: float) -> Iterator[Fault]:
    """The media timeline has no holes, and the room's clock leaps only where a pause says so."""
    pauses = [gap for gap in holding.gaps if gap.cause in ON_PURPOSE]
    for rendition in holding.renditions:
        for before, segment in zip(rendition.segments, rendition.segments[1:], strict=False):
            yield from _seam_faults(rendition.name, before, segment, pauses)
    mix = next((r for r in holding.renditions if r.name == MIX), None)
    if mix is not None and mix.segments:
        yield from _mix_faults(holding, mix, pauses, room_end_ms)
    elif holding.recording.media_samples:
        yield Fault("mix_missing", "there is no mix of what was on the record", MIX)
    yield from _pause_faults(mix, pauses, room_end_ms)


def _seam_faults(
    name: str, before: HeldSegment, segment: HeldSegment, pauses: Sequence[Gap]
) -> Iterator[Fault]:
    where = f"{name} segment {segment.sequence}"
    if segment.media_start != before.media_end:
        missing = (segment.media_start - before.media_end) / 48
        text = f"{where} begins {missing:.1f} ms off the end of the one before"
        yield fault_at("media_hole", text, name, segment)
    leap = segment.room_start_ms - before.room_end_ms
    if abs(leap) < 1 and not segment.discontinuity:
        return
    paused = [p for p in pauses if p.room_end_ms > before.room_end_ms - NEAR_MS]
    paused = [p for p in paused if p.room_start_ms < segment.room_start_ms + NEAR_MS]
    length = sum(p.room_end_ms - p.room_start_ms for p in paused)
    if not segment.discontinuity or abs(leap - length) > 2 * NEAR_MS * max(len(paused), 1):
        text = f"{where}: {leap:.0f} ms of the room are missing before it, and no pause says why"
        yield Fault("unexplained", text, name, before.room_end_ms, segment.room_start_ms)


def _mix_faults(
    holding: Holding, mix: HeldRendition, pauses: Sequence[Gap], room_end_ms: float
) -> Iterator[Fault]:
    first, last = mix.segments[0], mix.segments[-1]
    if first.media_start != 0:
        yield fault_at("media_hole", "the mix does not begin at 0", MIX, first)
    if last.media_end != (holding.recording.media_samples or 0):
        yield fault_at("media_short", "the mix does not end where the recording does", MIX, last)
    explained = max((p.room_end_ms for p in pauses), default=0.0) >= room_end_ms - NEAR_MS
    if room_end_ms - last.room_end_ms > 2 * NEAR_MS and not explained:
        text = f"the last {room_end_ms - last.room_end_ms:.0f} ms of the room are missing"
        yield Fault("unexplained", text, MIX, last.room_end_ms, room_end_ms)


def _pause_faults(
    mix: HeldRendition | None, pauses: Sequence[Gap], room_end_ms: float
) -> Iterator[Fault]:
    """A pause has no sound in it."""
    segments = mix.segments if mix is not None else []
    for pause in pauses:
        start, end = pause.room_start_ms + 2 * NEAR_MS, pause.room_end_ms - 2 * NEAR_MS
        inside = [s for s in segments if s.room_start_ms < end and s.room_end_ms > start]
        if start < end and inside:
            text = f"mix segment {inside[0].sequence} lies in a pause"
            yield fault_at("sound_in_pause", text, MIX, inside[0])


class _Erased:
    """Which segments are gone on purpose."""

    def __init__(self, lines: Sequence[Line]) -> None:
        tombs = [line for line in lines if isinstance(line, Erased)]
        self._tombs = tombs
        self.names = [
            f"{t.rendition} segments {t.first_sequence} to {t.last_sequence}: {t.reason}"
            for t in tombs
        ]

    def has(self, rendition: str, sequence: int) -> bool:
        return any(
            t.rendition == rendition and t.first_sequence <= sequence <= t.last_sequence
            for t in self._tombs
        )


async def _quick(store: ObjectStore, rendition: HeldRendition) -> AsyncIterator[Fault]:
    """Each object is there and long enough."""
    needed: dict[str, int] = {rendition.row.init_key: rendition.row.init_bytes}
    for s in rendition.segments:
        needed[s.object_key] = max(needed.get(s.object_key, 0), s.byte_start + s.bytes)
    for key, size in needed.items():
        name = f"{rendition.name}: {key.rpartition('/')[2]}"
        try:
            found = (await store.head(key)).size
        except ObjectMissing:
            yield Fault("object_missing", f"{name} is missing in the store", rendition.name)
            continue
        if found != size:
            text = f"{name} has {found} bytes instead of {size}"
            yield Fault("object_size", text, rendition.name)


async def _bytes(
    store: ObjectStore, rendition: HeldRendition, erased: _Erased, report: Verification
) -> AsyncIterator[Fault]:
    """Every byte is what was hashed when it was written, and its boxes say the same times."""
    row = rendition.row
    init = Piece("init segment", row.init_key, 0, row.init_bytes)
    pieces = [init, *(_piece(s) for s in rendition.segments)]
    hashes = RunningHashes([])
    faults = 0
    number = -1
    async for piece, data in read_pieces(store, pieces):
        segment = rendition.segments[number] if number >= 0 else None
        number += 1
        report.bytes_checked += len(data or b"")
        hashes.update(data or b"")
        if segment is not None and erased.has(rendition.name, segment.sequence):
            continue
        if fault := _piece_fault(rendition.name, piece, data, segment):
            faults += 1
            yield fault
    if not faults and row.object_sha256 is not None and hashes.whole != row.object_sha256:
        text = f"the object of {row.name} is not the one that was made of its segments"
        yield Fault("object_differs", text, row.name)


def _piece(s: HeldSegment) -> Piece:
    return Piece(f"segment {s.sequence}", s.object_key, s.byte_start, s.bytes, s.sha256)


def _piece_fault(
    name: str, piece: Piece, data: bytes | None, segment: HeldSegment | None
) -> Fault | None:
    where = f"{name} {piece.label}"
    code = text = ""
    if data is None:
        code, text = "object_missing", f"{where} is missing in the store"
    elif not is_whole(piece, data):
        code, text = "bytes_differ", f"{where} is not what was written: its SHA-256 is another"
    elif segment is not None and not _boxes_agree(data, segment):
        code, text = "boxes_differ", f"{where} has other times inside than its row"
    if not code:
        return None
    return fault_at(code, text, name, segment) if segment is not None else Fault(code, text, name)


def _boxes_agree(data: bytes, segment: HeldSegment) -> bool:
    try:
        return samples_of(data) == (segment.media_start, segment.samples)
    except BrokenFragment:
        return False


def _whole_faults(holding: Holding, lines: Sequence[Line]) -> Iterator[Fault]:
    """The rows point where the manifest in the store says that the bytes are."""
    said = {line.rendition: line for line in lines if isinstance(line, Compacted)}
    if holding.recording.compacted_at is None:
        return
    for rendition in holding.renditions:
        line, row = said.get(rendition.name), rendition.row
        if line is None or (line.bytes, line.sha256) != (row.object_bytes, row.object_sha256):
            text = f"manifest and rows differ on the object of {rendition.name}"
            yield Fault("object_differs", text, rendition.name)
