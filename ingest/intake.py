"""A batch's packets from its bytes to the timelines they belong to.

Most packets follow the one before without a step and on time. They are told here, without an
object or a call for each; whatever else comes goes to its timeline's `push`, which is the rule.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from ingest.journal import AGE_US, AGES, EVENT_TAG, PACKET, Event, Packet, RawBatch, unpack_event
from ingest.opus import LOOKAHEAD, TOC_SAMPLES
from ingest.rtpclock import LATE
from ingest.timeline import TrackTimeline

_HEAD: Final = PACKET.size
_WAITED: Final = tuple(age * AGE_US * 48 // 1000 for age in AGES)
"""In samples, by a packet's first byte."""


def take_in(batch: RawBatch, timelines: Mapping[int, TrackTimeline]) -> Iterator[Event]:
    """Pushes packets to the timeline of their stream, if there is one; events come in their place.

    `timelines` may change while an event is looked at.
    """
    room_us, data, at, until = batch
    drained = room_us * 48 // 1000
    unpack = PACKET.unpack_from
    while at < until:
        if data[at] == EVENT_TAG:
            event, at = unpack_event(data, at)
            yield event
            continue
        first, level, stream, seq, size, timestamp = unpack(data, at)
        begin = at + _HEAD
        at = begin + size
        if (timeline := timelines.get(stream)) is None:
            continue
        epoch = timeline.head
        if epoch is not None and epoch.next_seq == seq and epoch.stream == stream and size:
            clock, time = epoch.clock, epoch.end
            if time & 0xFFFF_FFFF == timestamp and (samples := TOC_SAMPLES[data[begin]]):
                end, arrival = time + samples, drained - _WAITED[first]
                delay = arrival - end - LOOKAHEAD
                if 0 <= delay - clock.offset <= LATE and arrival < clock.calm_until:
                    if delay < clock.lowest:
                        clock.lowest = delay
                    epoch.seq = number = epoch.seq + 1
                    epoch.next_seq = seq + 1 & 0xFFFF
                    epoch.end, epoch.arrival, epoch.strange = end, arrival, None
                    epoch.waiting.append((number, time, samples, level, data[begin:at]))
                    timeline.arrival = arrival
                    timeline.counts.received += 1
                    continue
        packet = Packet(stream, seq, timestamp, level, data[begin:at], AGES[first])
        timeline.push(packet, room_us)
