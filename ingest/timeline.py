"""One speaker's packets on the room's clock, in order, without overlap (pure).

Packets wait in a buffer until the cut reaches them, which solves reordering; what comes after
the cut is dropped and counted. Where a speaker reconnects or the RTP clock jumps, a new epoch
with its own clock follows on the same track. Positions are samples at 48 kHz since go-live.

Packets that touch in RTP time touch on the track. Where the sender's clock has moved them by
more than FREE from where the room's clock wants them, the next silence or hole is made longer
or shorter; only one slot's error is corrected within words.
"""

from dataclasses import dataclass
from typing import NamedTuple

from ingest.epoch import FREE, MAX_MISORDER, Epoch, Waiting, is_quiet
from ingest.journal import AGE_US, Packet
from ingest.opus import packet_samples
from ingest.rtpclock import JUMP


class Run(NamedTuple):
    """Packets of one stream that touch; `lost` samples before them went missing on the way."""

    stream: int
    start: int
    end: int
    packets: list[Waiting]
    lost: int

    @property
    def last(self) -> "Placed":
        _, _, samples, level, payload = self.packets[-1]
        lost = self.lost if len(self.packets) == 1 else 0
        return Placed(self.stream, self.end - samples, samples, level, payload, lost)

    def singly(self) -> "list[Placed]":
        placed: list[Placed] = []
        start, lost = self.start, self.lost
        for _, _, samples, level, payload in self.packets:
            placed.append(Placed(self.stream, start, samples, level, payload, lost))
            start, lost = start + samples, 0
        return placed

    def until(self, end: int) -> "Run | None":
        """The packets that end by then."""
        if self.end <= end:
            return self
        packets, at = [], self.start
        for packet in self.packets:
            if at + packet[2] > end:
                break
            packets.append(packet)
            at += packet[2]
        return Run(self.stream, self.start, at, packets, self.lost) if packets else None


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


class TrackTimeline:
    """`push` packets as they arrive, `advance` the cut; streams follow each other on one track."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.cursor = 0
        """End of the last packet that was placed."""

        self.arrival = 0
        """Of the newest packet."""

        self.head: Epoch | None = None
        """The last epoch, while its stream is open."""

        self._epochs: list[Epoch] = []
        self._current: dict[int, Epoch] = {}

    def open(self, stream: int) -> None:
        """Its packets supersede those of earlier streams once they are placed."""
        epoch = Epoch(stream)
        self._epochs.append(epoch)
        self._current[stream] = self.head = epoch

    def close(self, stream: int, *, until: int | None = None) -> None:
        """No more packets of it come; those that wait and end by `until` are still placed."""
        self._current.pop(stream, None)
        if until is not None:
            for epoch in self._epochs:
                if epoch.stream == stream:
                    epoch.withhold(until)
        self._drop_finished()

    def push(self, packet: Packet, room_us: int) -> None:
        """A packet of the batch of `room_us`."""
        epoch = self._current.get(packet.stream)
        samples = packet_samples(packet.payload)
        if epoch is None or not samples:
            self.counts.malformed += 1
            return
        arrival = self.arrival = (room_us - packet.age * AGE_US) * 48 // 1000
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
        epoch.take((seq, time, samples, packet.level, packet.payload), arrival)
        self.counts.received += 1

    def _restart(self, stream: int) -> Epoch:
        self.open(stream)
        return self._current[stream]

    def _is_past(self, epoch: Epoch, seq: int) -> bool:
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

    def _is_superseded(self, epoch: Epoch) -> bool:
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

    def advance(self, horizon: int | None) -> list[Run]:
        """Places all packets that end at or before `horizon`; all that wait when it is None."""
        placed: list[Run] = []
        if len(self._epochs) == 1 and horizon is not None:
            self._follow(self._epochs[0], horizon, placed)
            if not self._epochs[0].waiting:
                return placed
        while (epoch := self._next_epoch(ending=horizon is None)) is not None:
            start = epoch.start(self.cursor)
            if horizon is not None and start + epoch.waiting[0][2] > horizon:
                break
            if (run := self._place(epoch, start)) is not None:
                placed.append(run)
                if len(self._epochs) == 1 and horizon is not None:
                    self._follow(epoch, horizon, placed)
        return placed

    def _follow(self, epoch: Epoch, horizon: int, placed: list[Run]) -> None:
        """The common case: as long as packets touch and their clock is right."""
        waiting, last_seq, last_end = epoch.waiting, epoch.last_seq, epoch.last_end
        start = place = epoch.place
        if place != self.cursor or not last_seq:
            return
        if not -FREE <= epoch.clock.offset + last_end - place <= FREE:
            return
        packets: list[Waiting] = []
        while waiting:
            packet = waiting[0]
            seq, time, samples, _, _ = packet
            if seq != last_seq + 1 or time != last_end or place + samples > horizon:
                break
            packets.append(waiting.popleft())
            last_seq, last_end, place = seq, time + samples, place + samples
        if packets:
            placed.append(Run(epoch.stream, start, place, packets, 0))
            epoch.last_seq, epoch.last_end = last_seq, last_end
            self.cursor = epoch.place = place

    def _next_epoch(self, *, ending: bool) -> Epoch | None:
        """Whose head comes first; of two that overlap, the later epoch's."""
        ready = [
            epoch
            for epoch in self._epochs
            if epoch.waiting and (ending or epoch.held_until <= self.arrival)
        ]
        if len(ready) < 2:
            return ready[0] if ready else None
        starts = [epoch.start(self.cursor) for epoch in ready]
        at = starts.index(min(starts))
        for later in range(at + 1, len(ready)):
            if starts[later] < starts[at] + ready[at].waiting[0][2]:
                at = later
        return ready[at]

    def _place(self, epoch: Epoch, start: int) -> Run | None:
        packet = epoch.waiting.popleft()
        seq, time, samples, _, _ = packet
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
        return Run(epoch.stream, start, self.cursor, [packet], lost)

    def _count_missing(self, epoch: Epoch, seq: int, time: int) -> int:
        """Counts the hole before `seq`; its length in samples where packets were lost."""
        first = max(epoch.last_seq + 1, seq - MAX_MISORDER)
        epoch.missing = {s for s in epoch.missing if s >= seq - MAX_MISORDER}
        epoch.missing.update(range(first, seq))
        self.counts.lost += seq - epoch.last_seq - 1
        return max(time - epoch.last_end, 0)

    def _supersede(self, epoch: Epoch) -> None:
        """Earlier epochs are over once a later one plays."""
        for earlier in self._epochs[: self._epochs.index(epoch)]:
            self.counts.cut += len(earlier.waiting)
            earlier.waiting.clear()
        self._drop_finished()

    def _drop_finished(self) -> None:
        current = set(map(id, self._current.values()))
        self._epochs = [e for e in self._epochs if e.waiting or id(e) in current]
        last = self._epochs[-1] if self._epochs else None
        self.head = last if id(last) in current else None
