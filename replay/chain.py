"""Does the manifest's chain hold, and do the rows say the same? Pure; no bytes are looked at."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ingest.manifest import Ended, Line, Opened, RenditionOpened, SegmentWritten
from ingest.spool import GENESIS
from replay.holdings import HeldRendition, HeldSegment, Holding


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it must be. `code` never changes; room times where it has any."""

    code: str
    text: str
    rendition: str | None = None
    room_start_ms: float | None = None
    room_end_ms: float | None = None


def fault_at(code: str, text: str, rendition: str, segment: HeldSegment | SegmentWritten) -> Fault:
    start = segment.room_start_ms
    return Fault(code, text, rendition, start, start + segment.samples / 48)


def chain_faults(holding: Holding, lines: Iterable[Line]) -> Iterator[Fault]:
    """Faults of the manifest itself, then where rows differ from it."""
    lines = list(lines)
    yield from _frame_faults(holding, lines)
    written: dict[str, list[SegmentWritten]] = {}
    for line in lines:
        if isinstance(line, RenditionOpened):
            written.setdefault(line.rendition, [])
        elif isinstance(line, SegmentWritten):
            written.setdefault(line.rendition, []).append(line)
    for name, segments in written.items():
        yield from _link_faults(name, segments)
    held = {rendition.name: rendition for rendition in holding.renditions}
    for name in sorted(written.keys() | held.keys()):
        yield from _row_faults(name, held.get(name), written.get(name, []))


def _frame_faults(holding: Holding, lines: list[Line]) -> Iterator[Fault]:
    opened = lines[0] if lines else None
    if not isinstance(opened, Opened) or opened.recording_id != str(holding.recording.id):
        yield Fault("manifest_foreign", "the manifest does not begin as this recording's")
    if not any(isinstance(line, Ended) for line in lines):
        yield Fault("manifest_open", "the manifest has no end")


def _link_faults(name: str, segments: list[SegmentWritten]) -> Iterator[Fault]:
    previous = GENESIS
    for number, line in enumerate(segments):
        where = f"{name} segment {line.sequence}"
        if line.sequence != number:
            text = f"{where}: the manifest names {number} next"
            yield fault_at("sequence_broken", text, name, line)
            return
        if line.previous != previous:
            text = f"{where} does not chain to the one before"
            yield fault_at("chain_broken", text, name, line)
        previous = line.sha256


_SAME = ("bytes", "sha256", "media_start", "samples", "room_start_ms", "discontinuity")


def _row_faults(
    name: str, held: HeldRendition | None, written: list[SegmentWritten]
) -> Iterator[Fault]:
    rows = {segment.sequence: segment for segment in held.segments} if held else {}
    for line in written:
        row = rows.pop(line.sequence, None)
        where = f"{name} segment {line.sequence}"
        if row is None:
            yield fault_at("row_missing", f"{where} has no row", name, line)
        elif any(getattr(row, what) != getattr(line, what) for what in _SAME):
            yield fault_at("row_differs", f"{where}: row and manifest differ", name, line)
    for row in rows.values():
        text = f"{name} segment {row.sequence} has a row and no line in the manifest"
        yield fault_at("line_missing", text, name, row)
