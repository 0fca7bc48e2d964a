"""A verified recording drawn for the terminal: the room from left to right, a line each."""

from rich.console import Console
from rich.text import Text

from replay.chain import Fault
from replay.holdings import HeldRendition, Holding
from replay.verification import Hole, Verification

NAME_WIDTH = 16
LEAST_WIDTH = 20
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
    for words in report.erased:
        console.print(f"erased on purpose: {words}", style="dim", markup=False)
    for fault in report.findings:
        console.print(_finding(fault), style="red", markup=False)
    console.print(_summary(report), markup=False)


def _line(rendition: HeldRendition, report: Verification, width: int) -> Text:
    name = (rendition.speaker or rendition.name)[:NAME_WIDTH]
    printable = "".join(c if c.isprintable() else " " for c in name)
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
    whose = hole.speaker or "everybody"
    length = (hole.room_end_ms - hole.room_start_ms) / 1000
    span = f"{duration(hole.room_start_ms)} - {duration(hole.room_end_ms)}"
    return f"{span}  {length:8.2f} s  {hole.cause}  {whose}"


def _finding(fault: Fault) -> str:
    where = "" if fault.room_start_ms is None else f" at {duration(fault.room_start_ms)}"
    return f"{fault.code}{where}: {fault.text}"


def _summary(report: Verification) -> str:
    looked = "sizes" if report.quick else f"{report.bytes_checked:,} bytes hashed"
    held = f"{report.renditions} renditions, {report.segments} segments, {looked}"
    held += ", compacted" if report.compacted else ""
    if report.complete:
        return f"COMPLETE: {held}. Nothing is missing."
    if report.intact:
        return f"GAPS: {held}. All that is missing is named above: {len(report.gaps)} gaps."
    return f"DAMAGED: {held}. {len(report.findings)} findings, {len(report.gaps)} gaps."
