"""Opus as the packager needs it: durations, silence, header facts (RFC 6716, RFC 7845).

Durations are samples at 48 kHz, the clock of every Opus RTP stream (RFC 7587, 4.1).
"""

from typing import Final

RATE: Final = 48_000
GRID: Final = 120
"""2.5 ms: every Opus duration is a multiple of it, so every gap can be filled exactly."""

LOOKAHEAD: Final = 312
"""Samples by which a decoder's output lags the encoder's input (OpusHead's pre-skip)."""

MAX_SAMPLES: Final = 5760
DTX_BYTES: Final = 2
"""A packet of up to two bytes carries no audio (RFC 6716, 3.1; libopus under DTX)."""

_SILK: Final = (480, 960, 1920, 2880)
_HYBRID: Final = (480, 960)
_CELT: Final = (120, 240, 480, 960)
_SILENCE: Final = {
    960: bytes.fromhex("f8fffe"),
    480: bytes.fromhex("f0fffe"),
    240: bytes.fromhex("e8fffe"),
    120: bytes.fromhex("e0fffe"),
}
SILENCE: Final = _SILENCE[960]


def frame_samples(toc: int) -> int:
    """Length of one frame of a packet that begins with this byte (RFC 6716, 3.1)."""
    config = toc >> 3
    if config < 12:
        return _SILK[config & 3]
    if config < 16:
        return _HYBRID[config & 1]
    return _CELT[config & 3]


TOC_SAMPLES: Final = tuple((1, 2, 2, 0)[toc & 3] * frame_samples(toc) for toc in range(256))
"""Length of a packet by its first byte; 0 where the second byte counts the frames."""


def packet_samples(payload: bytes) -> int:
    """Length of a packet, 120 to 5760; 0 when it is malformed (RFC 6716, 3.4, R1 and R5)."""
    if not payload:
        return 0
    code = payload[0] & 3
    if code < 3:
        frames = 1 if code == 0 else 2
    elif len(payload) < 2:
        return 0
    else:
        frames = payload[1] & 0x3F
    samples = frames * frame_samples(payload[0])
    return samples if samples <= MAX_SAMPLES else 0


def is_tiny(payload: bytes) -> bool:
    """Whether the packet is silence or DTX whatever its level says: at most 4 bytes a frame."""
    if len(payload) <= DTX_BYTES:
        return True
    return len(payload) * 960 <= 4 * max(packet_samples(payload), 960)


def is_filler(payload: bytes) -> bool:
    """Whether it is what `silence` fills holes with."""
    return len(payload) == len(SILENCE) and payload in _SILENCE.values()


def silence(samples: int) -> list[tuple[bytes, int]]:
    """Packets (bytes, duration) of digital silence that last `samples`, a multiple of GRID."""
    if samples % GRID:
        raise ValueError(f"{samples} samples are no multiple of {GRID}")
    packets = [(SILENCE, 960)] * (samples // 960)
    rest = samples % 960
    for size in (480, 240, 120):
        if rest >= size:
            packets.append((_SILENCE[size], size))
            rest -= size
    return packets
