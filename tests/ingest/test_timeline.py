"""The timeline under everything that a network and a client do to packets."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.epoch import FORCED, FREE, SNAP
from ingest.journal import NO_LEVEL, Packet
from ingest.opus import GRID, RATE, SILENCE
from tests.ingest.streams import Sent, check_order, play, stream, track


def test_packets_in_order_touch_and_lie_where_they_were_captured() -> None:
    sent = stream(200)
    placed = play(track(), sent)
    assert len(placed) == 200
    assert all(b.start == a.end for a, b in pairwise(placed))
    assert abs(placed[0].start - sent[0].truth) <= GRID


@given(
    st.sampled_from([120, 480, 960, 1920, 2880]),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 1000),
    st.floats(0, 0.2),
    st.floats(0, 0.1),
    st.floats(0, 0.05),
)
@settings(max_examples=60, deadline=None)
def test_loss_reordering_and_duplicates(
    samples: int, seq: int, time: int, seed: int, jitter: float, loss: float, double: float
) -> None:
    rng = random.Random(seed)  # noqa: S311 - reproducible
    sent = stream(300, samples=samples, seq=seq, time=time)
    pushed: list[Sent] = []
    kept: set[int] = set()
    doubles = 0
    for index, item in enumerate(sent):
        if rng.random() < loss and 0 < index < 299:
            continue
        kept.add(item.packet.seq)
        pushed.append(Sent(item.arrival + rng.random() * jitter, item.packet, item.truth))
        if rng.random() < double:
            doubles += 1
            pushed.append(Sent(pushed[-1].arrival + rng.random() * 0.2, item.packet, item.truth))
    timeline = track()
    placed = play(timeline, pushed)

    check_order(placed)
    counts = timeline.counts
    assert (counts.received, counts.duplicate, counts.late) == (len(kept), doubles, 0)
    assert counts.lost == 300 - len(kept)
    assert len(placed) + counts.cut == len(kept)
    assert counts.cut == 0 or jitter * RATE > FREE
    first = min(pushed, key=lambda s: s.truth)
    assert placed[0].start - first.truth <= jitter * RATE + GRID


def test_a_packet_after_the_cut_is_late_and_dropped() -> None:
    sent = stream(100)
    late = sent.pop(40)
    timeline = track()
    placed = play(timeline, [*sent, Sent(late.arrival + 0.8, late.packet, late.truth)])
    assert len(placed) == 99
    assert (timeline.counts.late, timeline.counts.lost) == (1, 1)
    assert placed[40].lost == 960


def test_a_packet_before_the_cut_is_put_in_its_place() -> None:
    sent = stream(100)
    slow = sent.pop(40)
    timeline = track()
    placed = play(timeline, [*sent, Sent(slow.arrival + 0.4, slow.packet, slow.truth)])
    assert len(placed) == 100
    assert timeline.counts.lost == 0


@pytest.mark.parametrize("samples", [120, 480, 960, 1920, 2880])
def test_the_length_of_packets_does_not_move_the_sound(samples: int) -> None:
    sent = stream(50, samples=samples)
    placed = play(track(), sent)
    assert abs(placed[0].start - sent[0].truth) <= GRID


@pytest.mark.parametrize("drift", [-150e-6, 150e-6])
def test_drift_is_corrected_in_silence_only(drift: float) -> None:
    """Ten minutes of a clock that is 150 ppm off: 90 ms without correction."""
    sent: list[Sent] = []
    for index, item in enumerate(stream(30_000, drift=drift)):
        silent = index % 500 < 25
        packet = item.packet
        level = 90 if silent else 30
        packet = Packet(1, packet.seq, packet.timestamp, level, packet.payload)
        sent.append(Sent(item.arrival, packet, item.truth))
    timeline = track()
    placed = play(timeline, sent)
    check_order(placed)
    assert len(placed) + timeline.counts.cut == 30_000
    assert timeline.counts.cut <= 40, "one quiet packet for each 2.5 ms"
    after_talk = [b.start - a.end for a, b in pairwise(placed) if b.level < 70]
    moved = [b.start - a.end for a, b in pairwise(placed) if b.level < 70 and a.level < 70]
    assert set(moved) == {0}
    assert max(after_talk) <= 960
    assert abs(placed[-1].start - sent[-1].truth) <= FREE + 240


def test_drift_without_any_silence_is_corrected_at_60_ms() -> None:
    sent = stream(30_000, drift=150e-6)
    placed = play(track(), sent)
    check_order(placed)
    assert abs(placed[-1].start - sent[-1].truth) <= FORCED + 240


def test_a_reconnect_goes_on_at_the_rooms_clock() -> None:
    first = stream(100, number=1, start=1.0, seq=65_500, time=2**32 - 5000)
    second = stream(100, number=2, start=5.0, seq=7, time=123)
    timeline = track(1, 2)
    placed = play(timeline, first + second)
    check_order(placed)
    assert abs(placed[100].start - second[0].truth) <= GRID
    assert placed[100].lost == 0
    assert timeline.counts.lost == 0


def test_a_new_stream_supersedes_one_that_still_sends() -> None:
    first = stream(300, number=1, start=1.0)
    second = stream(100, number=2, start=3.0)
    placed = play(track(1, 2), first + second)
    check_order(placed)
    switch = next(i for i, p in enumerate(placed) if p.stream == 2)
    assert {p.stream for p in placed[switch:]} == {2}
    assert len(placed) - switch >= 98


def test_an_earlier_stream_is_heard_again_when_the_later_is_closed() -> None:
    timeline = track(1, 2)
    second = stream(50, number=2, start=1.0)
    play(timeline, second)
    timeline.close(2)
    placed = play(timeline, stream(50, number=1, start=3.0))
    assert len(placed) == 50


def test_late_join_is_placed_by_the_rooms_clock() -> None:
    sent = stream(10, start=3600.0)
    placed = play(track(), sent)
    assert abs(placed[0].start - sent[0].truth) <= GRID


def test_dtx_leaves_holes_that_are_no_losses() -> None:
    """Sequence numbers go on, RTP time has holes (RFC 7587, 4.2)."""
    sent: list[Sent] = []
    for seq, item in enumerate(s for i, s in enumerate(stream(400)) if i % 20 < 5):
        packet = Packet(1, seq, item.packet.timestamp, 30, item.packet.payload)
        sent.append(Sent(item.arrival, packet, item.truth))
    timeline = track()
    placed = play(timeline, sent)
    assert [p.lost for p in placed] == [0] * 100
    assert timeline.counts.lost == 0
    assert placed[5].start - placed[4].end == 15 * 960


@pytest.mark.parametrize("stopped", [3.0, 600.0])
def test_an_rtp_clock_that_stopped_while_muted_is_placed_anew(stopped: float) -> None:
    before = stream(100, start=1.0)
    after = stream(100, start=3.0 + stopped, seq=200, time=1000 + 100 * 960)
    placed = play(track(), before + after)
    assert len(placed) == 200
    assert abs(placed[100].start - after[0].truth) <= GRID


@pytest.mark.parametrize("jump", [-(2**31) + 5, -500_000, 500_000, 2**30])
def test_rtp_time_that_jumps_is_placed_by_its_arrival(jump: int) -> None:
    before = stream(100, start=1.0, time=3_000_000)
    after = stream(100, start=3.0, seq=200, time=3_000_000 + 100 * 960 + jump)
    timeline = track()
    placed = play(timeline, before + after)
    check_order(placed)
    assert len(placed) == 200
    assert abs(placed[100].start - after[0].truth) <= GRID
    assert timeline.counts.lost == 0


def test_a_sequence_that_restarts_is_followed_from_its_second_packet() -> None:
    before = stream(100, start=1.0, seq=1000)
    after = stream(100, start=3.5, seq=40_000)
    timeline = track()
    assert len(play(timeline, before + after)) == 199
    assert timeline.counts.lost == 0


def test_a_permanent_step_of_the_delay_is_followed() -> None:
    """A route that is 300 ms longer from some moment on."""
    sent = stream(500)
    moved = [Sent(s.arrival + 0.3 * (i >= 200), s.packet, s.truth) for i, s in enumerate(sent)]
    placed = play(track(), moved)
    check_order(placed)
    assert abs(placed[-1].start - sent[-1].truth - 0.3 * RATE) <= SNAP + GRID


def test_a_stall_of_the_network_moves_nothing() -> None:
    """A second of packets arrives at once: each is where it belongs."""
    sent = stream(300)
    held = [Sent(max(s.arrival, 4.0) if s.arrival > 3 else s.arrival, s.packet, 0) for s in sent]
    placed = play(track(), held)
    assert len(placed) == 300
    assert all(b.start == a.end for a, b in pairwise(placed))


@pytest.mark.parametrize("withheld", [50, 500])
def test_what_was_withheld_is_not_lost(withheld: int) -> None:
    """The same SSRC goes on as another stream of the journal."""
    sent = stream(150 + withheld)
    after = [Sent(s.arrival, s.packet._replace(stream=2), s.truth) for s in sent[100 + withheld :]]
    timeline = track()
    placed = play(timeline, sent[:100])
    timeline.close(1)
    timeline.open(2)
    placed += play(timeline, after)
    assert (len(placed), timeline.counts.lost) == (150, 0)
    assert placed[100].lost == 0
    assert abs(placed[100].start - after[0].truth) <= GRID


def test_a_network_that_was_away_for_long_has_lost_it_all() -> None:
    sent = stream(2000)
    timeline = track()
    placed = play(timeline, sent[:100] + sent[400:])
    assert timeline.counts.lost == 300
    assert placed[100].lost == 300 * 960


def test_malformed_and_unknown_packets_are_counted() -> None:
    timeline = track()
    timeline.push(Packet(1, 1, 0, 0, b""), 0)
    timeline.push(Packet(1, 1, 0, 0, b"\xfb\x3f"), 0)
    timeline.push(Packet(9, 1, 0, 0, SILENCE), 0)
    assert timeline.counts.malformed == 3
    assert timeline.advance(None) == []


def test_streams_without_level_are_placed_alike() -> None:
    placed = play(track(), stream(100, level=NO_LEVEL))
    assert len(placed) == 100
