"""Opus packets to send: read from Ogg files, or encoded from PCM, each with its audio level."""

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

RATE: Final = 48_000
FRAME_SAMPLES: Final = 960
QUIETEST_DB: Final = 127

Pcm = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class OpusPacket:
    """`samples` at 48 kHz; `level` in dB below overload, 0 to 127 (RFC 6464)."""

    payload: bytes
    samples: int
    level: int


SILENCE: Final = OpusPacket(bytes.fromhex("f8fffe"), FRAME_SAMPLES, QUIETEST_DB)


def level_of(pcm: Pcm) -> int:
    """The RFC 6464 level of one frame: RMS in dB below overload."""
    rms = math.sqrt(float(np.mean(np.square(pcm, dtype=np.float64)))) if pcm.size else 0.0
    return QUIETEST_DB if rms < 1 else min(QUIETEST_DB, round(-20 * math.log10(rms / 32768)))


@functools.lru_cache(maxsize=256)
def read_ogg(path: Path) -> tuple[OpusPacket, ...]:
    """The packets of an Ogg Opus file; the levels come from decoding each of them."""
    packets: list[OpusPacket] = []
    decoder = _codec("r")
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        for packet in container.demux(stream):
            payload = bytes(packet)
            if payload:
                packets.append(_levelled(decoder, payload))
    return tuple(packets)


def _levelled(decoder: AudioCodecContext, payload: bytes) -> OpusPacket:
    frames = decoder.decode(av.Packet(payload))
    pcm = np.concatenate([f.to_ndarray().reshape(-1) for f in frames]) if frames else _NOTHING
    samples = sum(f.samples for f in frames) or FRAME_SAMPLES
    return OpusPacket(payload, samples, level_of(pcm))


_NOTHING: Final = np.zeros(0, np.int16)


def _codec(mode: str) -> AudioCodecContext:
    codec = av.CodecContext.create("libopus", mode)  # type: ignore[call-overload]  # "r" or "w"
    codec.sample_rate = RATE
    codec.format = "s16"
    codec.layout = "mono"
    if not isinstance(codec, AudioCodecContext):
        raise TypeError("libopus is no audio codec")
    return codec


def encode(pcm: Pcm, *, bit_rate: int = 32_000) -> tuple[OpusPacket, ...]:
    """20 ms packets of mono PCM at 48 kHz; a last part shorter than 20 ms is left out."""
    encoder = _codec("w")
    encoder.bit_rate = bit_rate
    encoder.options = {"application": "voip", "frame_duration": "20"}
    packets: list[OpusPacket] = []
    for at in range(0, len(pcm) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        part = pcm[at : at + FRAME_SAMPLES]
        frame = av.AudioFrame.from_ndarray(part.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = at
        packets += [
            OpusPacket(bytes(packet), FRAME_SAMPLES, level_of(part))
            for packet in encoder.encode(frame)
        ]
    return tuple(packets)


def tone(seconds: float, *, frequency_hz: float = 440.0, peak: float = 0.3) -> Pcm:
    """A sine; `peak` is the share of full scale."""
    at = np.arange(round(seconds * RATE)) / RATE
    return (np.sin(2 * np.pi * frequency_hz * at) * peak * 32767).astype(np.int16)
