"""Room time and media time: what is off the record is cut out (pure).

Positions are samples at 48 kHz. A span's edges lie on a 20 ms grid; rounding never adds up:
the media timeline differs from the recorded room time by 10 ms at most.
"""

from dataclasses import dataclass
from typing import Final

PER_MS: Final = 48
SLOT: Final = 960


def _to_slot(samples: int) -> int:
    return (samples + SLOT // 2) // SLOT * SLOT


@dataclass(slots=True)
class Span:
    """One stretch on the record; `end` and `exact_end` are None while it lasts.

    The exact edges are where the record was switched; no packet that crosses them is kept.
    """

    start: int
    media_start: int
    exact_start: int
    end: int | None = None
    exact_end: int | None = None

    @property
    def media_end(self) -> int | None:
        return None if self.end is None else self.media_start + self.end - self.start

    def keeps(self, start: int, end: int) -> bool:
        if start < max(self.start, self.exact_start):
            return False
        return self.end is None or self.exact_end is None or end <= min(self.end, self.exact_end)

    def room_of(self, media: int) -> int:
        return self.start + media - self.media_start


class Spans:
    """Grows with the record marks of a room, in the order of its clock."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.seams: list[int] = []
        """Room positions at which another worker's part begins: no segment crosses one."""

        self.version = 0
        """Counts the marks: what was asked for at another one may have changed."""

        self._exact_total = 0
        self._open_from: int | None = None
        """Room position from which on everything is kept, while the last span lasts."""

        self._open_shift = 0

    @property
    def current(self) -> Span | None:
        """The span that lasts, if the room is on the record."""
        return self.spans[-1] if self.spans and self.spans[-1].end is None else None

    @property
    def media_length(self) -> int:
        """Length of the closed spans."""
        return sum(s.end - s.start for s in self.spans if s.end is not None)

    def begin(self, room_ms: int) -> Span | None:
        """On the record from here; None when it was already."""
        if self.current is not None:
            return None
        exact = max(room_ms * PER_MS, self._last_exact_end())
        media = self.media_length
        start = max(_to_slot(exact + media - self._exact_total), self._last_end())
        span = Span(start, media, exact)
        self.spans.append(span)
        self.version += 1
        self._open_from, self._open_shift = max(start, exact), media - start
        return span

    def finish(self, room_ms: int, *, settled: int = 0) -> Span | None:
        """Off the record from here, or from `settled` where that much is written already.

        None when it was off the record.
        """
        span = self.current
        if span is None:
            return None
        self._open_from = None
        self.version += 1
        span.exact_end = max(room_ms * PER_MS, span.exact_start)
        self._exact_total += span.exact_end - span.exact_start
        length = max(_to_slot(self._exact_total - span.media_start), 0)
        span.end = span.start + length
        settled_slot = -(-settled // SLOT) * SLOT
        if settled_slot > span.end:
            span.end = settled_slot
            self._exact_total = self.media_length
        return span

    def place(self, start: int, end: int) -> int | None:
        """Media position of packets that touch and lie wholly on the record; else None."""
        if self._open_from is not None and start >= self._open_from:
            return start + self._open_shift
        for span in reversed(self.spans):
            if span.keeps(start, end):
                return span.media_start + start - span.start
        return None

    def on_record(self, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of a stretch of the room's clock that lie on the record."""
        parts = [
            (max(start, s.exact_start), end if s.exact_end is None else min(end, s.exact_end))
            for s in self.spans
        ]
        return [(begin, until) for begin, until in parts if begin < until]

    def media_at(self, room: int) -> int:
        """Media time that has passed at a moment of the room's clock."""
        passed = 0
        for span in self.spans:
            if room < span.start:
                break
            passed = span.media_start + min(room, room if span.end is None else span.end)
            passed -= span.start
        return passed

    def span_at(self, media: int) -> Span | None:
        """The span that holds a media position; at a border the later one."""
        for span in reversed(self.spans):
            if media >= span.media_start:
                return span
        return None

    def room_at(self, media: int) -> int:
        """The room's clock at a media position."""
        span = self.span_at(media)
        return 0 if span is None else span.room_of(media)

    def next_border(self, media: int) -> int | None:
        """The next media position after `media` at which a span or a seam begins."""
        starts = [next((s.media_start for s in self.spans if s.media_start > media), None)]
        return min((b for b in (*starts, self.next_seam(media)) if b is not None), default=None)

    def next_seam(self, media: int) -> int | None:
        """The next media position after `media` at which another worker's part begins."""
        return next((m for m in map(self.media_at, self.seams) if m > media), None)

    def _last_end(self) -> int:
        return (self.spans[-1].end or 0) if self.spans else 0

    def _last_exact_end(self) -> int:
        return (self.spans[-1].exact_end or 0) if self.spans else 0
