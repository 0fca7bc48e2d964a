"""The limiter: a ceiling that holds, the same signal whatever the blocks, and no distortion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.limiter import CEILING, LOOK_AHEAD, STEP, Limiter
from ingest.opus import RATE
from tests.ingest.journals import Pcm, quiet, tone
from tests.ingest.listening import rms


def limited(signal: Pcm, *sizes: int) -> Pcm:
    """The whole signal through a limiter, in blocks of these sizes and the rest."""
    limiter = Limiter()
    borders = np.cumsum(sizes)
    parts = [limiter.push(block) for block in np.split(signal, borders)]
    return np.concatenate([*parts, limiter.flush()])


def steps(values: list[float]) -> Pcm:
    """Random sound whose amplitude changes every step."""
    noise = np.random.default_rng(1).uniform(-1, 1, (len(values), STEP))
    signal: Pcm = (noise * np.array(values)[:, None]).reshape(-1).astype(np.float32)
    return signal


loudnesses = st.lists(st.floats(0, 8), min_size=1, max_size=60)
PARTS = st.lists(st.integers(0, 12), max_size=12)


@given(loudnesses, PARTS)
@settings(deadline=None)
def test_nothing_is_above_the_ceiling_whatever_the_blocks(
    values: list[float], parts: list[int]
) -> None:
    signal = steps(values)
    heard = limited(signal)
    assert heard.size == signal.size
    assert np.abs(heard).max() <= CEILING * 1.00001
    assert np.all(np.abs(heard) <= np.abs(signal))
    assert np.all(heard * signal >= 0)
    assert np.array_equal(limited(signal, *(STEP * part for part in parts)), heard)


@given(st.lists(st.floats(0, CEILING), min_size=1, max_size=60))
@settings(deadline=None)
def test_what_is_below_the_ceiling_is_not_touched(values: list[float]) -> None:
    signal = steps(values)
    assert np.array_equal(limited(signal), signal)


def test_a_block_waits_only_for_the_look_ahead() -> None:
    limiter = Limiter()
    assert limiter.push(quiet(0.1)).size == 4800 - LOOK_AHEAD
    assert limiter.push(quiet(0.1)).size == 4800
    assert limiter.flush().size == LOOK_AHEAD


@pytest.mark.parametrize("hertz", [100, 440, 3000])
@pytest.mark.parametrize("amplitude", [1.0, 2.0, 4.0])
def test_a_loud_tone_stays_a_tone(hertz: float, amplitude: float) -> None:
    heard = limited(tone(1, hertz, amplitude))[RATE // 4 :]
    at = 2 * np.pi * hertz * np.arange(heard.size) / RATE
    waves = np.stack([np.sin(at), np.cos(at)], axis=1)
    share, *_ = np.linalg.lstsq(waves, heard)
    rest = heard - waves @ share
    assert rms(rest.astype(np.float32)) < 0.01 * rms(heard)
    assert np.abs(heard).max() == pytest.approx(CEILING, rel=0.02)


def test_the_gain_is_down_before_the_peak_and_up_again_within_a_second() -> None:
    signal = tone(3, 1000, 0.5)
    signal[RATE : RATE + 480] *= 4
    heard = limited(signal)
    gain = np.abs(heard[signal != 0] / signal[signal != 0])
    assert np.all(gain[: RATE - LOOK_AHEAD - STEP] == 1)
    assert np.all(gain[2 * RATE :] == 1)
    assert np.abs(np.diff(gain)).max() < 1 / STEP


def test_a_new_signal_begins_anew() -> None:
    limiter = Limiter()
    limiter.push(tone(0.1, amplitude=8.0))
    limiter.flush()
    signal = tone(0.1)
    assert np.array_equal(np.concatenate([limiter.push(signal), limiter.flush()]), signal)
