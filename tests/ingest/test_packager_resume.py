"""kill -9 anywhere: what an interrupted and a resumed packager write is what one run writes."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from ingest.folders import Folders
from ingest.manifest import Ended, GapFound, Line, SegmentWritten
from ingest.opus import RATE
from ingest.packager import Packager
from tests.ingest.journals import JournalMaker, Voice, participant, tone
from tests.ingest.listening import decode
from tests.ingest.packaging import check_chain, package, segments
from tests.ingest.speech import say


def conversation() -> JournalMaker:
    """Twelve seconds with a pause, a loss, jitter and a reconnect."""
    maker = JournalMaker(recording_id="0190a000-0000-7000-8000-000000000001")
    maker.record(0, on=True)
    maker.record(5, on=False)
    maker.record(6.37, on=True)
    lossy = Voice(participant(1), tone(12, 300), jitter=0.03, drop=lambda i: 400 <= i < 420)
    maker.speak(lossy)
    first = maker.speak(Voice(participant(2), tone(3, 500), start=1, frame_ms=60))
    maker.close(4.2, first)
    maker.speak(Voice(participant(2), tone(4, 700), start=7.5, seed=3))
    maker.end(12)
    return maker


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folders, JournalMaker, list[Line]]:
    folders = Folders(tmp_path_factory.mktemp("whole"))
    maker = conversation()
    maker.write(folders)
    return folders, maker, package(folders, maker.recording_id)


def coordinates(lines: list[Line], rendition: str) -> list[tuple[int, int, float, bool]]:
    return [
        (s.media_start, s.samples, s.room_start_ms, s.discontinuity)
        for s in segments(lines, rendition)
    ]


Whole = tuple[Folders, JournalMaker, list[Line]]


def check_same(expected: Whole, folders: Folders, lines: list[Line]) -> None:
    original, maker, wanted = expected
    check_chain(lines)
    assert lines[-1] == wanted[-1]
    gaps = [x for x in wanted if isinstance(x, GapFound)]
    assert [x for x in lines if isinstance(x, GapFound)] == gaps
    for number in (1, 2):
        name = f"track-{participant(number)}"
        hashes = [s.sha256 for s in segments(wanted, name)]
        assert [s.sha256 for s in segments(lines, name)] == hashes
    assert coordinates(lines, "mix") == coordinates(wanted, "mix")
    one = decode(original, maker.recording_id, "mix").signal
    two = decode(folders, maker.recording_id, "mix").signal
    assert one.shape == two.shape
    assert np.sqrt(np.mean((one - two) ** 2)) < 0.01


@pytest.mark.parametrize("part", [0.1, 0.31, 0.55, 0.62, 0.87, 0.97])
def test_killed_where_the_journal_had_come_to(whole: Whole, tmp_path: Path, part: float) -> None:
    folders = Folders(tmp_path)
    _, maker, _ = whole
    (path,) = maker.write(folders).iterdir()
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    interrupted = package(folders, maker.recording_id)
    assert not any(isinstance(line, Ended) for line in interrupted)
    path.write_bytes(data)

    check_same(whole, folders, package(folders, maker.recording_id))


@pytest.mark.parametrize("part", [0.0, 0.12, 0.4, 0.66, 0.9, 0.99])
def test_killed_while_the_manifest_was_written(whole: Whole, tmp_path: Path, part: float) -> None:
    """The manifest is torn anywhere; the file that it would have named next is half there."""
    folders = Folders(tmp_path)
    original, maker, wanted = whole
    maker.write(folders)
    shutil.copytree(original.spool(maker.recording_id), folders.spool(maker.recording_id))
    path = folders.manifest(maker.recording_id)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    named = path.read_text()
    for line in wanted:
        if isinstance(line, SegmentWritten) and line.file not in named:
            file = folders.spool(maker.recording_id) / line.file
            file.write_bytes(file.read_bytes()[: line.bytes // 2])

    check_same(whole, folders, package(folders, maker.recording_id))


@pytest.mark.parametrize("part", [0.35, 0.77])
def test_the_gains_of_the_speakers_do_not_jump(tmp_path: Path, part: float) -> None:
    """A quiet voice and a loud one, that both need seconds to be leveled."""
    maker = JournalMaker(recording_id="0190a000-0000-7000-8000-000000000002")
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), say("ada", 12, gain=0.25)))
    maker.speak(Voice(participant(2), say("ben", 5, gain=2), start=6))
    maker.end(12)
    whole, cut = Folders(tmp_path / "whole"), Folders(tmp_path / "cut")
    maker.write(whole)
    package(whole, maker.recording_id)
    (path,) = maker.write(cut).iterdir()
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    interrupted = package(cut, maker.recording_id)
    path.write_bytes(data)
    package(cut, maker.recording_id)
    last = segments(interrupted, "mix")[-1]
    border = last.media_start + last.samples
    one, two = (decode(f, maker.recording_id, "mix").signal[border:] for f in (whole, cut))
    assert border > 2 * RATE
    assert one.size == two.size
    for at in range(0, 2 * RATE, RATE // 4):
        before, after = one[at : at + RATE // 4], two[at : at + RATE // 4]
        # What is left is two encoders' noise; half a dB would be 6 %.
        assert float(after @ before / (before @ before)) == pytest.approx(1, abs=0.02)


def test_an_ended_recording_is_not_written_again(whole: Whole) -> None:
    folders, maker, _ = whole
    before = folders.manifest(maker.recording_id).read_bytes()
    packager = Packager(folders, maker.recording_id)
    assert packager.ended
    assert not packager.step(0)
    assert folders.manifest(maker.recording_id).read_bytes() == before
