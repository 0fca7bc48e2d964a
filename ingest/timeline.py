"""One speaker's packets on the room's clock, in order, without overlap (pure).

Packets wait in a buffer until the cut reaches them, which solves reordering; what comes after
the cut is dropped and counted. Where a speaker reconnects or the RTP clock jumps, a new epoch
with its own clock follows on the same track. Positions are samples at 48 kHz since go-live.
"""

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from ingest.journal import NO_LEVEL, Packet
from ingest.opus import GRID, is_tiny, packet_samples
from ingest.rtpclock import JUMP, DelayClock, Unwrapper

DRIFT: Final = 480
"""Error (10 ms) above which the placement is corrected inside silence."""

DRIFT_FORCED: Final = 2880
"""Error (60 ms) above which it is corrected wherever it is."""

SNAP: Final = 240
"""Packets that follow each other in sequence touch when they would miss by up to 5 ms."""

QUIET_LEVEL: Final = 70
"""-70 dBov: where 10 ms more or less are not heard."""

MAX_DROPOUT: Final = 3000
MAX_MISORDER: Final = 1000
"""A sequence number outside of these is another sequence (RFC 3550, A.1, with 2.5 ms in mind)."""


@dataclass(frozen=True, slots=True)
class Placed:
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
        return _is_quiet(self.level, self.payload)


@dataclass(slots=True)
class Counts:
    """`lost` are packets that never came or came too late; `cut` overlapped what stood."""

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0
    malformed: int = 0
    cut: int = 0


def _is_quiet(level: int, payload: bytes) -> bool:
    """Nobody hears such a packet: DTX, digital silence, or a level of at most -70 dBov."""
    return (level != NO_LEVEL and level >= QUIET_LEVEL) or is_tiny(payload)


@dataclass(frozen=True, slots=True)
class _Waiting:
    time: int
    samples: int
    packet: Packet

    @property
    def quiet(self) -> bool:
        return _is_quiet(self.packet.level, self.packet.payload)


class _Epoch:
    """One unbroken run of sequence numbers and RTP time of one stream."""

    def __init__(self) -> None:
        self.seqs = Unwrapper(16)
        self.times = Unwrapper(32)
        self.clock = DelayClock()
        self.order: list[int] = []
        self.waiting: dict[int, _Waiting] = {}
        self.missing: set[int] = set()
        self.last_seq: int | None = None
        self.last_end = 0
        self.newest_end: int | None = None
        self.offset: int | None = None
        self.strange: int | None = None

    def broken_by(self, packet: Packet) -> bool:
        """Whether the sequence restarted: two strange numbers in a row (RFC 3550, A.1)."""
        if self.seqs.highest is None:
            return False
        delta = self.seqs.peek(packet.seq) - self.seqs.highest
        if -MAX_MISORDER <= delta <= MAX_DROPOUT:
            self.strange = None
            return False
        again = self.strange is not None and packet.seq == (self.strange + 1) & 0xFFFF
        self.strange = packet.seq
        return again

    def jumped(self, seq: int, time: int, arrival: int, samples: int) -> bool:
        """Whether a newer packet's RTP time contradicts its arrival beyond any network."""
        if self.seqs.highest is None or seq <= self.seqs.highest:
            return False
        backwards = self.times.highest is not None and time <= self.times.highest - JUMP
        return backwards or abs(self.clock.lateness(arrival, time + samples)) > JUMP

    def head(self) -> _Waiting:
        return self.waiting[self.order[0]]

    def head_start(self) -> int:
        return _on_grid(self.head().time + self.placed_at())

    def withhold(self, stream: int, until: int) -> None:
        """Drops what waits and ends after `until`."""
        kept = {
            seq: waiting
            for seq, waiting in self.waiting.items()
            if waiting.packet.stream != stream
            or _on_grid(waiting.time + self.placed_at()) + waiting.samples <= until
        }
        self.waiting, self.order = kept, sorted(kept)

    def placed_at(self) -> int:
        """Room position of RTP time 0."""
        return self.clock.offset if self.offset is None else self.offset

    def correct(self, head: _Waiting, cursor: int) -> None:
        """Follows the clock where nobody hears it: in silence, or after a hole."""
        target = self.clock.offset
        if self.offset is None:
            self.offset = target
        error = abs(target - self.offset)
        if error <= DRIFT:
            return
        if error > DRIFT_FORCED or head.time + self.offset > cursor + SNAP or head.quiet:
            self.offset = target


