"""Which segments of a recording show a cue, and when; pure.

A subtitles segment is as immutable as the mix's, whose times it has: what was listed empty stays
empty. So a live cue that comes after its segment was listed is put into the first that was not,
and stays on the screen into that one (ADR 0025). Who plays from the beginning has loaded that
one long before, and sees the cue at its own time.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ingest.hls import SAMPLE_RATE, MediaSegment
from replay.subtitles import ShownCue

SEAL_MS: Final = 1500
"""So long after a segment's end, on the room's clock, cues are taken into it."""

LINGER_MS: Final = 2000
"""A late cue is shown at least so long in the segment that brings it."""

LONGEST_MS: Final = 60_000
"""No cue lasts longer."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A cue in media time (`replay.webvtt.VoiceCue`)."""

    id: str
    start_ms: int
    end_ms: int
    speaker: str
    text: str


class CueTimes:
    """Grows with the segments of the mix. Media time is in milliseconds from 0."""

    def __init__(self) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []
        self._media: list[float] = []
        self._media_end = 0.0

    def __len__(self) -> int:
        return len(self._starts)

    def append(self, segment: MediaSegment) -> None:
        duration = segment.samples * 1000 / SAMPLE_RATE
        self._starts.append(segment.room_start_ms)
        self._ends.append(segment.room_start_ms + duration)
        self._media.append(self._media_end)
        self._media_end += duration

    def room_of(self, number: int) -> tuple[float, float]:
        """Where a segment begins and ends on the room's clock."""
        return self._starts[number], self._ends[number]

    def sealed(self, room_ms: float) -> int:
        """How many segments take no more cues at this time of the room's clock."""
        return bisect_right(self._ends, room_ms - SEAL_MS)

    def first_of(self, cue: ShownCue) -> int:
        """The first segment that holds the cue; past the last if it is not there yet."""
        own = bisect_right(self._ends, cue.start_ms)
        if cue.stored_ms is None:
            return own
        return max(own, bisect_right(self._ends, cue.stored_ms - SEAL_MS))

    def shown_in(self, number: int, cues: Iterable[ShownCue]) -> list[Shown]:
        """What one segment shows, of cues in the order of their beginnings."""
        start, end = self._starts[number], self._ends[number]
        shown: list[Shown] = []
        for cue in cues:
            first = self.first_of(cue)
            if first > number or cue.start_ms >= end:
                continue
            until = max(float(cue.end_ms), self._lingering(cue, first))
            if until > start:
                shown.append(self._at_media(cue, until))
        return shown

    def shown_between(self, first: int, last: int, cues: Iterable[ShownCue]) -> list[Shown]:
        """What several segments together show of a recording that has ended: all at its time."""
        start, end = self._starts[first], self._ends[last]
        return [
            self._at_media(cue, cue.end_ms)
            for cue in cues
            if cue.start_ms < end and cue.end_ms > start
        ]

    def _lingering(self, cue: ShownCue, first: int) -> float:
        """Until when a late cue is shown; cues that come in time end when they are over."""
        late = self._starts[first] > cue.start_ms
        return self._starts[first] + LINGER_MS if late else 0.0

    def _at_media(self, cue: ShownCue, until: float) -> Shown:
        own = max(bisect_right(self._starts, cue.start_ms) - 1, 0)
        offset = min(
            max(cue.start_ms - self._starts[own], 0.0), self._ends[own] - self._starts[own]
        )
        start = self._media[own] + offset
        end = start + until - cue.start_ms
        return Shown(str(cue.number), round(start), round(end), cue.name, cue.text)
