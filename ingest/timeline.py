"""One speaker's packets on the room's clock, in order, without overlap (pure).

Packets wait in a buffer until the cut reaches them, which solves reordering; what comes after
the cut is dropped and counted. Where a speaker reconnects or the RTP clock jumps, a new epoch
with its own clock follows on the same track. Positions are samples at 48 kHz since go-live.

Packets that touch in RTP time touch on the track. Where the sender's clock has moved them by
more than FREE from where the room's clock wants them, the next silence or hole is made longer
or shorter; only one slot's error is corrected within words.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, NamedTuple

from ingest.journal import NO_LEVEL, Packet
from ingest.opus import GRID, LOOKAHEAD, RATE, TOC_SAMPLES, is_tiny, packet_samples
from ingest.rtpclock import JUMP, LATE, SETTLE, DelayClock

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


class Placed(NamedTuple):
    """A packet with its place; `lost` samples before it went missing on the way."""

    stream: int
    start: int
    samples: int
    level: int
    payload: bytes
    lost: int

    @property
    def end(self) -> int:
        return self.start + self.samples

    @property
    def is_quiet(self) -> bool:
        return is_quiet(self.level, self.payload)


@dataclass(slots=True)
class Counts:
    """`lost` are packets that never came or came too late; `cut` overlapped what stood."""

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0
    malformed: int = 0
    cut: int = 0


def is_quiet(level: int, payload: bytes) -> bool:
    """Nobody hears such a packet: DTX, digital silence, or a level of at most -70 dBov."""
    return (level != NO_LEVEL and level >= QUIET_LEVEL) or is_tiny(payload)


Waiting = tuple[int, int, int, Packet]
"""Sequence number and RTP time, extended so that they never wrap; samples; the packet."""


class _Epoch:
    """One unbroken run of sequence numbers and RTP time of one stream."""

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
        "waiting",
    )

    def __init__(self) -> None:
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
        seq, time, samples, _ = waiting
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
        seq, time, _, packet = self.waiting[0]
        if self.last_seq and seq == self.last_seq + 1 and abs(time - self.last_end) <= SNAP:
            error = self.clock.offset + time - self.place
            if -FREE <= error <= FREE:
                return self.place
            if abs(error) <= FORCED and not is_quiet(packet.level, packet.payload):
                return self.place
            return _on_grid(time + self.clock.offset)
        start = _on_grid(time + self.clock.offset)
        return cursor if start < cursor <= start + SNAP else start

    def withhold(self, stream: int, until: int) -> None:
        """Drops what waits and ends after `until`."""
        offset = self.clock.offset
        self.waiting = deque(
            w
            for w in self.waiting
            if w[3].stream != stream or _on_grid(w[1] + offset) + w[2] <= until
        )


def _on_grid(position: int) -> int:
    return (position + GRID // 2) // GRID * GRID


class TrackTimeline:
    """`push` packets as they arrive, `advance` the cut; streams follow each other on one track."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.cursor = 0
        """End of the last packet that was placed."""

        self._arrival = 0
        self._epochs: list[_Epoch] = []
        self._current: dict[int, _Epoch] = {}

    def open(self, stream: int) -> None:
        """Its packets supersede those of earlier streams once they are placed."""
        epoch = _Epoch()
        self._epochs.append(epoch)
        self._current[stream] = epoch

    def close(self, stream: int, *, until: int | None = None) -> None:
        """No more packets of it come; those that wait and end by `until` are still placed."""
        self._current.pop(stream, None)
        if until is not None:
            for epoch in self._epochs:
                epoch.withhold(stream, until)
        self._drop_finished()

    def push(self, packet: Packet, room_us: int) -> None:
        epoch = self._current.get(packet.stream)
        payload = packet.payload
        samples = (TOC_SAMPLES[payload[0]] or packet_samples(payload)) if payload else 0
        if epoch is None or not samples:
            self.counts.malformed += 1
            return
        arrival = self._arrival = room_us * 48 // 1000
        if packet.seq == epoch.next_seq and epoch is self._epochs[-1]:
            # The common case, whole: next in sequence, on time, in the clock's running second.
            end = epoch.end + (packet.timestamp - epoch.end & 0xFFFF_FFFF) + samples
            clock = epoch.clock
            delay = arrival - end - LOOKAHEAD
            if 0 <= delay - clock.offset <= LATE and arrival < clock.calm_until:
                if delay < clock.lowest:
                    clock.lowest = delay
                epoch.seq = seq = epoch.seq + 1
                epoch.next_seq = seq + 1 & 0xFFFF
                epoch.end, epoch.arrival, epoch.strange = end, arrival, None
                epoch.waiting.append((seq, end - samples, samples, packet))
                self.counts.received += 1
                return
        self._take(epoch, packet, samples, arrival)

    def _take(self, epoch: _Epoch, packet: Packet, samples: int, arrival: int) -> None:
        if epoch.broken_by(packet):
            epoch = self._restart(packet.stream)
        elif epoch.strange is not None:
            self.counts.malformed += 1
            return
        seq, time = epoch.extended_seq(packet.seq), epoch.extended_time(packet.timestamp)
        if epoch.jumped(seq, time, arrival, samples):
            late = time > epoch.end - JUMP
            epoch = self._restart(packet.stream)
            seq, time = epoch.extended_seq(packet.seq), epoch.extended_time(packet.timestamp)
            if late:
                epoch.hold(arrival)
        if self._is_past(epoch, seq) or self._is_superseded(epoch):
            return
        epoch.take((seq, time, samples, packet), arrival)
        self.counts.received += 1

    def _restart(self, stream: int) -> _Epoch:
        self.open(stream)
        return self._current[stream]

    def _is_past(self, epoch: _Epoch, seq: int) -> bool:
        if seq > epoch.seq:
            return False
        if seq > epoch.last_seq:
            self.counts.duplicate += (held := epoch.holds(seq))
            return held
        if seq in epoch.missing:
            epoch.missing.discard(seq)
            self.counts.late += 1
        else:
            self.counts.duplicate += 1
        return True

    def _is_superseded(self, epoch: _Epoch) -> bool:
        """Whether a later stream, still open, plays on this track."""
        if epoch is self._epochs[-1]:
            return False
        later = self._epochs[self._epochs.index(epoch) + 1 :]
        current = set(map(id, self._current.values()))
        superseded = any(e.last_seq and id(e) in current for e in later)
        self.counts.cut += superseded
        return superseded

    def arrived_until(self) -> int | None:
        """Where the newest packet of those streams ends that may send more; None without any."""
        ends = [epoch.end + epoch.clock.offset for epoch in self._current.values() if epoch.seq]
        return max(ends, default=None)

    def next_start(self) -> int | None:
        """Where the packet begins that is placed next; None when nothing waits."""
        epoch = self._next_epoch(ending=False)
        return None if epoch is None else epoch.start(self.cursor)

    def advance(self, horizon: int | None) -> list[Placed]:
        """Places all packets that end at or before `horizon`; all that wait when it is None."""
        placed: list[Placed] = []
        if len(self._epochs) == 1 and horizon is not None:
            self._follow(self._epochs[0], horizon, placed)
        while (epoch := self._next_epoch(ending=horizon is None)) is not None:
            start = epoch.start(self.cursor)
            if horizon is not None and start + epoch.waiting[0][2] > horizon:
                break
            if (packet := self._place(epoch, start)) is not None:
                placed.append(packet)
                if len(self._epochs) == 1 and horizon is not None:
                    self._follow(epoch, horizon, placed)
        return placed

    def _follow(self, epoch: _Epoch, horizon: int, placed: list[Placed]) -> None:
        """The common case: as long as packets touch and their clock is right."""
        waiting, last_seq, last_end, place = (
            epoch.waiting,
            epoch.last_seq,
            epoch.last_end,
            epoch.place,
        )
        if place != self.cursor or not last_seq:
            return
        if not -FREE <= epoch.clock.offset + last_end - place <= FREE:
            return
        while waiting:
            seq, time, samples, packet = waiting[0]
            if seq != last_seq + 1 or time != last_end or place + samples > horizon:
                break
            waiting.popleft()
            placed.append(Placed(packet.stream, place, samples, packet.level, packet.payload, 0))
            last_seq, last_end, place = seq, time + samples, place + samples
        epoch.last_seq, epoch.last_end, epoch.place = last_seq, last_end, place
        self.cursor = place

    def _next_epoch(self, *, ending: bool) -> _Epoch | None:
        """Whose head comes first; of two that overlap, the later epoch's."""
        ready = [
            epoch
            for epoch in self._epochs
            if epoch.waiting and (ending or epoch.held_until <= self._arrival)
        ]
        if len(ready) < 2:
            return ready[0] if ready else None
        starts = [epoch.start(self.cursor) for epoch in ready]
        at = starts.index(min(starts))
        for later in range(at + 1, len(ready)):
            if starts[later] < starts[at] + ready[at].waiting[0][2]:
                at = later
        return ready[at]

    def _place(self, epoch: _Epoch, start: int) -> Placed | None:
        seq, time, samples, packet = epoch.waiting.popleft()
        lost = 0
        if epoch.last_seq and seq != epoch.last_seq + 1:
            lost = self._count_missing(epoch, seq, time)
        epoch.last_seq, epoch.last_end, epoch.place = seq, time + samples, start + samples
        if start < self.cursor:
            self.counts.cut += 1
            return None
        if epoch is not self._epochs[0]:
            self._supersede(epoch)
        lost = min(lost, start - self.cursor)
        self.cursor = start + samples
        return Placed(packet.stream, start, samples, packet.level, packet.payload, lost)

    def _count_missing(self, epoch: _Epoch, seq: int, time: int) -> int:
        """Counts the hole before `seq`; its length in samples where packets were lost."""
        first = max(epoch.last_seq + 1, seq - MAX_MISORDER)
        epoch.missing = {s for s in epoch.missing if s >= seq - MAX_MISORDER}
        epoch.missing.update(range(first, seq))
        self.counts.lost += seq - epoch.last_seq - 1
        return max(time - epoch.last_end, 0)

    def _supersede(self, epoch: _Epoch) -> None:
        """Earlier epochs are over once a later one plays."""
        for earlier in self._epochs[: self._epochs.index(epoch)]:
            self.counts.cut += len(earlier.waiting)
            earlier.waiting.clear()
        self._drop_finished()

    def _drop_finished(self) -> None:
        current = set(map(id, self._current.values()))
        self._epochs = [e for e in self._epochs if e.waiting or id(e) in current]