def _on_grid(position: int) -> int:
    return (position + GRID // 2) // GRID * GRID


class TrackTimeline:
    """`push` packets as they arrive, `advance` the cut; streams follow each other on one track."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.cursor = 0
        """End of the last packet that was placed."""

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
        samples = packet_samples(packet.payload)
        if epoch is None or not samples:
            self.counts.malformed += 1
            return
        if epoch.broken_by(packet):
            epoch = self._restart(packet.stream)
        elif epoch.strange is not None:
            self.counts.malformed += 1
            return
        arrival = room_us * 48 // 1000
        seq, time = epoch.seqs.peek(packet.seq), epoch.times.peek(packet.timestamp)
        if epoch.jumped(seq, time, arrival, samples):
            epoch = self._restart(packet.stream)
            seq, time = epoch.seqs.peek(packet.seq), epoch.times.peek(packet.timestamp)
        if self._is_past(epoch, seq) or self._is_superseded(epoch):
            return
        epoch.seqs.accept(seq)
        epoch.times.accept(time)
        epoch.clock.observe(arrival, time + samples)
        epoch.newest_end = max(time + samples, epoch.newest_end or 0)
        epoch.waiting[seq] = _Waiting(time, samples, packet)
        heappush(epoch.order, seq)
        self.counts.received += 1

    def _restart(self, stream: int) -> _Epoch:
        self.open(stream)
        return self._current[stream]

    def _is_past(self, epoch: _Epoch, seq: int) -> bool:
        if seq in epoch.waiting:
            self.counts.duplicate += 1
            return True
        if epoch.last_seq is None or seq > epoch.last_seq:
            return False
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
        superseded = any(e.last_seq is not None and id(e) in current for e in later)
        self.counts.cut += superseded
        return superseded

    def arrived_until(self) -> int | None:
        """Where the newest packet of those streams ends that may send more; None without any."""
        ends = [
            epoch.newest_end + epoch.placed_at()
            for epoch in self._current.values()
            if epoch.newest_end is not None
        ]
        return max(ends, default=None)

    def next_start(self) -> int | None:
        """Where the packet begins that is placed next; None when nothing waits."""
        epoch = self._next_epoch()
        return None if epoch is None else epoch.head_start()

    def advance(self, horizon: int | None) -> list[Placed]:
        """Places all packets that end at or before `horizon`; all that wait when it is None."""
        placed: list[Placed] = []
        while (epoch := self._next_epoch()) is not None:
            head = epoch.head()
            if horizon is not None and epoch.head_start() + head.samples > horizon:
                break
            if (packet := self._place(epoch)) is not None:
                placed.append(packet)
        return placed

    def _next_epoch(self) -> _Epoch | None:
        """Whose head comes first; of two that overlap, the later epoch's."""
        ready = [epoch for epoch in self._epochs if epoch.order]
        if not ready:
            return None
        first = min(ready, key=_Epoch.head_start) if len(ready) > 1 else ready[0]
        for epoch in ready[ready.index(first) + 1 :]:
            if epoch.head_start() < first.head_start() + first.head().samples:
                first = epoch
        return first

    def _place(self, epoch: _Epoch) -> Placed | None:
        seq = heappop(epoch.order)
        head = epoch.waiting.pop(seq)
        epoch.correct(head, self.cursor)
        lost = self._count_missing(epoch, seq, head)
        follows = epoch.last_seq is not None and seq == epoch.last_seq + 1
        epoch.last_seq, epoch.last_end = seq, head.time + head.samples
        start = _on_grid(head.time + (epoch.offset or 0))
        if follows and abs(start - self.cursor) <= SNAP:
            start = self.cursor
        if start < self.cursor:
            self.counts.cut += 1
            return None
        self._supersede(epoch)
        lost = min(lost, start - self.cursor)
        self.cursor = start + head.samples
        packet = head.packet
        return Placed(packet.stream, start, head.samples, packet.level, packet.payload, lost)

    def _count_missing(self, epoch: _Epoch, seq: int, head: _Waiting) -> int:
        """Counts the hole before `seq`; its length in samples where packets were lost."""
        if epoch.last_seq is None or seq == epoch.last_seq + 1:
            return 0
        epoch.missing = set(range(max(epoch.last_seq + 1, seq - MAX_MISORDER), seq))
        self.counts.lost += seq - epoch.last_seq - 1
        return max(head.time - epoch.last_end, 0)

    def _supersede(self, epoch: _Epoch) -> None:
        """Earlier epochs are over once a later one plays."""
        at = self._epochs.index(epoch)
        for earlier in self._epochs[:at]:
            self.counts.cut += len(earlier.order)
            earlier.order.clear()
            earlier.waiting.clear()
        if at:
            self._drop_finished()

    def _drop_finished(self) -> None:
        current = set(map(id, self._current.values()))
        self._epochs = [e for e in self._epochs if e.order or id(e) in current]
