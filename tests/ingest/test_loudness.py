"""Loudness as ITU-R BS.1770 measures it, and gains that bring speakers together slowly."""

from collections.abc import Iterator

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.loudness import HOP, LARGEST_GAIN_DB, TARGET_LUFS, Level, heard, lufs, power_of
from ingest.opus import RATE
from tests.ingest.journals import Pcm, quiet, tone
from tests.ingest.speech import SPEAKERS, noise, said_by, say


def hops(signal: Pcm) -> Iterator[Pcm]:
    for at in range(0, signal.size - HOP + 1, HOP):
        yield signal[at : at + HOP]


def levels(signal: Pcm, level: Level | None = None) -> list[Level]:
    """The level after each hop."""
    found: list[Level] = []
    for hop in hops(signal):
        level = heard(level or Level(), power_of(hop))
        found.append(level)
    return found


def integrated(signal: Pcm) -> float:
    """FFmpeg's gated loudness (EBU R 128) of all of it."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=RATE, format="flt", layout="mono", time_base="1/48000")  # type: ignore[arg-type]
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    loudness = -np.inf
    for number, hop in enumerate(hops(signal)):
        frame = av.AudioFrame.from_ndarray(hop.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate, frame.pts = RATE, number * HOP
        graph.push(frame)
        while True:
            try:
                pulled = graph.pull()
            except av.error.BlockingIOError:
                break
            loudness = float(pulled.metadata.get("lavfi.r128.I", loudness))
    return float(loudness)


@pytest.mark.parametrize(
    ("hertz", "expected"),
    [(100, -4.8), (997, -3.01), (2000, -0.63), (4000, 0.27)],
)
@pytest.mark.parametrize("samples", [HOP, 960, 1920])
def test_a_full_sine_has_the_loudness_of_the_standard(
    hertz: float, expected: float, samples: int
) -> None:
    sine = tone(samples / RATE, hertz, 1.0)
    assert lufs(power_of(sine)) == pytest.approx(expected, abs=0.35)


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_speech_has_the_loudness_that_ffmpeg_finds(speaker: str) -> None:
    signal = said_by(speaker)
    assert levels(signal)[-1].loudness == pytest.approx(integrated(signal), abs=1.0)


@pytest.mark.parametrize("gain_db", [-12, -6, 0, 6])
@pytest.mark.parametrize("speaker", SPEAKERS)
def test_speakers_come_to_one_loudness_within_seconds(speaker: str, gain_db: float) -> None:
    signal = say(speaker, 30, gain=10 ** (gain_db / 20))
    found = levels(signal)
    natural = integrated(signal)
    after = [natural + level.gain_db for level in found[60:]]
    assert max(abs(loudness - TARGET_LUFS) for loudness in after) < 2.0
    assert natural + found[-1].gain_db == pytest.approx(TARGET_LUFS, abs=1.25)


@pytest.mark.parametrize(("gain", "bound"), [(0.1, LARGEST_GAIN_DB), (20.0, -LARGEST_GAIN_DB)])
def test_the_gain_is_bounded(gain: float, bound: float) -> None:
    assert levels(say("ada", 30, gain=gain))[-1].gain_db == pytest.approx(bound, abs=0.01)


@given(st.lists(st.floats(-100, 20), min_size=1, max_size=200))
@settings(deadline=None)
def test_the_gain_never_jumps(decibels: list[float]) -> None:
    level, last = Level(), 0.0
    for decibel in decibels:
        level = heard(level, 10 ** (decibel / 10))
        assert abs(level.gain_db) <= LARGEST_GAIN_DB
        assert -1.2 - 1e-9 <= level.gain_db - last <= 0.6 + 1e-9
        last = level.gain_db


def test_the_gain_does_not_pump() -> None:
    """Once a speaker is known: within a dB and a half, whatever they say, shout or whisper."""
    found = levels(say("ben", 40))[100:]
    gains = [level.gain_db for level in found]
    assert max(gains) - min(gains) < 1.5
    assert np.abs(np.diff(gains)).max() <= 0.3 + 1e-9


@pytest.mark.parametrize("dbfs", [-70, -50, -35])
def test_noise_is_not_amplified(dbfs: float) -> None:
    for level in levels(np.concatenate([quiet(0.5), noise(20, dbfs)]))[40:]:
        assert level.applied_db <= 0.5


def test_a_gain_is_taken_back_while_only_noise_is_heard_and_is_there_with_the_next_word() -> None:
    room = noise(40, -55)
    talk = say("chiara", 10, gain=0.15) + room[: 10 * RATE]
    found = levels(np.concatenate([talk, room[: 5 * RATE], talk]))
    learned = found[99].gain_db
    assert learned > 5
    assert [level.applied_db for level in found[115:149]] == [0.0] * 34
    assert found[149].gain_db == learned
    back = next(n for n, level in enumerate(found[150:]) if level.applied_db > 5)
    spoken = next(n for n, hop in enumerate(hops(talk)) if lufs(power_of(hop)) > -40)
    assert back <= spoken


def test_a_steady_sound_is_no_talk() -> None:
    assert {level.gain_db for level in levels(tone(10))} == {0.0}
