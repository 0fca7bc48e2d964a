"""A verified recording drawn for the terminal: the room from left to right, a line each."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from ingest.models import GapCause
from replay.chain import Fault
from replay.holdings import HeldRendition, Holding
from replay.verification import Hole, Verification

NAME_WIDTH = 16
LEAST_WIDTH = 20
CAUSES = {
    GapCause.RECEIVER_DOWN: "receiver was down",
    GapCause.PACKETS_LOST: "lost packets",
    GapCause.DISK_FULL: "disk was full",
    GapCause.OFF_THE_RECORD: "off the record",
    GapCause.CONNECTION_LOST: "lost connection",
    GapCause.WORKER_LOST: "lost worker",
}
KEY = "━ recorded   · off the record   ▒ gap   ✗ damaged"


def duration(milliseconds: float) -> str:
    seconds = round(milliseconds / 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def draw(console: Console, holding: Holding, report: Verification) -> None:
    width = max(min(console.width, 120) - NAME_WIDTH - 3, LEAST_WIDTH)
    console.print(f"Recording {report.recording_id}", markup=False)
    end = duration(report.room_end_ms)
    console.print(f"{'':{NAME_WIDTH}} 0:00:00{end:>{width - 7}}", markup=False)
    for rendition in holding.renditions:
        console.print(_line(rendition, report, width))
    console.print(Text(f"{'':{NAME_WIDTH}} {KEY}\n", style="dim"))
    for pause in report.pauses:
        console.print(_hole(pause), style="dim", markup=False)
    for gap in report.gaps:
        console.print(_hole(gap), style="yellow", markup=False)
    names = {r.name: _printable(r.speaker or r.name) for r in holding.renditions}
    for words in report.erased:
        track, _, rest = words.partition(" ")
        whose = names.get(track, track)
        console.print(f"erased on purpose: {whose} {rest}", style="dim", markup=False)
    for repeats in _grouped(report.findings):
        console.print(_finding(repeats, names), style="red", markup=False)
    console.print(_summary(report), markup=False)


def _line(rendition: HeldRendition, report: Verification, width: int) -> Text:
    printable = _printable(rendition.speaker or rendition.name)[:NAME_WIDTH]
    bar = _Bar(width, report.room_end_ms)
    for segment in rendition.segments:
        bar.paint(segment.room_start_ms, segment.room_end_ms, "━")
    for pause in report.pauses:
        bar.paint(pause.room_start_ms, pause.room_end_ms, "·")
    for gap in report.gaps:
        if gap.speaker in (None, rendition.speaker):
            bar.paint(gap.room_start_ms, gap.room_end_ms, "▒", least=1)
    for fault in report.findings:
        if fault.rendition == rendition.name and fault.room_start_ms is not None:
            end_ms = fault.room_end_ms or fault.room_start_ms
            bar.paint(fault.room_start_ms, end_ms, "✗", least=1)
    text = Text(f"{printable:{NAME_WIDTH}} ")
    for cell in bar.cells:
        text.append(cell, style={"▒": "yellow", "✗": "red", "·": "dim"}.get(cell, "green"))
    return text


class _Bar:
    """Cells of equal length over the room; what is painted later covers what was before."""

    def __init__(self, width: int, room_end_ms: float) -> None:
        self.cells = [" "] * width
        self._per_ms = width / max(room_end_ms, 1)

    def paint(self, start_ms: float, end_ms: float, cell: str, *, least: int = 0) -> None:
        start = min(int(start_ms * self._per_ms), len(self.cells) - 1)
        end = min(max(round(end_ms * self._per_ms), start + least), len(self.cells))
        for at in range(start, end):
            self.cells[at] = cell


def _hole(hole: Hole) -> str:
    whose = _printable(hole.speaker or "everybody")
    length = (hole.room_end_ms - hole.room_start_ms) / 1000
    span = f"{duration(hole.room_start_ms)} - {duration(hole.room_end_ms)}"
    return f"{span}  {length:8.2f} s  {CAUSES[GapCause(hole.cause)]}  {whose}"


def _printable(text: str) -> str:
    """Names are people's: what a terminal would obey is left out."""
    return "".join(c if c.isprintable() else " " for c in text)


def _grouped(findings: Sequence[Fault]) -> list[list[Fault]]:
    """What is wrong with one rendition in one way together, in the order of the first."""
    groups: dict[tuple[str, str | None], list[Fault]] = {}
    for fault in findings:
        groups.setdefault((fault.code, fault.rendition), []).append(fault)
    return list(groups.values())


def _finding(repeats: Sequence[Fault], names: Mapping[str, str]) -> str:
    """The first in its words, with the speaker's name for the track's, and how many there are."""
    first = repeats[0]
    starts = [f.room_start_ms for f in repeats if f.room_start_ms is not None]
    ends = [f.room_end_ms for f in repeats if f.room_end_ms is not None]
    where = f" at {duration(min(starts))}" if starts else ""
    if len(repeats) > 1 and starts and ends:
        where += f" - {duration(max(ends))}"
    text = first.text
    if first.rendition is not None:
        text = text.replace(first.rendition, names.get(first.rendition, first.rendition), 1)
    more = f" (and {len(repeats) - 1} more)" if len(repeats) > 1 else ""
    return f"{first.code}{where}: {text}{more}"


def _summary(report: Verification) -> str:
    looked = "sizes" if report.quick else f"{report.bytes_checked:,} bytes hashed"
    held = (
        f"{_count(report.renditions, 'rendition')}, {_count(report.segments, 'segment')}, {looked}"
    )
    held += ", compacted" if report.compacted else ""
    if report.complete:
        return f"COMPLETE: {held}. Nothing is missing."
    gaps = _count(len(report.gaps), "gap")
    if not report.intact:
        return f"DAMAGED: {held}. {_count(len(report.findings), 'finding')}, {gaps}."
    if report.live:
        return f"LIVE: not finished. So far {held}, {gaps}. Ask again after the room's end."
    return f"GAPS: {held}. All that is missing is named above: {gaps}."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
