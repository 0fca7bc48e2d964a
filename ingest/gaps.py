"""What is missing of one speaker, told from what came of them (pure).

A hole in a stream's sequence is a loss; one without is DTX where silence came before it
(RFC 7587, 4.2), else the connection stood still. Between streams the reason of the close
tells. Positions are samples at 48 kHz since go-live.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ingest.marks import CloseReason
from ingest.models import GapCause
from ingest.opus import RATE
from ingest.timeline import Placed

LISTED: Final = RATE // 5
"""Shorter stretches are counted, not listed."""

DTX_INTERVAL: Final = RATE * 2 // 5
"""Clients send a packet that often while they are silent: so long its end is no news."""

UNTOLD: Final = RATE
"""Of a stream that was closed for another reason a silence so long was a lost connection."""

Stretch = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Missing:
    cause: GapCause
    start: int
    end: int


@dataclass(slots=True)
class _Closed:
    reason: str
    at: int


class SpeakerGaps:
    """`heard` each placed packet after a hole; `end` what is still open when the room ends."""

    def __init__(self) -> None:
        self.last: Placed | None = None
        self._closed: dict[int, _Closed] = {}
        self._released_at: int | None = None

    def closed(self, stream: int, reason: str, at: int) -> None:
        self._closed[stream] = _Closed(reason, at)
        self._released_at = None

    def opened(self, stream: int) -> None:
        self._closed.pop(stream, None)

    def released(self, at: int) -> None:
        """Nobody waits for them from here on."""
        if self._released_at is None:
            self._released_at = at

    def before(self, placed: Placed) -> Missing | None:
        """What is missing between the last packet and this one."""
        last = self.last
        if last is None:
            return None
        if placed.lost >= LISTED:
            return Missing(GapCause.PACKETS_LOST, placed.start - placed.lost, placed.start)
        if placed.stream != last.stream and last.stream in self._closed:
            return self._after_close(last, self._closed[last.stream], placed.start)
        return None if last.is_quiet else _lost(last.end, placed.start)

    def end(self, at: int) -> Missing | None:
        """What is missing from the last packet on, when the room ends at `at`."""
        last = self.last
        if last is None:
            return None
        return self._after_close(last, self._closed.get(last.stream, _Closed("", at)), at)

    def _after_close(self, last: Placed, closed: _Closed, until: int) -> Missing | None:
        if closed.reason == CloseReason.LEFT:
            return None
        if closed.reason == CloseReason.LOST:
            released = until if self._released_at is None else self._released_at
            patience = LISTED + (DTX_INTERVAL if last.is_quiet else 0)
            return _lost(last.end, min(until, released), patience)
        return None if last.is_quiet else _lost(last.end, min(until, closed.at), UNTOLD)


def _lost(start: int, end: int, at_least: int = LISTED) -> Missing | None:
    return Missing(GapCause.CONNECTION_LOST, start, end) if end - start >= at_least else None


def without(stretch: Stretch, taken: Iterable[Stretch]) -> list[Stretch]:
    """What is left of a stretch where others are taken out."""
    left: list[Stretch] = [stretch]
    for start, end in taken:
        left = [
            part
            for begin, until in left
            for part in ((begin, min(until, start)), (max(begin, end), until))
            if part[0] < part[1]
        ]
    return left
