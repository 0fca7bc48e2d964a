"""What speakers of a bench say: real speech as Opus packets of 20 ms, and a quiet room's noise."""

from itertools import islice
from pathlib import Path
from typing import Final

import av
import numpy as np

from demo.opus_files import RATE, OpusPacket, Pcm, encode, read_ogg

_ROOT: Final = Path(__file__).resolve().parent.parent
_DEMO: Final = _ROOT / "demo" / "speech"
_SHARED: Final = _ROOT.parent / "shared" / "speech" / "utt"
"""Recorded speech beside the repository; where there is none, the demo room's is said."""

VOICES: Final = 4
UTTERANCES: Final = 6
PAUSE_SECONDS: Final = 0.6
NOISE_AMPLITUDE: Final = 10
"""About -75 dBov: a room in which nobody speaks."""

Voice = tuple[OpusPacket, ...]


def voices() -> list[Voice]:
    """VOICES different monologues with pauses, each to be said round and round."""
    recorded = sorted(_SHARED.glob("en_*.flac"))
    if len(recorded) >= VOICES * UTTERANCES:
        parts = [_encode(path) for path in islice(recorded, VOICES * UTTERANCES)]
    else:
        parts = [read_ogg(path) for path in sorted(_DEMO.glob("*.opus"))]
    pause = noise(PAUSE_SECONDS)
    return [
        tuple(packet for part in parts[number::VOICES] for packet in (*part, *pause))
        for number in range(VOICES)
    ]


def noise(seconds: float) -> Voice:
    """A microphone in a quiet room: packets are sent, and their level says that nobody speaks."""
    samples = np.random.default_rng(1).normal(0, NOISE_AMPLITUDE, round(seconds * RATE))
    return encode(samples.astype(np.int16))


def _encode(path: Path) -> Voice:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        frames = [f for decoded in container.decode(audio=0) for f in resampler.resample(decoded)]
    pcm: Pcm = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    return encode(pcm)
