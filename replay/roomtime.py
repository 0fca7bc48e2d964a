"""The map between a recording's media time and the room's clock; pure.

Media time skips what was off the record; room time does not. Seek bars, stage moves, tips and
cues use it in both directions. All values are milliseconds from 0; room time is from go-live.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ingest.hls import SAMPLE_RATE

JOIN_MS: Final = 1.0
"""Segments join into one span as long as no place in it is further off than this."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """One segment: samples at 48 kHz on the media timeline, and the room's clock at its first."""

    media_start: int
    samples: int
    room_start_ms: float


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch in which both clocks run together."""

    media_start_ms: float
    room_start_ms: float
    duration_ms: float

    @property
    def media_end_ms(self) -> float:
        return self.media_start_ms + self.duration_ms

    @property
    def room_end_ms(self) -> float:
        return self.room_start_ms + self.duration_ms


class RoomTime:
    """Made from all segments of the mix, in order."""

    def __init__(self, stretches: Iterable[Stretch]) -> None:
        self.spans = _join(stretches)

    @property
    def duration_ms(self) -> float:
        """Of the media."""
        return self.spans[-1].media_end_ms if self.spans else 0.0

    def to_room(self, media_ms: float) -> float:
        """Before the beginning and past the end: the nearest recorded moment; 0 without media."""
        if not self.spans:
            return 0.0
        at = bisect_right(self.spans, media_ms, key=lambda span: span.media_start_ms) - 1
        span = self.spans[max(at, 0)]
        offset = min(max(media_ms - span.media_start_ms, 0.0), span.duration_ms)
        return span.room_start_ms + offset

    def to_media(self, room_ms: float) -> float:
        """What was off the record is at the moment where the recording goes on, or at the end."""
        at = bisect_right(self.spans, room_ms, key=lambda span: span.room_start_ms) - 1
        if at < 0:
            return self.spans[0].media_start_ms if self.spans else 0.0
        span = self.spans[at]
        return span.media_start_ms + min(room_ms - span.room_start_ms, span.duration_ms)

    def was_recorded(self, room_ms: float) -> bool:
        at = bisect_right(self.spans, room_ms, key=lambda span: span.room_start_ms) - 1
        return at >= 0 and room_ms < self.spans[at].room_end_ms


def _join(stretches: Iterable[Stretch]) -> list[Span]:
    spans: list[Span] = []
    for stretch in stretches:
        start = stretch.media_start * 1000 / SAMPLE_RATE
        duration = stretch.samples * 1000 / SAMPLE_RATE
        last = spans[-1] if spans else None
        if last and abs(last.room_end_ms - stretch.room_start_ms) < JOIN_MS:
            length = start + duration - last.media_start_ms
            spans[-1] = Span(last.media_start_ms, last.room_start_ms, length)
        else:
            spans.append(Span(start, stretch.room_start_ms, duration))
    return spans
