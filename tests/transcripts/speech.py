"""Sound to listen to: the demo's speech, and what is no speech."""

from pathlib import Path
from typing import Final

import av
import numpy as np

from transcripts.transcriber import RATE, Pcm

SPEECH: Final = Path(__file__).parents[2] / "demo" / "speech"

ADA: Final = "01-ada.opus"
"""English."""

CHIARA: Final = "05-chiara.opus"
"""Italian."""


def spoken(name: str) -> Pcm:
    """One of the demo's utterances, mono at 16 kHz."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(SPEECH / name)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * RATE), np.float32)


def noise(seconds: float, *, level: float = 0.1) -> Pcm:
    generator = np.random.default_rng(7)
    return (generator.standard_normal(round(seconds * RATE)) * level).astype(np.float32)
