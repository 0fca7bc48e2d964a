"""What can be heard in a playlist: decoded with FFmpeg's libraries, measured with numpy."""

import asyncio
from dataclasses import dataclass

import av
import httpx
import numpy as np
from numpy.typing import NDArray

from core.authorities import authorities

RATE = 48_000


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono samples at 48 kHz, -1 to 1; `start_s` is the media time of the first."""

    pcm: NDArray[np.float32]
    start_s: float

    @property
    def seconds(self) -> float:
        return len(self.pcm) / RATE

    def loudness(self, frequency_hz: float, *, window_s: float = 0.1) -> NDArray[np.float64]:
        """The amplitude of one frequency in each window: 1.0 is full scale."""
        size = round(window_s * RATE)
        windows = self.pcm[: len(self.pcm) // size * size].reshape(-1, size)
        at = np.arange(size) / RATE
        wave = np.exp(-2j * np.pi * frequency_hz * at)
        amplitude: NDArray[np.float64] = np.abs(windows @ wave) * 2 / size
        return amplitude

    def seconds_with(self, frequency_hz: float, *, above: float = 0.02) -> float:
        """How long a tone is heard."""
        return float(np.count_nonzero(self.loudness(frequency_hz) > above)) * 0.1

    def silences(
        self, frequency_hz: float, *, above: float = 0.02, window_s: float = 0.1
    ) -> list[tuple[float, float]]:
        """Where a tone is missing after it was first heard: (start, end) in seconds."""
        heard = self.loudness(frequency_hz, window_s=window_s) > above
        if not heard.any():
            return [(0.0, self.seconds)]
        first = int(np.argmax(heard))
        edges = np.flatnonzero(np.diff(np.concatenate(([True], heard[first:], [True]))))
        bounds = [(first + int(edge)) * window_s for edge in edges]
        return list(zip(bounds[::2], bounds[1::2], strict=True))

    def purity_db(self, *frequencies_hz: float, window_s: float = 0.1) -> float:
        """How far everything but these tones lies below them, in the worst window: holes,
        clicks and distortion all show."""
        size = round(window_s * RATE)
        at = 2 * np.pi * np.arange(size) / RATE
        tones = np.stack([f(at * hz) for hz in frequencies_hz for f in (np.sin, np.cos)], axis=1)
        windows = self.pcm[: len(self.pcm) // size * size].reshape(-1, size).T
        share, *_ = np.linalg.lstsq(tones, windows)
        rest = ((windows - tones @ share) ** 2).sum(axis=0)
        ratio = (windows**2).sum(axis=0) / np.maximum(rest, 1e-12)
        return float(10 * np.log10(ratio.min()))

    def part(self, start_s: float, end_s: float) -> "Sound":
        return Sound(self.pcm[round(start_s * RATE) : round(end_s * RATE)], start_s)


async def hear(url: str) -> Sound:
    """Fetches and decodes a whole playlist."""
    async with httpx.AsyncClient(follow_redirects=True, timeout=10, verify=authorities()) as http:
        final = str((await http.get(url)).raise_for_status().url)
    return await asyncio.to_thread(_decode, final)


def _decode(url: str) -> Sound:
    parts: list[NDArray[np.float32]] = []
    start = 0.0
    to_mono = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(url, timeout=30) as container:
        for frame in container.decode(audio=0):
            if not parts and frame.pts is not None and frame.time_base is not None:
                start = float(frame.pts * frame.time_base)
            parts += [
                f.to_ndarray().reshape(-1).astype(np.float32) for f in to_mono.resample(frame)
            ]
    return Sound(np.concatenate(parts) if parts else np.zeros(0, np.float32), start)
