"""AAC-LC frames for the mix, aligned: sample 0 of the input is sample 0 of the first frame."""

import functools
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np

from ingest.decoder import Pcm
from ingest.opus import RATE

FRAME: Final = 1024
BIT_RATE: Final = 64_000
CODEC: Final = "mp4a.40.2"
_TIME_BASE: Final = Fraction(1, RATE)


def _open() -> av.AudioCodecContext:
    context = av.CodecContext.create("aac", "w")
    context.sample_rate = RATE
    context.layout = "mono"
    context.format = "fltp"
    context.bit_rate = BIT_RATE
    context.time_base = _TIME_BASE
    context.options = {"aac_coder": "fast"}
    context.open()
    return context


@functools.cache
def audio_specific_config() -> bytes:
    """The codec's configuration for the init segment (ISO 14496-3, 1.6.2.1)."""
    return bytes(_open().extradata or b"")


class AacEncoder:
    """Frame n of the output is frame n of the input; the encoder's priming frame is dropped.

    Output lags one frame behind, since the transform of a frame overlaps the next.
    """

    def __init__(self) -> None:
        self._context = _open()
        self._fed = 0
        self._primed = False

    def encode(self, signal: Pcm) -> list[bytes]:
        """A multiple of 1024 samples in, the frames that are complete out."""
        audio = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(signal).reshape(1, -1), format="fltp", layout="mono"
        )
        audio.sample_rate = RATE
        audio.pts = self._fed
        audio.time_base = _TIME_BASE
        self._fed += signal.size
        return self._without_priming(self._context.encode(audio))

    def flush(self) -> list[bytes]:
        """The rest; the encoder is finished after it."""
        return self._without_priming(self._context.encode(None)) if self._fed else []

    def _without_priming(self, packets: "list[av.Packet[Any]]") -> list[bytes]:
        frames = [bytes(packet) for packet in packets]
        if frames and not self._primed:
            self._primed = True
            return frames[1:]
        return frames
