"""How far behind the arrivals sound is placed and mixed (pure).

The cut moves in steps of 200 ms of the room's clock, 450 to 650 ms behind it, and stays up to
a second more behind while a speaker's packets are late.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from ingest.timeline import TrackTimeline

TICK_US: Final = 200_000
CUT_DELAY_US: Final = 450_000
LONGEST_DELAY_US: Final = 1_450_000
"""How far the cut stays behind for a speaker whose packets have stopped, as on a mobile network.

A second more than usual: with segments of 2 s, playlists still change within 1.5 target
durations (RFC 8216, 6.2.2).
"""

PATIENCE_US: Final = 2_000_000
"""Whoever has sent nothing for so long is not waited for any more."""


def _to_samples(room_us: int) -> int:
    return room_us * 48 // 1000


class Cut:
    """`horizon` is the room position up to which everything is placed: what comes later is late."""

    def __init__(self) -> None:
        self.room_us = 0
        self.horizon = 0

    def move(
        self, room_us: int, timelines: Iterable[TrackTimeline], *, waited_us: int = 0
    ) -> Iterator[int]:
        """The horizons up to `room_us`; each is to be used before the next is asked for.

        `waited_us` is how much longer the journal was waited for before `room_us` was told.
        """
        while self.room_us + TICK_US <= room_us:
            self.room_us += TICK_US
            due = _to_samples(self.room_us - CUT_DELAY_US)
            longest = _to_samples(self.room_us + waited_us - LONGEST_DELAY_US)
            given_up = _to_samples(self.room_us + waited_us - PATIENCE_US)
            self.horizon = max(self.horizon, _awaited(timelines, due, longest, given_up))
            yield self.horizon


def _awaited(timelines: Iterable[TrackTimeline], due: int, longest: int, given_up: int) -> int:
    """`due`, or as far as has come of a speaker who just stopped sending, from `longest` on.

    Those whose packets end before `given_up` are not waited for: silence costs one wait.
    """
    ends = [timeline.arrived_until() for timeline in timelines]
    awaited = [end for end in ends if end is not None and given_up < end < due]
    return max(min(awaited, default=due), longest)
