"""A recording from a synthetic journal: decoded again, it holds what was said when it was said."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from ingest.folders import Folders
from ingest.manifest import Ended, Line, ManifestReader, SegmentWritten
from ingest.opus import RATE
from ingest.packager import Packager
from tests.ingest.journals import JournalMaker, Voice, clicks, participant, tone
from tests.ingest.listening import decode, onset


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def package(folders: Folders, recording_id: str) -> list[Line]:
    """Packages a journal that is complete; the wall clock never gets ahead of it."""
    with contextlib.closing(Packager(folders, recording_id)) as packager:
        while packager.step(0):
            pass
    return ManifestReader(folders.manifest(recording_id)).read()


def segments(lines: list[Line], rendition: str) -> list[SegmentWritten]:
    return [s for s in lines if isinstance(s, SegmentWritten) and s.rendition == rendition]


def check_chain(lines: list[Line]) -> None:
    """Every rendition is gapless, hash-chained and numbered from 0."""
    last: dict[str, SegmentWritten] = {}
    for line in lines:
        if not isinstance(line, SegmentWritten):
            continue
        before = last.get(line.rendition)
        if before is None:
            assert line.sequence == 0
        else:
            assert line.sequence == before.sequence + 1
            assert line.media_start == before.media_start + before.samples
            assert line.previous == before.sha256
        last[line.rendition] = line


def test_one_speaker_becomes_a_mix_and_a_track(folders: Folders) -> None:
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), tone(5)))
    maker.end(5.2)
    maker.write(folders)

    lines = package(folders, maker.recording_id)

    check_chain(lines)
    ended = lines[-1]
    assert isinstance(ended, Ended)
    assert ended.media_samples == round(5.2 * RATE)
    assert (ended.packets_received, ended.packets_lost) == (250, 0)
    mix = decode(folders, maker.recording_id, "mix")
    assert abs(mix.end - ended.media_samples) <= 1024
    track = decode(folders, maker.recording_id, f"track-{participant(1)}")
    for heard in (mix, track):
        middle = heard.signal[RATE : 4 * RATE]
        assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("jitter", [0.0, 0.04])
def test_a_click_lies_at_one_instant_everywhere(folders: Folders, jitter: float) -> None:
    moments = [1.0, 4.5]
    maker = JournalMaker()
    maker.record(0, on=True)
    for number, frame_ms in enumerate([10, 20, 60]):
        voice = Voice(
            participant(number),
            clicks(6, moments),
            frame_ms=frame_ms,
            jitter=jitter,
            seed=number,
            timestamp=number * 0x60000000,
        )
        maker.speak(voice)
    maker.end(6)
    maker.write(folders)

    package(folders, maker.recording_id)

    names = ["mix", *(f"track-{participant(n)}" for n in range(3))]
    for moment in moments:
        heard = [onset(decode(folders, maker.recording_id, n), moment) for n in names]
        assert max(heard) - min(heard) < 0.005
        assert all(moment + 0.015 < at < moment + 0.035 for at in heard)
