"""All speakers' packets to one signal: decodes those who talk, adds, limits.

Positions are media samples. The RFC 6464 level that decides who talks is set by the client,
so it is only believed as long as probes of the sound agree with it.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ingest.decoder import Decoder, Pcm, make_decoder
from ingest.journal import NO_LEVEL
from ingest.opus import GRID, RATE, is_tiny

TALKING_LEVEL: Final = 60
"""Louder than -60 dBov may be somebody with a quiet microphone; below is a room's noise."""

HANG_OVER: Final = RATE * 3 // 10
CONCEALED: Final = RATE * 6 // 100
"""Holes up to 60 ms are concealed; longer ones are silent."""

PROBE_EVERY: Final = RATE // 2
PROBE_PACKETS: Final = 2
LIE_RMS: Final = 0.003
"""-50 dBFS in a packet that claims to be below -60 dBov: the level is not believed again."""

KNEE: Final = 0.8


@dataclass(frozen=True, slots=True)
class Sound:
    """A packet on the media timeline; `lost` samples before it are missing."""

    stream: int
    start: int
    samples: int
    level: int
    payload: bytes
    lost: int = 0


@dataclass(slots=True)
class _Voice:
    """What the mixer knows of one stream."""

    decoder: Decoder = field(default_factory=make_decoder)
    open_until: int = -1
    decoded_end: int = -1
    probe_at: int = 0
    probing: int = 0
    distrusted: bool = False
    previous: Sound | None = None


class Mixer:
    """`add` packets, then `take` the mixed signal up to a position; nothing is mixed behind it."""

    def __init__(self, start: int) -> None:
        self.position = start
        self.decoded = 0
        self.skipped = 0
        self._voices: dict[int, _Voice] = {}
        self._ahead: Pcm = np.zeros(RATE, np.float32)

    def add(self, sound: Sound) -> None:
        if sound.start + sound.samples <= self.position:
            return
        voice = self._voices.get(sound.stream)
        if voice is None:
            voice = self._voices[sound.stream] = _Voice(probe_at=sound.start + PROBE_EVERY)
        if self._is_heard(voice, sound):
            self._decode(voice, sound)
        else:
            self.skipped += 1
        voice.previous = sound

    def forget(self, stream: int) -> None:
        """Frees the decoder of a stream that is over."""
        self._voices.pop(stream, None)

    def _is_heard(self, voice: _Voice, sound: Sound) -> bool:
        if voice.distrusted or sound.level == NO_LEVEL or sound.level <= TALKING_LEVEL:
            voice.open_until = sound.start + HANG_OVER
            return True
        if sound.start < voice.open_until:
            return True
        if is_tiny(sound.payload):
            return False
        if sound.start >= voice.probe_at:
            voice.probe_at = sound.start + PROBE_EVERY
            voice.probing = PROBE_PACKETS
        voice.probing -= 1
        return voice.probing >= 0

    def _decode(self, voice: _Voice, sound: Sound) -> None:
        if voice.decoded_end != sound.start:
            self._catch_up(voice, sound)
        pcm = voice.decoder.decode(sound.payload)[: sound.samples]
        voice.decoded_end = sound.start + sound.samples
        self.decoded += 1
        if sound.level > TALKING_LEVEL and sound.start >= voice.open_until:
            voice.distrusted = bool(pcm.size) and float(np.sqrt(np.mean(pcm * pcm))) > LIE_RMS
            if not voice.distrusted:
                return
        self._put(sound.start, pcm)

    def _catch_up(self, voice: _Voice, sound: Sound) -> None:
        """Conceals a short loss; after silence, the packet before settles the decoder."""
        hole = sound.start - voice.decoded_end
        if sound.lost and 0 < hole <= CONCEALED:
            last = sound.samples if hole >= sound.samples else hole
            if hole > last:
                self._put(voice.decoded_end, voice.decoder.conceal(hole - last, None))
            if last % GRID == 0:
                self._put(sound.start - last, voice.decoder.conceal(last, sound.payload))
            return
        before = voice.previous
        if before is not None and before.start + before.samples == sound.start:
            voice.decoder.decode(before.payload)

    def _put(self, start: int, pcm: Pcm) -> None:
        offset = start - self.position
        if offset < 0:
            pcm = pcm[-offset:]
            offset = 0
        end = offset + pcm.size
        if end > self._ahead.size:
            room = np.zeros(end + RATE, np.float32)
            room[: self._ahead.size] = self._ahead
            self._ahead = room
        self._ahead[offset:end] += pcm

    def take(self, until: int) -> Pcm:
        """The mix from the last position to `until`, limited to full scale."""
        count = max(until - self.position, 0)
        if count > self._ahead.size:
            self._ahead = np.concatenate(
                (self._ahead, np.zeros(count - self._ahead.size, np.float32))
            )
        taken = self._ahead[:count].copy()
        self._ahead[: self._ahead.size - count] = self._ahead[count:]
        self._ahead[self._ahead.size - count :] = 0
        self.position += count
        return limit(taken)


def limit(signal: Pcm) -> Pcm:
    """A soft knee at 0.8 that never reaches 1; memoryless, so blocks join."""
    if signal.size == 0 or float(np.abs(signal).max()) <= KNEE:
        return signal
    over = np.abs(signal) - KNEE
    bent = KNEE + (1 - KNEE) * np.tanh(over / (1 - KNEE))
    limited: Pcm = np.where(over > 0, np.copysign(bent, signal), signal).astype(np.float32)
    return limited
