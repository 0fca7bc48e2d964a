"""How loud somebody talks, and the slow gain that brings all speakers to one loudness (pure).

Measured are hops of 100 ms with the K-weighting of ITU-R BS.1770-5 (annex 1), as a mean over
about the last 15 s of talk. What is not clearly above the noise around it is not talk: it
changes no gain, and after half a second it is not amplified either.
"""

import functools
import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ingest.decoder import Pcm
from ingest.opus import RATE

HOP: Final = RATE // 10
TARGET_LUFS: Final = -20.0
"""On two loudspeakers a mono mix is 3 dB louder: -17 LUFS, as AES TD1008 wants speech."""

LARGEST_GAIN_DB: Final = 12.0

_DECIMATION: Final = 4
"""Measured at 12 kHz, which leaves out nothing that changes the loudness of speech by 0.5 dB."""

_SUM: Final = np.ones(_DECIMATION, np.float32)
_MEMORY: Final = math.exp(-1 / 150)
"""A hop of talk counts for a third after 15 s of talk."""

_SILENCE: Final = 10 ** ((-70 + 0.691) / 10)
"""-70 LUFS as a power, the absolute gate of BS.1770."""

_OVER_NOISE: Final = 10.0
"""Talk is 10 dB above the quietest that was heard shortly before,"""

_UNDER_PEAK: Final = 10**-1.5
"""at most 15 dB below the loudest,"""

_STEADY: Final = 10**0.1
"""and differs from the hop before by more than 1 dB, unlike fans and tones."""

_FORGET: Final = 10**0.06
"""The quietest and the loudest are forgotten by 0.6 dB a hop."""

_TRUSTED: Final = 25
"""Hops of talk until its loudness is believed wholly."""

_FIRST: Final = 50
"""Hops of talk in which the gain moves fast: the first 5 s."""

_RISE_DB, _FALL_DB = 0.1, 0.3
_FIRST_RISE_DB, _FIRST_FALL_DB = 0.6, 1.2
"""A hop, so 1 and 3 dB a second, and 6 and 12 at first."""

_HOLD: Final = 5
_WITHDRAW_DB: Final = 2.0
"""Half a second after the last talk a gain above 1 is taken back by 20 dB a second."""


@dataclass(frozen=True, slots=True)
class Level:
    """What is known of one speaker's loudness; powers are mean squares after K-weighting.

    `gain_db` is what their talk needs, `applied_db` what they get now.
    """

    energy: float = 0.0
    weight: float = 0.0
    hops: int = 0
    power: float = 0.0
    floor: float = 1.0
    peak: float = 0.0
    gain_db: float = 0.0
    applied_db: float = 0.0
    quiet: int = 0

    @property
    def loudness(self) -> float:
        """LUFS of their talk; -inf before the first."""
        return lufs(self.energy / self.weight) if self.weight else -math.inf


def lufs(power: float) -> float:
    return -0.691 + 10 * math.log10(power) if power > 0 else -math.inf


def heard(level: Level, power: float) -> Level:
    """The level after a hop of this power."""
    floor = min(max(power, _SILENCE), level.floor * _FORGET)
    peak = max(power, level.peak / _FORGET)
    steady = level.power / _STEADY < power < level.power * _STEADY
    if steady or power <= max(floor * _OVER_NOISE, peak * _UNDER_PEAK):
        quiet = level.quiet + 1
        return _rested(replace(level, power=power, floor=floor, peak=peak, quiet=quiet))
    energy = level.energy * _MEMORY + power
    weight = level.weight * _MEMORY + 1
    gain_db = _follow(level, lufs(energy / weight))
    return Level(energy, weight, level.hops + 1, power, floor, peak, gain_db, gain_db, 0)


def _follow(level: Level, loudness: float) -> float:
    needed = min(max(TARGET_LUFS - loudness, -LARGEST_GAIN_DB), LARGEST_GAIN_DB)
    step = needed * min(1.0, level.hops / _TRUSTED) - level.gain_db
    first = level.hops < _FIRST
    rise, fall = (_FIRST_RISE_DB, _FIRST_FALL_DB) if first else (_RISE_DB, _FALL_DB)
    return level.gain_db + min(max(step, -fall), rise)


def _rested(level: Level) -> Level:
    if level.quiet <= _HOLD or level.applied_db <= 0:
        return level
    return replace(level, applied_db=max(level.applied_db - _WITHDRAW_DB, 0.0))


def power_of(signal: Pcm) -> float:
    """The K-weighted mean square of some samples, a multiple of 4."""
    slow = signal.reshape(-1, _DECIMATION) @ _SUM
    spectrum = np.fft.rfft(slow).view(np.float32)
    return float(np.dot(spectrum * spectrum, _weights(slow.size)))


@functools.lru_cache(maxsize=16)
def _weights(size: int) -> npt.NDArray[np.float32]:
    """What each real and imaginary part, squared, adds to the mean square (Parseval)."""
    hertz = np.arange(size // 2 + 1) * (RATE / _DECIMATION / size)
    z = np.exp(-2j * np.pi * hertz / RATE)
    decimator = np.abs(sum(z**k for k in range(_DECIMATION))) ** 2
    weights = _k_weighting(z) / decimator * 2 / size**2
    if size % 2 == 0:
        weights[-1] /= 2
    return np.repeat(weights, 2).astype(np.float32)


def _k_weighting(z: npt.NDArray[np.complex128]) -> npt.NDArray[np.float64]:
    """The power response at 48 kHz; z is the delay of a sample (BS.1770-5, tables 1 and 2)."""
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high_pass = (1 - 2 * z + z**2) / (1 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    response: npt.NDArray[np.float64] = np.abs(shelf * high_pass) ** 2
    return response
