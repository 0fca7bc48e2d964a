"""One speaker's packets as they came, in objects of about 30 s of fragmented MP4."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from ingest.epoch import Waiting
from ingest.fmp4 import fragment
from ingest.opus import RATE, silence
from ingest.spans import Spans
from ingest.spool import RenditionWriter

OBJECT: Final = 30 * RATE
FRAGMENT: Final = 2 * RATE
_PAYLOAD: Final = itemgetter(4)
_SAMPLES: Final = itemgetter(2)
_NUMBERS: Final = 1024
"""Fragment numbers that each object may use, so that they rise also after a restart."""


class TrackWriter:
    """Packets in rising media positions in; gapless objects out, silence in every hole.

    Objects end on multiples of 30 s of media time and at pauses. Holes are filled when the
    next packet comes: a speaker who left for good costs nothing.
    """

    def __init__(self, rendition: RenditionWriter, spans: Spans) -> None:
        self._rendition = rendition
        self._spans = spans
        self._cursor = self._resumed = rendition.media_end
        self._start = self._cursor or 0
        self._packets: list[bytes] = []
        self._durations: list[int] = []
        """Of each packet; an object for both would be a million of them in a large process."""

        self._border = 0
        self._known: tuple[int, int] | None = None
        """The object's start and the version of the spans for which the border holds."""

    def add(self, start: int, samples: int, payload: bytes) -> None:
        """Packets before what is written already are an earlier run's, and ignored."""
        if self._cursor is None:
            self._cursor = start
        if start < self._cursor:
            return
        self._fill(start)
        self._append(payload, samples)

    def add_run(self, start: int, end: int, packets: Sequence[Waiting]) -> None:
        """As `add` for each: packets that touch."""
        if self._packets and start == self._cursor:
            self._look_ahead()
            if end < self._border:
                self._packets += map(_PAYLOAD, packets)
                self._durations += map(_SAMPLES, packets)
                self._cursor = end
                return
        for _, _, samples, _, payload in packets:
            self.add(start, samples, payload)
            start += samples

    def close_before(self, media: int) -> None:
        """Writes an object whose 30 s have passed, though its speaker is silent."""
        if self._packets and media >= self._border:
            self._write()

    @property
    def has_new(self) -> bool:
        """Whether anything came since this writer began."""
        return self._cursor != self._resumed

    def finish(self, *, fill_until: int | None = None) -> None:
        """Writes what is left, after silence up to the media position where others go on."""
        if fill_until is not None:
            self._fill(fill_until)
        if self._packets:
            self._write()

    def _fill(self, target: int) -> None:
        while self._cursor is not None and self._cursor < target:
            until = min(target, self._border_after(self._cursor))
            for payload, samples in silence(until - self._cursor):
                self._append(payload, samples)

    def _border_after(self, position: int) -> int:
        grid = (position // OBJECT + 1) * OBJECT
        pause = self._spans.next_border(position)
        return grid if pause is None else min(grid, pause)

    def _look_ahead(self) -> None:
        known = self._start, self._spans.version
        if known != self._known:
            self._border, self._known = self._border_after(self._start), known

    def _append(self, payload: bytes, samples: int) -> None:
        position = self._cursor or 0
        if not self._packets:
            self._start = position
        self._look_ahead()
        self._packets.append(payload)
        self._durations.append(samples)
        self._cursor = position + samples
        if self._cursor >= self._border:
            self._write()

    def _write(self) -> None:
        samples = sum(self._durations)
        self._rendition.write(
            self._fragments(),
            media_start=self._start,
            samples=samples,
            room_start=self._spans.room_at(self._start),
            discontinuity=self._is_discontinuous(),
        )
        self._packets.clear()
        self._durations.clear()

    def _is_discontinuous(self) -> bool:
        last = self._rendition.last
        if last is None:
            return False
        return self._spans.span_at(last.media_start) is not self._spans.span_at(self._start)

    def _fragments(self) -> bytes:
        number = self._rendition.next_sequence * _NUMBERS + 1
        parts: list[bytes] = []
        chunk: list[tuple[bytes, int]] = []
        start, length = self._start, 0
        for packet in zip(self._packets, self._durations, strict=True):
            chunk.append(packet)
            length += packet[1]
            if length >= FRAGMENT:
                parts.append(fragment(number + len(parts), start, chunk))
                chunk, start, length = [], start + length, 0
        if chunk:
            parts.append(fragment(number + len(parts), start, chunk))
        return b"".join(parts)
