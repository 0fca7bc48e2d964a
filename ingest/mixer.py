"""All speakers' packets to one signal: those who talk, equally loud, added and limited.

Positions are media samples. The mix is made in hops of 100 ms on a grid of the media timeline,
PRE_ROLL behind what was added, so it is the same in whatever steps it is taken.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final

import numpy as np

from ingest.decoder import Pcm
from ingest.journal import NO_LEVEL
from ingest.limiter import Limiter
from ingest.loudness import HOP, Level, heard, power_of
from ingest.timeline import Run
from ingest.voice import PRE_ROLL, Sound, Voice

_RAMP: Final = np.linspace(0, 1, 960, dtype=np.float32)
"""A gain changes within the first 20 ms of a hop."""

_REMEMBERED: Final = 32
"""Hops of which the levels are known: what the encoder holds back, and a restart goes back."""

Levels = Mapping[str, Level]


class _Speaker:
    """One speaker's decoded sound from the mixer's position on, and their loudness."""

    def __init__(self, position: int) -> None:
        self.level = Level()
        self._position = position
        self._pcm: Pcm = np.zeros(3 * HOP, np.float32)
        self._filled = 0
        self._covered: dict[int, int] = {}

    def put(self, start: int, pcm: Pcm) -> None:
        offset = start - self._position
        if offset < 0:
            pcm = pcm[-offset:]
            offset = 0
        end = offset + pcm.size
        if end > self._pcm.size:
            self._pcm = np.concatenate((self._pcm, np.zeros(end, np.float32)))
        self._pcm[offset:end] = pcm
        self._filled = max(self._filled, end)
        self._cover(self._position + offset, self._position + end)

    def _cover(self, start: int, end: int) -> None:
        while start < end:
            hop, border = start // HOP, min(_next_hop(start), end)
            self._covered[hop] = self._covered.get(hop, 0) + border - start
            start = border

    def add_to(self, mix: Pcm) -> None:
        """Adds what they said in the mix' samples, and goes on behind them."""
        if self._filled:
            part = self._pcm[: mix.size]
            self._level(part)
            mix += part
        self.skip(mix.size)

    def _level(self, part: Pcm) -> None:
        """Measures a hop that holds sound throughout, and applies the gain."""
        before = self.level.applied_db
        if self._covered.get(self._position // HOP, 0) >= part.size:
            self.level = heard(self.level, power_of(part))
        after = self.level.applied_db
        if before or after:
            factor, last = 10 ** (after / 20), 10 ** (before / 20)
            part[: _RAMP.size] *= last + (factor - last) * _RAMP[: part.size]
            part[_RAMP.size :] *= factor

    def skip(self, count: int) -> None:
        self._position += count
        for hop in [h for h in self._covered if h < self._position // HOP]:
            del self._covered[hop]
        if self._filled:
            rest = max(self._filled - count, 0)
            self._pcm[:rest] = self._pcm[self._filled - rest : self._filled].copy()
            self._pcm[rest : self._filled] = 0
            self._filled = rest


class Mixer:
    """`add` packets, then `take` the mix; nothing is mixed behind what was taken.

    Before `start` nothing is decoded. `levels` are those that were there at `begin`.
    """

    def __init__(self, start: int, levels: Levels | None = None) -> None:
        self.position = start
        """What lies before is mixed; the limiter may hold back the last of it."""

        self._speakers: dict[str, _Speaker] = {}
        self._voices: dict[int, Voice] = {}
        self._limiter = Limiter()
        self._levels: deque[tuple[int, Levels]] = deque(maxlen=_REMEMBERED)
        for name, level in (levels or {}).items():
            self._speaker(name).level = level

    @property
    def decoded(self) -> int:
        return sum(voice.decoded for voice in self._voices.values())

    @property
    def skipped(self) -> int:
        return sum(voice.skipped for voice in self._voices.values())

    def _speaker(self, name: str) -> _Speaker:
        speaker = self._speakers.get(name)
        if speaker is None:
            speaker = self._speakers[name] = _Speaker(self.position)
        return speaker

    def _voice(self, speaker: str, stream: int) -> Voice:
        voice = self._voices.get(stream)
        if voice is None:
            voice = self._voices[stream] = Voice(self._speaker(speaker).put)
        return voice

    def add(self, sound: Sound) -> None:
        if sound.end > self.position:
            self._voice(sound.speaker, sound.stream).add(sound)

    def add_run(self, speaker: str, run: Run, start: int, *, has_level: bool) -> None:
        """As `add` for each packet, from `start` on."""
        position, stream, lost = self.position, run.stream, run.lost
        for _, _, samples, level, payload in run.packets:
            if start + samples > position:
                known = level if has_level else NO_LEVEL
                sound = Sound(speaker, stream, start, samples, known, payload, lost)
                self._voice(speaker, stream).add(sound)
            start, lost = start + samples, 0

    def forget(self, stream: int) -> None:
        """Frees the decoder of a stream that is over; the speaker's loudness stays known."""
        self._voices.pop(stream, None)

    def begin(self, position: int) -> None:
        """The mix begins here, or where the hop of it does that lies after `start`."""
        count = position - self.position
        if count > 0:
            for speaker in self._speakers.values():
                speaker.skip(count)
            self.position = position

    def take(self, until: int) -> Pcm:
        """What follows and is certain when everything before `until` has been added."""
        parts: list[Pcm] = []
        while (end := _next_hop(self.position)) + PRE_ROLL <= until:
            parts.append(self._limiter.push(self._mix(end)))
        return _joined(parts)

    def drain(self, until: int) -> Pcm:
        """All that follows up to `until`, where the signal ends and another one begins."""
        parts: list[Pcm] = []
        while self.position < until:
            parts.append(self._limiter.push(self._mix(min(_next_hop(self.position), until))))
        return _joined([*parts, self._limiter.flush()])

    def _mix(self, end: int) -> Pcm:
        self._levels.append((self.position, {n: s.level for n, s in self._speakers.items()}))
        mix: Pcm = np.zeros(end - self.position, np.float32)
        for speaker in self._speakers.values():
            speaker.add_to(mix)
        self.position = end
        return mix

    def levels_at(self, position: int) -> Levels:
        """The levels before the hop that begins there, or the oldest that are remembered."""
        known = [levels for at, levels in self._levels if at <= position]
        return known[-1] if known else self._levels[0][1]


def hop_of(position: int) -> int:
    """Where the hop begins that a position lies in."""
    return position // HOP * HOP


def _next_hop(position: int) -> int:
    return hop_of(position) + HOP


def _joined(parts: list[Pcm]) -> Pcm:
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
