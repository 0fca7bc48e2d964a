"""What holds of a timeline whatever comes."""

import random
from collections import Counter
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.epoch import FORCED, FREE
from ingest.journal import Packet
from ingest.opus import RATE
from ingest.timeline import TrackTimeline
from tests.ingest.streams import TOCS, Sent, check_order, payload, play, singly, stream, track

Push = tuple[int, int, int, int, int]

PUSHES = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from([-3000, -1, 0, 1, 1, 1, 1, 2, 40_000]),
        st.sampled_from([-500_000, -960, 0, 960, 960, 960, 2**31]),
        st.sampled_from(sorted(TOCS)),
        st.sampled_from([0, 20_000, 20_000, 300_000, 5_000_000]),
    ),
    max_size=120,
)


@given(PUSHES, st.sets(st.integers(0, 120), max_size=6), st.integers(0, 2))
@settings(max_examples=100, deadline=None)
def test_whatever_comes_nothing_overlaps_or_is_placed_twice(
    pushes: list[Push], closes: set[int], reopened: int
) -> None:
    """Sequence numbers, RTP times, lengths, arrivals and streams that are a stranger's."""
    timeline = track(1, 2, 3)
    placed = []
    seq, time, room_us = [7, 8, 9], [0, 0, 0], 1_000_000
    for index, (stream_number, seq_step, time_step, samples, pause) in enumerate(pushes):
        at = stream_number - 1
        seq[at] = (seq[at] + seq_step) & 0xFFFF
        time[at] = (time[at] + time_step) & 0xFFFFFFFF
        room_us += pause
        body = payload(samples) + index.to_bytes(2, "big")
        timeline.push(Packet(stream_number, seq[at], time[at], 30, body), room_us)
        placed += singly(timeline.advance(room_us * 48 // 1000 - RATE // 2))
        if index in closes:
            timeline.close(stream_number)
            if reopened == at:
                timeline.open(stream_number)
    placed += singly(timeline.advance(None))
    check_order(placed)
    assert max(Counter(p.payload for p in placed).values(), default=1) == 1
    counts = timeline.counts
    assert counts.received + counts.duplicate + counts.late + counts.malformed >= len(placed)
    assert len(placed) <= counts.received
    assert timeline.cursor == (placed[-1].end if placed else 0)
    assert timeline.next_start() is None
    assert timeline.advance(None) == []


def shaken(sent: list[Sent], seed: int, jitter: float, loss: float) -> list[Sent]:
    rng = random.Random(seed)  # noqa: S311 - reproducible
    return [
        replace(s, arrival=s.arrival + rng.random() * jitter)
        for i, s in enumerate(sent)
        if i == 0 or rng.random() >= loss
    ]


@given(
    st.floats(-150e-6, 150e-6),
    st.floats(0, 0.1),
    st.floats(0, 0.1),
    st.sampled_from([480, 960, 1920, 2880]),
    st.integers(0, 1000),
)
@example(-150e-6, 0.0, 0.0, 1920, 495)
@settings(max_examples=10, deadline=None)
def test_a_packet_is_placed_within_6_ms_before_the_drift_is_known(
    drift: float, jitter: float, loss: float, samples: int, seed: int
) -> None:
    """A minute of quiet speech: from its tenth second on, what the clock drifts in the 20 s of
    its least delay (3 ms at most), 2.5 ms that are let stand, and the jitter that all had."""
    count = 60 * RATE // samples
    sent = stream(count, samples=samples, drift=drift, level=80)
    numbered = [
        replace(s, packet=s.packet._replace(payload=s.packet.payload + n.to_bytes(2, "big")))
        for n, s in enumerate(sent)
    ]
    placed = play(track(), shaken(numbered, seed, jitter, loss))
    check_order(placed)
    known = 10 * RATE // samples
    errors = [
        abs(p.start - sent[n].truth)
        for p in placed
        if (n := int.from_bytes(p.payload[-2:], "big")) > known
    ]
    assert max(errors) <= 6 * RATE // 1000 + jitter * RATE * samples / (4 * RATE)


@given(st.integers(0, 1000), st.lists(st.integers(1, 40), min_size=1, max_size=20))
@settings(max_examples=10, deadline=None)
def test_where_a_drain_ends_does_not_matter(seed: int, sizes: list[int]) -> None:
    """The same arrivals, asked for more often: the same places, but for the last FREE of error."""
    sent = shaken(stream(400), seed, 0.05, 0.05)
    often = TrackTimeline()
    often.open(1)
    placed = []
    turn = 0
    for number, item in enumerate(sorted(sent, key=lambda s: s.arrival)):
        room_us = round(item.arrival * 1_000_000)
        often.push(item.packet, room_us)
        if number % sizes[turn % len(sizes)] == 0:
            turn += 1
            placed += singly(often.advance(room_us * 48 // 1000 - RATE // 2))
    placed += singly(often.advance(None))
    check_order(placed)
    once = play(track(), sent)
    assert len(placed) == len(once)
    for one, other in zip(placed, once, strict=True):
        assert one.lost == other.lost or abs(one.lost - other.lost) <= FORCED
        assert abs(one.start - other.start) <= 0.05 * RATE / 5 + 2 * FREE
