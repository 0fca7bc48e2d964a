"""A recording from a synthetic journal: decoded again, it holds what was said when it was said."""

import contextlib
import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from ingest.cut import CUT_DELAY_US, LONGEST_DELAY_US, TICK_US
from ingest.folders import Folders
from ingest.journal import MAGIC
from ingest.manifest import Ended, GapFound, ManifestReader
from ingest.opus import RATE
from ingest.packager import STEP_US, Packager
from tests.ingest.journals import JournalMaker, Voice, clicks, participant, tone
from tests.ingest.listening import decode, onset, rms
from tests.ingest.packaging import check_chain, package, segments


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


def test_without_mixing_the_track_is_the_same_and_alone(folders: Folders, tmp_path: Path) -> None:
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), tone(3)))
    maker.end(3.2)
    maker.write(folders)
    mixed = package(folders, maker.recording_id)
    alone = Folders(tmp_path / "alone")
    maker.write(alone)

    with contextlib.closing(Packager(alone, maker.recording_id, mixing=False)) as packager:
        while packager.step(0):
            pass

    lines = ManifestReader(alone.manifest(maker.recording_id)).read()
    track = f"track-{participant(1)}"
    assert segments(lines, track) == segments(mixed, track)
    assert segments(lines, "mix") == []
    assert lines[-1] == mixed[-1]


@pytest.mark.parametrize("frame_ms", [10, 20, 60, 120])
def test_a_continuous_sound_is_continuous_in_the_mix(folders: Folders, frame_ms: int) -> None:
    """Wherever its packets lie against the steps of the cut."""
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), tone(4), frame_ms=frame_ms, delay=0.0213))
    maker.end(4)
    maker.write(folders)
    package(folders, maker.recording_id)
    heard = decode(folders, maker.recording_id, "mix").signal
    loudness = [rms(heard[at : at + 480]) for at in range(RATE, 3 * RATE, 480)]
    assert min(loudness) > 0.19
    assert max(loudness) < 0.23


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


def test_a_pause_is_cut_out_exactly(folders: Folders) -> None:
    """Secret at 440 Hz off the record, 1 kHz before, 2 kHz after."""
    maker = JournalMaker()
    maker.record(0, on=True)
    spoken = np.concatenate([tone(4, 1000), tone(2, 440), tone(4, 2000)])
    maker.speak(Voice(participant(1), spoken, delay=0.01))
    maker.record(4.0, on=False)
    maker.record(6.0, on=True)
    maker.end(10)
    maker.write(folders)

    lines = package(folders, maker.recording_id)

    check_chain(lines)
    ended = lines[-1]
    assert isinstance(ended, Ended)
    assert ended.media_samples == 8 * RATE
    mix = segments(lines, "mix")
    (after,) = [s for s in mix if s.discontinuity]
    assert (after.media_start, after.room_start_ms) == (4 * RATE, 6000)
    (gap,) = [x for x in lines if isinstance(x, GapFound)]
    assert gap == GapFound(0, None, "off_the_record", 4000, 6000)
    name = f"track-{participant(1)}"
    track = segments(lines, name)
    assert [(s.media_start, s.discontinuity) for s in track[1:]] == [(4 * RATE, True)]
    assert track[1].room_start_ms == 6000
    for rendition in ("mix", name):
        heard = decode(folders, maker.recording_id, rendition).signal
        for at in range(RATE // 2, 8 * RATE - RATE // 2, RATE // 50):
            window = heard[at : at + RATE // 50] * np.hanning(RATE // 50)
            spectrum = np.abs(np.fft.rfft(window))
            strongest = int(np.argmax(spectrum)) * 50
            if spectrum.max() > 5:
                expected = 1000 if at + RATE // 50 <= 4 * RATE else 2000
                assert abs(strongest - expected) <= 50, at / RATE


def test_a_room_off_the_record_from_the_start_begins_with_the_first_mark(
    folders: Folders,
) -> None:
    maker = JournalMaker()
    maker.record(3.011, on=True)
    maker.speak(Voice(participant(1), tone(3), start=3.1))
    maker.end(7)
    maker.write(folders)
    lines = package(folders, maker.recording_id)
    first = segments(lines, "mix")[0]
    assert first.media_start == 0
    assert abs(first.room_start_ms - 3011) <= 10
    assert not first.discontinuity
    assert isinstance(lines[-1], Ended)
    assert abs(lines[-1].media_samples / 48 - 3989) <= 10
    assert not any(isinstance(x, GapFound) for x in lines)


def test_a_room_that_was_never_on_the_record_has_no_media(folders: Folders) -> None:
    maker = JournalMaker()
    maker.end(7)
    maker.write(folders)
    lines = package(folders, maker.recording_id)
    assert [type(line).__name__ for line in lines] == ["Opened", "Ended"]


def test_nobody_speaks_and_the_mix_is_silence(folders: Folders) -> None:
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.end(5)
    maker.write(folders)
    package(folders, maker.recording_id)
    heard = decode(folders, maker.recording_id, "mix")
    assert abs(heard.end - 5 * RATE) <= 1024
    assert np.abs(heard.signal).max() == 0


def test_an_object_of_a_track_is_30_s_and_starts_on_the_grid(folders: Folders) -> None:
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), tone(2), start=7))
    maker.speak(Voice(participant(1), tone(2), start=70, seed=2))
    maker.end(80)
    maker.write(folders)
    lines = package(folders, maker.recording_id)
    check_chain(lines)
    track = segments(lines, f"track-{participant(1)}")
    ends = [(s.media_start + s.samples) / RATE for s in track]
    assert ends[0] == pytest.approx(9.0, abs=0.05)
    assert ends[1:] == [30, 60, pytest.approx(72.0, abs=0.05)]
    heard = decode(folders, maker.recording_id, f"track-{participant(1)}").signal
    assert rms(heard[round(7.5 * RATE) : 8 * RATE]) > 0.1
    assert rms(heard[round(70.5 * RATE) : 71 * RATE]) > 0.1
    assert rms(heard[20 * RATE : 60 * RATE]) < 0.001


