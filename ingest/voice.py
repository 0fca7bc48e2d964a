"""One stream's packets to sound, as far as somebody talks in them.

The RFC 6464 level that decides it is set by the client, so it is only believed as long as
probes of the sound agree with it. What comes before the level rises is decoded too, for the
first syllable begins more softly than the level shows.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from ingest.decoder import Pcm, make_decoder
from ingest.journal import NO_LEVEL
from ingest.opus import GRID, RATE, is_tiny

TALKING_LEVEL: Final = 60
"""Louder than -60 dBov may be somebody with a quiet microphone; below is a room's noise."""

HANG_OVER: Final = RATE * 3 // 10
PRE_ROLL: Final = RATE * 6 // 100
"""How much is heard before a packet that opens the gate."""

_SETTLE: Final = RATE * 8 // 100
"""A decoder that has missed packets is right after 80 ms (RFC 7845, 4.2)."""

CONCEALED: Final = PRE_ROLL
"""Holes up to 60 ms are concealed; longer ones are silent."""

PROBE_EVERY: Final = RATE // 2
RAREST_PROBE: Final = 8 * RATE
"""Each probe that agrees with the level doubles the time to the next one, up to this."""

PROBE_PACKETS: Final = 2
LIE_RMS: Final = 0.003
"""-50 dBFS in a packet that claims to be below -60 dBov: the level is not believed again."""

_FADE: Final = RATE // 100

Put = Callable[[int, Pcm], None]
"""Takes decoded samples and the position of the first; copies them."""


class Sound(NamedTuple):
    """A packet on the media timeline; `lost` samples before it are missing."""

    speaker: str
    stream: int
    start: int
    samples: int
    level: int
    payload: bytes
    lost: int = 0

    @property
    def end(self) -> int:
        return self.start + self.samples


class Voice:
    """`add` packets in rising positions; what is heard is `put` up to PRE_ROLL before them."""

    def __init__(self, put: Put) -> None:
        self.decoded = 0
        self.skipped = 0
        self._put = put
        self._decoder = make_decoder()
        self._open_until = -1
        self._heard_end: int | None = None
        self._probe_at: int | None = None
        self._probe_every = PROBE_EVERY
        self._probing = 0
        self._distrusted = False
        self._skipped: deque[Sound] = deque()

    def add(self, sound: Sound) -> None:
        if self._is_heard(sound) or (self._is_probed(sound) and self._lies(sound)):
            self._hear(sound)
        elif self._heard_end == sound.start:
            self._fade_out(sound)
        else:
            self._skip(sound)

    def _is_heard(self, sound: Sound) -> bool:
        if self._distrusted or sound.level == NO_LEVEL or sound.level <= TALKING_LEVEL:
            self._open_until = sound.start + HANG_OVER
            return True
        return sound.start < self._open_until

    def _is_probed(self, sound: Sound) -> bool:
        if is_tiny(sound.payload):
            return False
        if self._probe_at is None:
            self._probe_at = sound.start + PROBE_EVERY
        if sound.start >= self._probe_at:
            self._probe_every = min(2 * self._probe_every, RAREST_PROBE)
            self._probe_at = sound.start + self._probe_every
            self._probing = PROBE_PACKETS
        self._probing -= 1
        return self._probing >= 0

    def _lies(self, sound: Sound) -> bool:
        """Whether the packet is louder than it says; the first of a probe settles the decoder."""
        pcm = self._decode(sound)
        if self._probing == 0 and pcm.size:
            self._distrusted = float(np.sqrt(np.mean(pcm * pcm))) > LIE_RMS
        return self._distrusted

    def _decode(self, sound: Sound) -> Pcm:
        self.decoded += 1
        return self._decoder.decode(sound.payload)[: sound.samples]

    def _hear(self, sound: Sound) -> None:
        if self._heard_end is None:
            self._roll_up_to(sound)
        elif sound.lost and 0 < sound.start - self._heard_end <= CONCEALED:
            self._conceal(self._heard_end, sound)
        self._skipped.clear()
        self._put(sound.start, self._decode(sound))
        self._heard_end = sound.end

    def _conceal(self, start: int, sound: Sound) -> None:
        """Guesses what was lost; the last of it from what `sound` carries of it (FEC)."""
        hole = sound.start - start
        last = min(hole, sound.samples)
        if hole > last:
            self._put(start, self._decoder.conceal(hole - last, None))
        if last % GRID == 0:
            self._put(sound.start - last, self._decoder.conceal(last, sound.payload))

    def _roll_up_to(self, sound: Sound) -> None:
        """Decodes what was skipped just before: first to settle, then to be heard."""
        audible = sound.start - PRE_ROLL
        fade: Pcm | None = _UP
        for before in self._before(sound):
            pcm = self._decode(before)[max(audible - before.start, 0) :]
            if pcm.size and fade is not None:
                pcm[: fade.size] *= fade[: pcm.size]
                fade = None
            self._put(max(before.start, audible), pcm)

    def _before(self, sound: Sound) -> list[Sound]:
        """The unbroken run of skipped packets that ends where `sound` begins."""
        run: list[Sound] = []
        start = sound.start
        while self._skipped and self._skipped[-1].end == start:
            run.append(self._skipped.pop())
            start = run[-1].start
        return run[::-1]

    def _fade_out(self, sound: Sound) -> None:
        """The packet after the last that is heard, so that noise does not end with a click."""
        pcm = self._decode(sound)[:_FADE]
        pcm *= _UP[::-1][: pcm.size]
        self._put(sound.start, pcm)
        self._heard_end = None

    def _skip(self, sound: Sound) -> None:
        self.skipped += 1
        self._heard_end = None
        self._skipped.append(sound)
        while sound.end - self._skipped[0].end >= PRE_ROLL + _SETTLE:
            self._skipped.popleft()


_UP: Final = np.linspace(0, 1, _FADE, dtype=np.float32)
