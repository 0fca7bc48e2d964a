"""Batches taken in from their bytes: the same as packets pushed one by one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.intake import take_in
from ingest.journal import LONGEST_AGE, Event, Packet, RawBatch, pack_event
from ingest.opus import RATE
from ingest.timeline import TrackTimeline
from tests.ingest.packing import pack_packet
from tests.ingest.streams import TOCS, payload, singly, track

STEPS = st.lists(
    st.tuples(
        st.integers(1, 2),
        st.sampled_from([1] * 12 + [0, 2, -1, -3000, 40_000]),
        st.sampled_from([960] * 12 + [0, 480, -960, 2**31]),
        st.sampled_from([960] * 6 + sorted(TOCS)),
        st.sampled_from([20_000] * 8 + [0, 21_000, 300_000, 5_000_000]),
        st.sampled_from([0] * 6 + [1, 40, LONGEST_AGE]),
    ),
    max_size=200,
)


def made(steps: list[tuple[int, int, int, int, int, int]]) -> list[tuple[int, Packet]]:
    """Mostly steady streams, and what may come between, with the time of each arrival."""
    packets: list[tuple[int, Packet]] = []
    seq, time, room_us = [65_530, 8], [2**32 - 9600, 0], 1_000_000
    for number, (stream, seq_step, time_step, samples, pause, age) in enumerate(steps):
        at = stream - 1
        seq[at] = (seq[at] + seq_step) & 0xFFFF
        time[at] = (time[at] + time_step) & 0xFFFF_FFFF
        room_us += pause
        body = payload(samples) + number.to_bytes(2, "big")
        packets.append((room_us, Packet(stream, seq[at], time[at], number % 128, body, age)))
    return packets


def batch_of(room_us: int, *records: bytes) -> RawBatch:
    data = b"before" + b"".join(records)
    return RawBatch(room_us, data + b"behind", 6, len(data))


@given(STEPS, st.sets(st.integers(0, 200), max_size=4), st.integers(1, 8))
@settings(max_examples=150, deadline=None)
def test_bytes_are_taken_in_as_packets_are_pushed(
    steps: list[tuple[int, int, int, int, int, int]], closes: set[int], every: int
) -> None:
    pushed, taken = track(1, 2), track(1, 2)
    timelines: dict[int, TrackTimeline] = {1: taken, 2: taken}
    for number, (room_us, packet) in enumerate(made(steps)):
        pushed.push(packet, room_us)
        assert not list(take_in(batch_of(room_us, pack_packet(packet)), timelines))
        if number % every == 0:
            horizon = room_us * 48 // 1000 - RATE // 2
            assert singly(pushed.advance(horizon)) == singly(taken.advance(horizon))
        if number in closes:
            for timeline in (pushed, taken):
                timeline.close(packet.stream)
                timeline.open(packet.stream)
        assert pushed.arrived_until() == taken.arrived_until()
    assert singly(pushed.advance(None)) == singly(taken.advance(None))
    assert pushed.counts == taken.counts


def test_events_come_in_their_place_and_may_change_who_is_listened_to() -> None:
    event, late = Event("one", {"a": 1}), Event("two", {})
    packet = Packet(1, 1, 0, 30, payload(960))
    timelines: dict[int, TrackTimeline] = {}
    records = [pack_packet(packet), pack_event(event), pack_packet(packet), pack_event(late)]
    found = take_in(batch_of(1_000_000, *records), timelines)
    assert next(found) == event
    timelines[1] = track(1)
    assert next(found) == late
    assert timelines[1].counts.received == 1
