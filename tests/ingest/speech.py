"""Speech for tests that tones can't stand in for: the demo's three synthetic voices."""

import functools
import itertools
from pathlib import Path

import av
import numpy as np

from ingest.opus import RATE
from tests.ingest.journals import Pcm

SPEECH = Path(__file__).parents[2] / "demo" / "speech"
SPEAKERS = ("ada", "ben", "chiara")


def read(path: Path, *, seconds: float = 600) -> Pcm:
    """The beginning of any audio file as mono at 48 kHz."""
    to_mono = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        parts = [
            resampled.to_ndarray().reshape(-1)
            for frame in itertools.takewhile(
                lambda frame: (frame.time or 0) < seconds, container.decode(audio=0)
            )
            for resampled in to_mono.resample(frame)
        ]
    return np.concatenate(parts).astype(np.float32)


@functools.cache
def said_by(speaker: str) -> Pcm:
    """All that a speaker of the demo says, 15 to 40 s, one utterance after the other."""
    return np.concatenate([read(path) for path in sorted(SPEECH.glob(f"*-{speaker}.opus"))])


def say(speaker: str, seconds: float, *, gain: float = 1.0, start: float = 0.0) -> Pcm:
    """That much of it from `start` on, again from the front where it is longer."""
    samples = round(start * RATE) + np.arange(round(seconds * RATE))
    return np.take(said_by(speaker), samples, mode="wrap") * np.float32(gain)


def noise(seconds: float, dbfs: float, *, seed: int = 1) -> Pcm:
    """White noise of that RMS."""
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (samples * 10 ** (dbfs / 20)).astype(np.float32)
