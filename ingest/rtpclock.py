"""Where an RTP stream's samples lie on the room's clock: the sliding minimum of its delays.

A packet arrives when its last sample was captured, plus the encoder's lookahead, plus the
network's delay. The smallest (arrival - end of packet) of the last 20 s is the stream's
offset: jitter only ever adds to it, and it follows the drift of the sender's clock.
"""

from collections import deque
from typing import Final

from ingest.opus import LOOKAHEAD, RATE

WINDOW: Final = 20 * RATE
LATE: Final = RATE // 4
"""Lateness that is taken for a step of the delay when all packets of SETTLE show it."""

SETTLE: Final = RATE // 2
SETTLE_PACKETS: Final = 10
JUMP: Final = 2 * RATE
"""A disagreement of RTP time and arrival that no network makes: the sender's clock jumped."""


class Unwrapper:
    """Counters of 16 or 32 bits without their wrap; the nearest to the last highest."""

    def __init__(self, bits: int) -> None:
        self._half = 1 << (bits - 1)
        self._mask = (1 << bits) - 1
        self.highest: int | None = None

    def peek(self, value: int) -> int:
        if self.highest is None:
            return value + (self._mask + 1)
        delta = (value - self.highest) & self._mask
        return self.highest + (delta if delta < self._half else delta - self._mask - 1)

    def accept(self, extended: int) -> None:
        if self.highest is None or extended > self.highest:
            self.highest = extended


class DelayClock:
    """`offset` + RTP time = position on the room's clock, both in samples."""

    def __init__(self) -> None:
        self._minima: deque[tuple[int, int]] = deque()
        self._late_since: int | None = None
        self._late: list[tuple[int, int]] = []

    @property
    def offset(self) -> int:
        return self._minima[0][1]

    def lateness(self, arrival: int, end: int) -> int:
        """How much later than expected a packet is that ends at RTP time `end`."""
        if not self._minima:
            return 0
        return arrival - end - LOOKAHEAD - self.offset

    def observe(self, arrival: int, end: int) -> None:
        late = self.lateness(arrival, end) > LATE
        value = arrival - end - LOOKAHEAD
        self._add(self._minima, arrival, value)
        if not late:
            self._late.clear()
            return
        self._late.append((arrival, value))
        if self._late[-1][0] - self._late[0][0] >= SETTLE and len(self._late) >= SETTLE_PACKETS:
            self._minima.clear()
            for at, offset in self._late:
                self._add(self._minima, at, offset)
            self._late.clear()

    @staticmethod
    def _add(minima: deque[tuple[int, int]], arrival: int, value: int) -> None:
        while minima and minima[-1][1] >= value:
            minima.pop()
        minima.append((arrival, value))
        while minima[0][0] < arrival - WINDOW:
            minima.popleft()
