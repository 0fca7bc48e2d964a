"""A pause that the packager learns of late: what still gets out is bounded, and stays the same."""

import contextlib

import numpy as np
import pytest

from ingest.cut import CUT_DELAY_US, TICK_US
from ingest.folders import Folders
from ingest.journal import MAGIC
from ingest.manifest import Ended, ManifestReader
from ingest.marks import CloseReason
from ingest.opus import RATE
from ingest.packager import Packager
from tests.ingest.journals import JournalMaker, Voice, participant, tone
from tests.ingest.listening import decode
from tests.ingest.packaging import check_chain, package, segments

OFF, ON, END = 4.0, 8.0, 10.0
SECRET_HZ = 440.0
ADA = participant(1)


def seconds_with(signal: np.ndarray, hertz: float) -> float:
    """How long a tone is heard, in windows of 20 ms."""
    size = RATE // 50
    windows = signal[: signal.size // size * size].reshape(-1, size)
    t = np.arange(size) / RATE
    strength = np.abs(windows @ np.exp(-2j * np.pi * hertz * t)) * 2 / size
    return float(np.count_nonzero(strength > 0.1)) * 0.02


@pytest.mark.parametrize("late", [0.05, 0.45, 0.9, 2.0])
def test_what_was_said_after_a_late_mark_gets_out_only_as_far_as_it_was_mixed(
    folders: Folders, late: float
) -> None:
    """The cut is behind: a mark that is no later costs nothing."""
    maker = JournalMaker()
    maker.record(0, on=True)
    spoken = [tone(OFF, 1000), tone(ON - OFF, SECRET_HZ), tone(END - ON, 2000)]
    maker.speak(Voice(ADA, np.concatenate(spoken), delay=0.0))
    maker.record(OFF, on=False, late=late)
    maker.record(ON, on=True)
    maker.end(END)
    maker.write(folders)
    lines = package(folders, maker.recording_id)
    check_chain(lines)
    leaked = max(0.0, late - CUT_DELAY_US / 1_000_000)
    for name in ("mix", f"track-{ADA}"):
        heard = decode(folders, maker.recording_id, name).signal
        assert seconds_with(heard, SECRET_HZ) <= leaked + (0.04 if leaked else 0.0)
        assert seconds_with(heard, 1000) == pytest.approx(OFF, abs=0.15)
        assert seconds_with(heard, 2000) == pytest.approx(END - ON, abs=0.15)
    assert isinstance(lines[-1], Ended)
    more = lines[-1].media_samples / RATE - (END - (ON - OFF))
    assert max(0.0, leaked - TICK_US / 1_000_000) - 0.02 <= more <= leaked + 0.02


def test_a_killed_packager_cuts_a_late_pause_where_it_had_cut_it(folders: Folders) -> None:
    """The wall clock had moved the cut past the mark, in a room in which nobody spoke."""
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.close(2.1, maker.speak(Voice(ADA, tone(2))), CloseReason.LEFT)
    maker.record(5.0, on=False, late=7.0)
    maker.record(13.0, on=True)
    maker.speak(Voice(ADA, tone(4, 2000), start=13.1, seq=7))
    maker.end(17)
    (path,) = maker.write(folders).iterdir()
    whole = path.read_bytes()
    begin = MAGIC + maker.opened(0, restart=False)
    with contextlib.closing(Packager(folders, maker.recording_id)) as packager:
        for tenth in range(1, 150):
            path.write_bytes(begin + b"".join(maker.batches(last=tenth / 10)))
            while packager.step(maker.live_at_us + tenth * 100_000):
                pass
    interrupted = ManifestReader(folders.manifest(maker.recording_id)).read()
    path.write_bytes(whole)
    lines = package(folders, maker.recording_id)
    assert lines[: len(interrupted)] == interrupted
    check_chain(lines)
    mix, track = segments(lines, "mix"), segments(lines, f"track-{ADA}")
    (resumed,) = [s for s in mix if s.discontinuity]
    (spoken,) = [s for s in track if s.discontinuity]
    assert resumed.media_start > 10 * RATE, "the cut had passed the mark"
    assert spoken.media_start == resumed.media_start
    assert resumed.room_start_ms == pytest.approx(13_000, abs=20)
    for name in ("mix", f"track-{ADA}"):
        heard = decode(folders, maker.recording_id, name).signal
        assert seconds_with(heard, 2000) == pytest.approx(3.9, abs=0.15)


@pytest.mark.parametrize("seconds", [1.9, 3.5])
def test_a_burst_that_is_too_late_for_the_mix_is_whole_on_the_track(
    folders: Folders, seconds: float
) -> None:
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(ADA, tone(8, 1000), held=(3.0, 3.0 + seconds)))
    maker.speak(Voice(participant(2), tone(8, 300, amplitude=0.02)))
    maker.end(8)
    maker.write(folders)
    lines = package(folders, maker.recording_id)
    track = decode(folders, maker.recording_id, f"track-{ADA}").signal
    mix = decode(folders, maker.recording_id, "mix").signal
    assert seconds_with(track, 1000) == pytest.approx(8, abs=0.1)
    assert seconds_with(mix, 1000) > 8 - seconds
    assert isinstance(lines[-1], Ended)
    assert lines[-1].packets_lost == 0
