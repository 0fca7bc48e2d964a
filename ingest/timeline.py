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

from ingest.epoch import FREE, MAX_MISORDER, Epoch, is_quiet
from ingest.journal import Packet
from ingest.opus import LOOKAHEAD, TOC_SAMPLES, packet_samples
from ingest.rtpclock import JUMP, LATE


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

        self._arrival = 0
        self._epochs: list[Epoch] = []
        self._current: dict[int, Epoch] = {}

    def open(self, stream: int) -> None:
        """Its packets supersede those of earlier streams once they are placed."""
        epoch = Epoch()
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

    def _take(self, epoch: Epoch, packet: Packet, samples: int, arrival: int) -> None:
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

    def _follow(self, epoch: Epoch, horizon: int, placed: list[Placed]) -> None:
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

    def _next_epoch(self, *, ending: bool) -> Epoch | None:
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

    def _place(self, epoch: Epoch, start: int) -> Placed | None:
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