def test_media_and_room_time_agree_on_odd_marks(folders: Folders) -> None:
    maker = JournalMaker()
    maker.record(0.003, on=True)
    maker.record(1.017, on=False)
    maker.record(1.502, on=True)
    maker.record(2.999, on=False)
    maker.record(3.333, on=True)
    maker.end(4.777)
    maker.write(folders)
    lines = package(folders, maker.recording_id)
    assert isinstance(lines[-1], Ended)
    recorded = 1014 + 1497 + 1444
    assert abs(lines[-1].media_samples / 48 - recorded) <= 10
    check_chain(lines)
    assert sum(s.samples for s in segments(lines, "mix")) == lines[-1].media_samples


def test_a_stall_of_the_receiving_process_leaves_no_hole(folders: Folders) -> None:
    """Nothing is drained for 0.9 s, then all at once: mixed as if nothing had been."""
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), tone(6)))
    maker.stall(3.0, 3.9)
    maker.end(6)
    maker.write(folders)
    package(folders, maker.recording_id)
    heard = decode(folders, maker.recording_id, "mix").signal
    loudness = [rms(heard[at : at + 4800]) for at in range(RATE, 5 * RATE, 4800)]
    assert min(loudness) > 0.15


@pytest.mark.parametrize("held", [0.6, 1.0, 1.5])
def test_the_mix_waits_for_a_speaker_whose_packets_are_late(folders: Folders, held: float) -> None:
    """Others go on meanwhile, so the room's clock does too."""
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), tone(8), held=(3.0, 3.0 + held)))
    maker.speak(Voice(participant(2), tone(8, amplitude=0.001)))
    maker.end(8)
    maker.write(folders)
    lines = package(folders, maker.recording_id)
    for rendition in ("mix", f"track-{participant(1)}"):
        heard = decode(folders, maker.recording_id, rendition).signal
        loudness = [rms(heard[at : at + 480]) for at in range(RATE, 7 * RATE, 480)]
        assert min(loudness) > 0.19
    assert isinstance(lines[-1], Ended)
    assert lines[-1].packets_lost == 0


