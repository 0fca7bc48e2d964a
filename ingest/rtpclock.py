"""Where an RTP stream's samples lie on the room's clock: the sliding minimum of its delays.

A packet arrives when its last sample was captured, plus the encoder's lookahead, plus the
network's delay. The smallest (arrival - end of packet) of the last 20 s is the stream's
offset: jitter only ever adds to it. What the sender's clock drifts within those 20 s (3 ms at
150 ppm) is taken out by the slope of the minima of the last minutes.
"""

from collections import deque
from typing import Final

from ingest.opus import LOOKAHEAD, RATE

WINDOW: Final = 20 * RATE
BUCKET: Final = RATE
SLOPE_BUCKETS: Final = 120
"""What the drift is estimated from: over two minutes 1 ms of delay is 8 ppm."""

SLOPE_EVERY: Final = 5
SLOPE_LEAST: Final = 40 * RATE
MAX_DRIFT: Final = 250e-6
"""No sound card is further off; a slope beyond is a queue on the way that fills or drains."""

LATE: Final = RATE // 4
"""Lateness that is taken for a step of the delay when all packets of SETTLE show it."""

SETTLE: Final = RATE // 2
SETTLE_PACKETS: Final = 10
CATCHING_UP: Final = RATE // 50
"""By how much lateness falls within SETTLE when it is a queue that drains, not a step."""

JUMP: Final = 2 * RATE
"""A disagreement of RTP time and arrival that no network makes: the sender's clock jumped."""


class DelayClock:
    """`offset` + RTP time = position on the room's clock, both in samples.

    A packet that arrives before `calm_until` with a delay between `offset` and `offset` + LATE
    may be told by `lowest = min(lowest, delay)` alone, which is what most of them are.
    """

    __slots__ = (
        "_bucket_end",
        "_buckets",
        "_late",
        "_until_slope",
        "calm_until",
        "drift",
        "lowest",
        "offset",
    )

    def __init__(self) -> None:
        self.offset = 0
        self.drift = 0.0
        """Samples by which the offset moves in each sample: the sender's clock error."""

        self.calm_until = 0
        """When the running bucket is over; 0 before the first packet and while some are late."""

        self._bucket_end = 0

        self.lowest = 0
        """Least delay of the running bucket."""

        self._buckets: deque[tuple[int, int]] = deque(maxlen=SLOPE_BUCKETS)
        """Middle and least delay of the seconds before, in which packets came."""

        self._until_slope = SLOPE_EVERY
        self._late: list[tuple[int, int]] = []

    def lateness(self, arrival: int, end: int) -> int:
        """How much later than expected a packet is that ends at RTP time `end`."""
        return arrival - end - LOOKAHEAD - self.offset if self._bucket_end else 0

    def observe(self, arrival: int, end: int) -> None:
        value = arrival - end - LOOKAHEAD
        if not self._bucket_end:
            self._restart(arrival, value)
        elif arrival >= self._bucket_end:
            self._next_bucket(arrival, value)
        self.lowest = min(self.lowest, value)
        late = value - self.offset > LATE
        self.offset = min(self.offset, value)
        if not late:
            self._late.clear()
            self.calm_until = self._bucket_end
            return
        self.calm_until = 0
        self._late.append((arrival, value))
        if self._is_step():
            self._restart(arrival, min(value for _, value in self._late))

    def _restart(self, arrival: int, value: int) -> None:
        self.offset = self.lowest = value
        self.calm_until = self._bucket_end = arrival + BUCKET
        self._buckets.clear()
        self._late.clear()

    def _next_bucket(self, arrival: int, value: int) -> None:
        self._buckets.append((self._bucket_end - BUCKET // 2, self.lowest))
        self._bucket_end += (arrival - self._bucket_end) // BUCKET * BUCKET + BUCKET
        self.lowest = value
        self._until_slope -= 1
        if self._until_slope <= 0:
            self._until_slope = SLOPE_EVERY
            self._estimate_drift()
        since = arrival - WINDOW
        recent = [round(v + self.drift * (arrival - at)) for at, v in self._buckets if at >= since]
        self.offset = min([value, *recent])

    def _estimate_drift(self) -> None:
        """Between the least delays of the older and the newer half, seen along the last slope."""
        buckets = self._buckets
        if buckets[-1][0] - buckets[0][0] < SLOPE_LEAST:
            return
        middle = (buckets[0][0] + buckets[-1][0]) // 2
        rests = [(value - self.drift * at, at) for at, value in buckets]
        first, first_at = min(rest for rest in rests if rest[1] <= middle)
        second, second_at = min(rest for rest in rests if rest[1] > middle)
        drift = self.drift + (second - first) / (second_at - first_at)
        if abs(drift) <= MAX_DRIFT:
            self.drift = drift

    def _is_step(self) -> bool:
        """Whether all packets have been late for SETTLE, and no less at its end."""
        late = self._late
        if late[-1][0] - late[0][0] < SETTLE or len(late) < SETTLE_PACKETS:
            return False
        middle = len(late) // 2
        before = min(value for _, value in late[:middle])
        after = min(value for _, value in late[middle:])
        if after > before - CATCHING_UP:
            return True
        del late[:middle]
        return False
