"""Sound at the engine's rate: the demo's speech, and what is none."""

from pathlib import Path
from typing import Final

import av
import numpy as np

from transcripts.transcriber import RATE, Pcm

ROOT: Final = Path(__file__).parents[2]
SPEECH: Final = ROOT / "demo" / "speech"
SHARED: Final = ROOT.parent / "shared" / "speech"
"""Recordings of people, where they are present; nothing of them is in the project."""


def spoken(path: Path) -> Pcm:
    """A file's sound, mono at 16 kHz."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        frames = [*container.decode(audio=0), None]
        parts = [part for frame in frames for part in resampler.resample(frame)]
    return np.concatenate([part.to_ndarray().reshape(-1) for part in parts])


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * RATE), np.float32)


def noise(seconds: float, dbfs: float = -30.0, seed: int = 0) -> Pcm:
    drawn = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (drawn * 10 ** (dbfs / 20)).astype(np.float32)


def tones(seconds: float, *frequencies: float, dbfs: float = -20.0) -> Pcm:
    at = np.arange(round(seconds * RATE)) / RATE
    waves = sum(np.sin(2 * np.pi * frequency * at) for frequency in frequencies)
    return (np.asarray(waves) / len(frequencies) * 10 ** (dbfs / 20)).astype(np.float32)


def hum(seconds: float) -> Pcm:
    return tones(seconds, 50.0, 100.0, 150.0, 250.0)


def music(seconds: float) -> Pcm:
    """Chords of three tones with overtones, plucked twice a second."""
    roots = np.resize([220.0, 174.6, 261.6, 196.0], round(seconds * 2))
    bars = [tones(0.5, *(root * step for step in (1, 1.25, 1.5, 2, 3))) for root in roots]
    fade = np.exp(-4 * np.arange(RATE // 2) / RATE).astype(np.float32)
    return np.concatenate([bar * fade for bar in bars])
