"""One speaker's stretches of speech put together into windows, and the way back in time.

The engine looks at 30 s whatever it is given, so short stretches share a window. Those of two
speakers never do: what one says would change what is heard of the other.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

from transcripts.transcriber import RATE, Pcm
from transcripts.words import Span

WINDOW_MS: Final = 29_500
GAP_MS: Final = 320
"""Silence between two stretches: enough for the engine to end a sentence."""

_REST_MS: Final = 3000
"""Silence after which what was said before does not matter."""

LEVEL_MS: Final = 32
"""What one value of a track's levels stands for."""

_PAUSE: Final = 5
"""Levels looked at together: shorter silences are the closures of a p or a t."""

_MS: Final = RATE // 1000
Levels = npt.NDArray[np.float32]
"""dB relative to full scale, one every LEVEL_MS."""


def levels(pcm: Pcm) -> Levels:
    """The last one may stand for less sound than the others."""
    frame = LEVEL_MS * _MS
    whole = np.concatenate([pcm, np.zeros(-pcm.size % frame, np.float32)]).reshape(-1, frame)
    power = np.square(whole, dtype=np.float64).mean(axis=1)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)), np.float32)


def split(region: Span, track: Levels, limit_ms: int = WINDOW_MS) -> list[Span]:
    """The region in pieces of at most `limit_ms`, each cut where the second half is quietest.

    `track` holds the levels of the whole track. Nothing between the pieces is left out.
    """
    pieces = []
    start_ms = region.start_ms
    while region.end_ms - start_ms > limit_ms:
        cut_ms = _quietest(track, start_ms + limit_ms // 2, start_ms + limit_ms)
        pieces.append(Span(start_ms, cut_ms))
        start_ms = cut_ms
    return [*pieces, Span(start_ms, region.end_ms)]


def _quietest(track: Levels, from_ms: int, to_ms: int) -> int:
    first = -(-from_ms // LEVEL_MS)
    some = track[first : to_ms // LEVEL_MS]
    if some.size < _PAUSE:
        return to_ms
    mean = np.convolve(some, np.full(_PAUSE, 1 / _PAUSE, np.float32), mode="valid")
    return (first + int(np.argmin(mean)) + _PAUSE // 2) * LEVEL_MS


def pack(regions: Sequence[Span], limit_ms: int = WINDOW_MS) -> list[tuple[Span, ...]]:
    """The regions of each window, in order; none may be longer than `limit_ms`.

    As few windows as can be, which part where there is the longest silence: what the engine
    has heard before helps it with what follows.
    """
    best: list[tuple[int, int, int]] = [(0, 0, 0)]
    for end in range(1, len(regions) + 1):
        ways = []
        length_ms = -GAP_MS
        for first in range(end - 1, -1, -1):
            length_ms += GAP_MS + regions[first].duration_ms
            if length_ms > limit_ms:
                break
            windows, haste, _ = best[first]
            ways.append((windows + 1, haste + _haste(regions, first), first))
        best.append(min(ways))
    return _windows(regions, best)


def _haste(regions: Sequence[Span], first: int) -> int:
    """How much shorter than _REST_MS the silence before a region is."""
    silence_ms = regions[first].start_ms - regions[first - 1].end_ms if first else _REST_MS
    return max(0, _REST_MS - silence_ms)


def _windows(
    regions: Sequence[Span], best: Sequence[tuple[int, int, int]]
) -> list[tuple[Span, ...]]:
    found, end = [], len(regions)
    while end:
        first = best[end][2]
        found.append(tuple(regions[first:end]))
        end = first
    return found[::-1]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each region of a window lies in it, in the order of time."""

    regions: tuple[Span, ...]

    @property
    def offsets_ms(self) -> list[int]:
        """Where in the window each region begins."""
        lengths = (region.duration_ms + GAP_MS for region in self.regions[:-1])
        return list(accumulate(lengths, initial=0))

    @property
    def duration_ms(self) -> int:
        return self.offsets_ms[-1] + self.regions[-1].duration_ms

    def assemble(self, parts: Sequence[Pcm]) -> Pcm:
        """The window's sound from each region's."""
        whole = np.zeros(self.duration_ms * _MS, np.float32)
        for offset_ms, region, part in zip(self.offsets_ms, self.regions, parts, strict=True):
            at = offset_ms * _MS
            whole[at : at + part.size] = part[: region.duration_ms * _MS]
        return whole

    def nearest(self, window_ms: float) -> int:
        """The number of the region that this moment belongs to: half of each gap is its own."""
        starts = [offset_ms - GAP_MS / 2 for offset_ms in self.offsets_ms]
        return max(0, bisect_right(starts, window_ms) - 1)

    def within(self, number: int, window_ms: float) -> int:
        """The moment on the track, or what of that region comes nearest to it."""
        region = self.regions[number]
        moment = region.start_ms + round(window_ms) - self.offsets_ms[number]
        return min(max(moment, region.start_ms), region.end_ms)
