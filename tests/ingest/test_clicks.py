"""A click at one instant lies at one place on every track and in the mix, whoever speaks."""

from pathlib import Path

import pytest

from ingest.endpoint import DRAIN_SECONDS
from ingest.folders import Folders
from tests.ingest.journals import JournalMaker, Voice, clicks, participant
from tests.ingest.listening import decode, onset
from tests.ingest.packaging import package

DELAY = 0.02
DRAIN_US = round(DRAIN_SECONDS * 1_000_000)
"""Real drains are in step with no sender: each meets another part of a packet."""

CLICKS = (2.4, 4.9)


def speak(
    maker: JournalMaker, number: int, frame_ms: int, start: float, jitter: float = 0.0
) -> int:
    """A stream from `start` on that captures both clicks of the room, as far as it lasts."""
    moments = [at - start for at in CLICKS if at > start]
    signal = clicks(6 - start, moments)
    return maker.speak(
        Voice(
            participant(number),
            signal,
            start=start,
            frame_ms=frame_ms,
            delay=DELAY,
            timestamp=0xFFFF0000 + number,
            jitter=jitter,
            seed=number,
        )
    )


def check(tmp_path: Path, maker: JournalMaker, speakers: int, paused: float = 0.0) -> None:
    maker.end(6)
    folders = Folders(tmp_path)
    maker.write(folders)
    package(folders, maker.recording_id)
    names = ["mix", *(f"track-{participant(number)}" for number in range(speakers))]
    files = [decode(folders, maker.recording_id, name) for name in names]
    for moment in CLICKS:
        media = moment + DELAY - (paused if moment > 3.5 else 0)
        heard = [onset(file, media) for file in files]
        assert max(heard) - min(heard) < 0.005
        # A span's edges lie on a grid of 20 ms.
        assert all(-0.015 < at - media < 0.022 for at in heard)


@pytest.mark.slow
@pytest.mark.parametrize("lengths", [(10, 20, 60), (40, 120, 10), (20, 100, 80)])
@pytest.mark.parametrize("jitter", [0.0, 0.01])
def test_packets_of_any_length(tmp_path: Path, lengths: tuple[int, ...], jitter: float) -> None:
    maker = JournalMaker(drain_us=DRAIN_US)
    maker.record(0, on=True)
    for number, frame_ms in enumerate(lengths):
        speak(maker, number, frame_ms, 0.0, jitter)
    check(tmp_path, maker, len(lengths))


@pytest.mark.parametrize("late", [0.5017, 1.3331, 2.0009])
def test_speakers_who_join_late_and_off_every_grid(tmp_path: Path, late: float) -> None:
    maker = JournalMaker(drain_us=DRAIN_US)
    maker.record(0, on=True)
    speak(maker, 0, 20, 0.0)
    speak(maker, 1, 60, late / 2)
    speak(maker, 2, 10, late)
    check(tmp_path, maker, 3)


def test_a_speaker_who_reconnects_between_the_clicks(tmp_path: Path) -> None:
    maker = JournalMaker(drain_us=DRAIN_US)
    maker.record(0, on=True)
    speak(maker, 0, 20, 0.0)
    first = maker.speak(Voice(participant(1), clicks(3.1, CLICKS[:1]), frame_ms=60, delay=DELAY))
    maker.close(3.4, first)
    speak(maker, 1, 10, 3.7123)
    check(tmp_path, maker, 2)


@pytest.mark.parametrize("until", [4.0, 4.2371])
def test_a_pause_before_the_click_moves_all_alike(tmp_path: Path, until: float) -> None:
    maker = JournalMaker(drain_us=DRAIN_US)
    maker.record(0, on=True)
    maker.record(3.0, on=False)
    maker.record(until, on=True)
    for number, frame_ms in enumerate((10, 20, 60)):
        speak(maker, number, frame_ms, 0.1 * number)
    check(tmp_path, maker, 3, paused=until - 3.0)