def test_whoever_stops_sending_holds_up_the_mix_once_and_briefly(folders: Folders) -> None:
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), tone(4)))
    maker.speak(Voice(participant(2), tone(12)))
    (path,) = maker.write(folders).iterdir()
    begin = path.read_bytes()[: len(MAGIC) + len(maker.opened(0, restart=False))]
    behind: list[float] = []
    with contextlib.closing(Packager(folders, maker.recording_id)) as packager:
        for tenth in range(1, 120):
            path.write_bytes(begin + b"".join(maker.batches(last=tenth / 10)))
            while packager.step(0):
                pass
            behind.append(tenth / 10 - packager.horizon / RATE)
    usual, longest = ((us + TICK_US) / 1_000_000 for us in (CUT_DELAY_US, LONGEST_DELAY_US))
    assert max(behind) < longest + 0.05
    late = [number / 10 for number, seconds in enumerate(behind) if seconds > usual + 0.05]
    assert late[0] >= 4.4
    assert late[-1] <= 6.1


def test_a_torn_batch_at_the_end_of_a_file_ends_only_that_file(folders: Folders) -> None:
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), tone(2), start=0))
    maker.speak(Voice(participant(1), tone(2), start=3))
    maker.end(5)
    folder = maker.write(folders, outages=[(2.5, 2.6)])
    first = folder / "00000001.journal"
    first.write_bytes(first.read_bytes()[:-30])
    lines = package(folders, maker.recording_id)
    assert isinstance(lines[-1], Ended)
    assert lines[-1].packets_received == 198


def test_a_backlog_is_packaged_a_few_seconds_at_a_time(folders: Folders) -> None:
    """Other rooms take their turns between; in the end nothing is missing."""
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), tone(20)))
    maker.end(21)
    maker.write(folders)
    horizons = [0]
    with contextlib.closing(Packager(folders, maker.recording_id)) as packager:
        while packager.step(0):
            horizons.append(packager.horizon)
    assert len(horizons) >= 4
    steps = [after - before for before, after in itertools.pairwise(horizons)]
    assert max(steps) <= (STEP_US + 100_000) * 48 // 1000
    lines = ManifestReader(folders.manifest(maker.recording_id)).read()
    assert isinstance(lines[-1], Ended)
    assert lines[-1].packets_received == 1000


def test_this_machines_clock_may_differ_from_the_rooms(folders: Folders) -> None:
    """The wall clock is an hour fast: the cut still follows the journal's own time."""
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), tone(3)))
    (path,) = maker.write(folders).iterdir()
    hour_fast_us = maker.live_at_us + 3600_000_000
    written_us = hour_fast_us + 3_020_000
    os.utime(path, ns=(written_us * 1000, written_us * 1000))
    with contextlib.closing(Packager(folders, maker.recording_id)) as packager:
        while packager.step(written_us + 2_000_000):
            pass
    lines = ManifestReader(folders.manifest(maker.recording_id)).read()
    mix = segments(lines, "mix")
    assert len(mix) == 1, "4.02 s of the room have passed, less the cut and the grace"
    with contextlib.closing(Packager(folders, maker.recording_id)) as packager:
        for second in range(3, 8):
            while packager.step(written_us + second * 1_000_000):
                pass
    lines = ManifestReader(folders.manifest(maker.recording_id)).read()
    assert len(segments(lines, "mix")) == 4
    check_chain(lines)


def test_no_silence_is_mixed_beyond_an_end_that_the_journal_does_not_hold_yet(
    folders: Folders,
) -> None:
    """The receiving process is dead while the room ends; it says so an hour later."""
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), tone(3)))
    (path,) = maker.write(folders).iterdir()
    alive = path.read_bytes()
    with contextlib.closing(Packager(folders, maker.recording_id)) as packager:
        packager.expect_end(5000)
        while packager.step(maker.live_at_us + 3_100_000):
            pass
        for second in (60, 3600):
            packager.step(maker.live_at_us + second * 1_000_000)
        maker.end(5)
        late = maker.batches(first=5, last=6)
        path.write_bytes(alive + b"".join(late))
        packager.step(maker.live_at_us + 3601_000_000)
        assert packager.ended
    lines = ManifestReader(folders.manifest(maker.recording_id)).read()
    assert isinstance(lines[-1], Ended)
    assert lines[-1].media_samples == 5 * RATE
