"""One unbroken run of sequence numbers and RTP time of one stream (pure)."""

from bisect import bisect_left
from collections import deque
from operator import itemgetter
from typing import Final

from ingest.journal import NO_LEVEL, Packet
from ingest.opus import GRID, RATE, is_tiny
from ingest.rtpclock import JUMP, SETTLE, DelayClock

FREE: Final = GRID
"""Error (2.5 ms) above which the placement is corrected inside silence, and after a hole."""

FORCED: Final = 960
"""Error (20 ms, one slot) above which it is corrected wherever it is."""

SNAP: Final = 240
"""Packets whose RTP times miss each other by up to 5 ms touch; clients round their times."""

QUIET_LEVEL: Final = 70
"""-70 dBov: where 10 ms more or less are not heard."""

MAX_DROPOUT: Final = 3000
MAX_MISORDER: Final = 1000
"""A sequence number outside of these is another sequence (RFC 3550, A.1, with 2.5 ms in mind)."""

FALLING: Final = RATE // 20
LONGEST_HOLD: Final = 4 * RATE
"""A late epoch waits while its delay falls by 50 ms in half a second: a queue drains."""


def is_quiet(level: int, payload: bytes) -> bool:
    """Nobody hears such a packet: DTX, digital silence, or a level of at most -70 dBov."""
    return (level != NO_LEVEL and level >= QUIET_LEVEL) or is_tiny(payload)


Waiting = tuple[int, int, int, int, bytes]
"""Sequence number and RTP time, extended so that they never wrap; samples; level; payload."""


class Epoch:
    """Its packets that wait, in order; where the next one lies; when another run begins."""

    __slots__ = (
        "arrival",
        "clock",
        "end",
        "held_offset",
        "held_since",
        "held_until",
        "last_end",
        "last_seq",
        "missing",
        "next_seq",
        "place",
        "seq",
        "strange",
        "stream",
        "waiting",
    )

    def __init__(self, stream: int) -> None:
        self.stream = stream
        self.clock = DelayClock()
        self.waiting: deque[Waiting] = deque()
        """In the order of sequence numbers."""

        self.seq = 0
        self.end = 0
        """Of the newest packet: extended sequence number, RTP time after it; 0 before any."""

        self.arrival = 0
        self.next_seq = -1
        """The 16 bits of the sequence number that follows in order."""

        self.strange: int | None = None
        self.last_seq = 0
        """Of the last packet that was placed, 0 before any; `last_end` is the RTP time after it."""

        self.last_end = 0
        self.place = 0
        """Where on the track a packet begins that follows it seamlessly."""

        self.missing: set[int] = set()
        self.held_since: int | None = None
        self.held_until = 0
        self.held_offset = 0

    def extended_seq(self, seq: int) -> int:
        if not self.seq:
            return seq + 0x10000
        delta = (seq - self.seq) & 0xFFFF
        return self.seq + (delta if delta < 0x8000 else delta - 0x10000)

    def extended_time(self, time: int) -> int:
        if not self.seq:
            return time + 0x1_0000_0000
        delta = (time - self.end) & 0xFFFF_FFFF
        return self.end + (delta if delta < 0x8000_0000 else delta - 0x1_0000_0000)

    def broken_by(self, packet: Packet) -> bool:
        """Whether the sequence restarted: two strange numbers in a row (RFC 3550, A.1)."""
        if not self.seq:
            return False
        delta = self.extended_seq(packet.seq) - self.seq
        if -MAX_MISORDER <= delta <= MAX_DROPOUT:
            self.strange = None
            return False
        again = self.strange is not None and packet.seq == (self.strange + 1) & 0xFFFF
        self.strange = packet.seq
        return again

    def jumped(self, seq: int, time: int, arrival: int, samples: int) -> bool:
        """Whether a newer packet's RTP time contradicts its arrival beyond any network.

        Ahead, by its own step only: a burst after a stall is no jump.
        """
        if not self.seq or seq <= self.seq:
            return False
        step = time - self.end
        missing = (seq - self.seq - 1) * samples
        ahead = step - missing - max(arrival - self.arrival, 0) > JUMP
        return step <= -JUMP or ahead or self.clock.lateness(arrival, time + samples) > JUMP

    def take(self, waiting: Waiting, arrival: int) -> None:
        """Any packet that is new, in its order."""
        seq, time, samples = waiting[:3]
        self.clock.observe(arrival, time + samples)
        self._hold_on(arrival)
        if seq > self.seq:
            self.seq, self.end, self.arrival = seq, time + samples, arrival
            self.next_seq = (seq + 1) & 0xFFFF
        self.waiting.insert(self._index(seq), waiting)

    def holds(self, seq: int) -> bool:
        at = self._index(seq)
        return at < len(self.waiting) and self.waiting[at][0] == seq

    def _index(self, seq: int) -> int:
        if not self.waiting or seq > self.waiting[-1][0]:
            return len(self.waiting)
        return bisect_left(self.waiting, seq, key=itemgetter(0))

    def hold(self, arrival: int) -> None:
        """Begun by a packet that is very late: the next ones tell a burst from a clock's jump."""
        self.held_since, self.held_until = arrival, arrival + SETTLE

    def _hold_on(self, arrival: int) -> None:
        if self.held_since is None:
            return
        if self.clock.offset < self.held_offset - FALLING or self.held_since == arrival:
            self.held_offset = self.clock.offset
            self.held_until = min(arrival + SETTLE, self.held_since + LONGEST_HOLD)

    def start(self, cursor: int) -> int:
        """Where the first that waits begins."""
        seq, time, _, level, payload = self.waiting[0]
        if self.last_seq and seq == self.last_seq + 1 and abs(time - self.last_end) <= SNAP:
            error = self.clock.offset + time - self.place
            if -FREE <= error <= FREE:
                return self.place
            if abs(error) <= FORCED and not is_quiet(level, payload):
                return self.place
            return on_grid(time + self.clock.offset)
        start = on_grid(time + self.clock.offset)
        return cursor if start < cursor <= start + SNAP else start

    def withhold(self, until: int) -> None:
        """Drops what waits and ends after `until`."""
        offset = self.clock.offset
        self.waiting = deque(w for w in self.waiting if on_grid(w[1] + offset) + w[2] <= until)


def on_grid(position: int) -> int:
    return (position + GRID // 2) // GRID * GRID
