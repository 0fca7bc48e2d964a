"""A look-ahead peak limiter: the gain is down before the peak comes, and rises again slowly.

Peaks are found in steps of 1 ms, the gain runs in straight lines between the steps. It is the
same whatever the blocks are, and what never exceeds the ceiling is not touched at all.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ingest.decoder import Pcm

CEILING: Final = 10 ** (-1 / 20)
"""-1 dBFS: AAC's decoders overshoot by less."""

STEP: Final = 48
_ATTACK: Final = 5
"""Steps over which the gain falls: 5 ms."""

LOOK_AHEAD: Final = (_ATTACK + 1) * STEP
_RELEASE: Final = np.log(10) / 20 * 20 / 1000
"""The gain's logarithm rises by 20 dB a second: in a step, by this."""

_RAMP: Final = (np.arange(STEP, dtype=np.float32) / STEP)[None, :]


class Limiter:
    """`push` a signal block by block: LOOK_AHEAD samples stay behind until `flush`."""

    def __init__(self) -> None:
        self._held: Pcm = np.zeros(0, np.float32)
        self._last_need = 1.0
        self._gains: npt.NDArray[np.float64] | None = None
        """Of the last steps that were let out; None at the start of a signal."""

    def push(self, signal: Pcm) -> Pcm:
        """The next samples, limited; `signal` is a multiple of STEP."""
        pending = np.concatenate((self._held, signal))
        ready = max(pending.size - LOOK_AHEAD, 0)
        self._held = pending[ready:]
        return self._limit(pending, ready) if ready else pending[:0]

    def flush(self) -> Pcm:
        """What stayed behind; the next signal begins anew."""
        rest = self.push(np.zeros(LOOK_AHEAD, np.float32))
        self._held, self._last_need, self._gains = rest[:0], 1.0, None
        return rest

    def _limit(self, pending: Pcm, ready: int) -> Pcm:
        loud = max(float(pending.max()), -float(pending.min())) > CEILING
        if not loud and self._last_need == 1 and (self._gains is None or self._gains.min() == 1):
            self._gains = np.ones(_ATTACK - 1)
            return pending[:ready]
        steps = ready // STEP
        gains = self._follow(self._needs(pending))
        lines = _moving_mean(gains[: steps + _ATTACK]).astype(np.float32)
        self._gains = gains[steps : steps + _ATTACK - 1]
        slopes = lines[:-1, None] + np.diff(lines)[:, None] * _RAMP
        return (pending[:ready] * slopes.reshape(-1)).astype(np.float32, copy=False)

    def _needs(self, pending: Pcm) -> npt.NDArray[np.float64]:
        """The gain that each step may have at most, the last one before them first."""
        peaks = np.abs(pending.reshape(-1, STEP)).max(axis=1).astype(np.float64)
        needs = CEILING / np.maximum(peaks, CEILING)
        before, self._last_need = self._last_need, float(needs[-1 - LOOK_AHEAD // STEP])
        return np.concatenate(([before], needs))

    def _follow(self, needs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The lowest need in reach of each step, then the release; the last steps' before."""
        reach = np.lib.stride_tricks.sliding_window_view(needs, _ATTACK + 2).min(axis=1)
        before = self._gains if self._gains is not None else np.full(_ATTACK - 1, reach[0])
        rise = np.arange(reach.size + 1) * _RELEASE
        logs = np.log(np.concatenate((before[-1:], reach))) - rise
        released = np.exp(np.minimum.accumulate(logs) + rise)[1:]
        return np.concatenate((before, np.minimum(released, reach)))


def _moving_mean(gains: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    windows = np.lib.stride_tricks.sliding_window_view(gains, _ATTACK)
    mean: npt.NDArray[np.float64] = windows.mean(axis=1)
    return mean
