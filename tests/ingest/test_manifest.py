from dataclasses import asdict
from pathlib import Path

import pytest

from ingest.loudness import Level
from ingest.manifest import (
    Ended,
    GapFound,
    LevelsKnown,
    Line,
    ManifestReader,
    Opened,
    RenditionOpened,
    SegmentWritten,
    dump,
    load,
)
from ingest.marks import (
    Mark,
    RecordingOpened,
    RecordMark,
    RoomEnded,
    StreamClosed,
    StreamOpened,
    from_event,
    to_event,
)

LINES: list[Line] = [
    Opened("rec", "room", "platform", 1, 1, 1_700_000_000_000_000),
    RenditionOpened("mix", None, "mp4a.40.2", "mix/init.mp4", 600),
    SegmentWritten("mix", 0, "mix/0.m4s", 9, "ab", "", 0, 96256, 0.0, False),
    GapFound(1, None, "receiver_down", 1.5, 2.5),
    LevelsKnown({"p": asdict(Level(energy=0.5, weight=2.5, hops=3, gain_db=-1.25))}),
    Ended(2005.3, 96256, 100, 2),
]
MARKS: list[Mark] = [
    RecordingOpened("rec", "room", "platform", 1, 1, 5, True, 77),
    StreamOpened(1, "p", 0xDEADBEEF, True),
    StreamClosed(1, 100, 2),
    RecordMark(1500, False),
    RoomEnded(9000),
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.kind)
def test_a_line_survives_the_disk(line: Line) -> None:
    assert load(dump(line)) == line


@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: mark.kind)
def test_a_mark_survives_the_journal(mark: Mark) -> None:
    assert from_event(to_event(mark)) == mark


def test_what_a_newer_version_wrote_is_passed_over() -> None:
    assert load(b'{"kind":"subtitles","x":1}') is None
    newer = dump(LINES[0]).replace(b'"epoch":1', b'"epoch":1,"later":true')
    assert load(newer) == LINES[0]


def test_tails_whole_lines_only(tmp_path: Path) -> None:
    reader = ManifestReader(tmp_path / "manifest.jsonl")
    assert reader.read() == []
    raw = b"".join(map(dump, LINES))
    seen: list[Line] = []
    for end in range(0, len(raw) + 1, 7):
        reader.path.write_bytes(raw[:end])
        seen += reader.read()
    reader.path.write_bytes(raw)
    seen += reader.read()
    assert seen == LINES
