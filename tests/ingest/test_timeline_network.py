"""Stalls, bursts, wraps and steps: what networks and sender clocks do to whole streams."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from ingest.epoch import FORCED, SNAP
from ingest.journal import NO_LEVEL
from ingest.opus import GRID, RATE
from tests.ingest.streams import Sent, check_order, play, stream, track

MS = RATE // 1000


def held(sent: list[Sent], since: float, until: float, *, drained_in: float = 0.0) -> list[Sent]:
    """Nothing arrives between the two; then all of it, within `drained_in` seconds."""
    waits = [s for s in sent if since <= s.arrival < until + drained_in]
    last = waits[-1].arrival
    late: list[Sent] = []
    for number, one in enumerate(waits):
        arrival = until + drained_in * number / len(waits)
        late.append(
            replace(one, arrival=max(arrival, one.arrival) if one is waits[-1] else arrival)
        )
    assert late[-1].arrival <= max(last, until + drained_in)
    return [s for s in sent if s.arrival < since] + late + [s for s in sent if s.arrival > last]


@pytest.mark.parametrize("drained_in", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("seconds", [0.3, 0.9, 1.4, 1.9, 2.5, 4.5, 9.0])
def test_a_burst_after_a_stall_is_where_it_was_spoken(seconds: float, drained_in: float) -> None:
    """However long the network stood still: a track takes all of it, in its place."""
    sent = stream(1000)
    timeline = track()
    placed = play(timeline, held(sent, 5.0, 5.0 + seconds, drained_in=drained_in))
    check_order(placed)
    assert len(placed) >= 1000 - 1
    assert all(b.start - a.end <= SNAP for a, b in pairwise(placed))
    assert abs(placed[0].start - sent[0].truth) <= SNAP
    assert abs(placed[-1].start - sent[-1].truth) <= SNAP


@pytest.mark.parametrize("away", [0.3, 3.0, 25.0, 3600.0])
def test_an_rtp_clock_that_stood_still_goes_on_at_the_rooms(away: float) -> None:
    """The next packet follows in sequence and RTP time, and all after it come on time."""
    before = stream(100, start=1.0)
    after = stream(200, start=3.0 + away, seq=200, time=1000 + 100 * 960)
    placed = play(track(), before + after)
    check_order(placed)
    assert len(placed) == 300
    assert abs(placed[-1].start - after[-1].truth) <= SNAP
    if away > 2:
        assert abs(placed[100].start - after[0].truth) <= GRID


@pytest.mark.parametrize("shift", [-0.2, -0.05, 0.05, 0.2, 0.5, 1.5])
def test_an_address_that_migrates_changes_the_delay_and_nothing_else(shift: float) -> None:
    """Another network is longer or shorter; packets around the change overtake each other."""
    sent = stream(3000, delay=0.3)
    moved = [Sent(s.arrival + shift * (i >= 1000), s.packet, s.truth) for i, s in enumerate(sent)]
    timeline = track()
    placed = play(timeline, moved)
    check_order(placed)
    assert len(placed) + timeline.counts.cut == 3000
    assert timeline.counts.cut <= max(-shift, 0) * 50 + 2
    assert timeline.counts.lost == timeline.counts.late == 0
    assert abs(placed[500].start - sent[500].truth) <= SNAP
    assert abs(placed[-1].start - sent[-1].truth - shift * RATE) <= FORCED + SNAP


@pytest.mark.parametrize("samples", [480, 960, 2880, 5760])
def test_both_counters_wrap_within_losses_and_disorder(samples: int) -> None:
    rng = random.Random(samples)  # noqa: S311 - reproducible
    sent = stream(600, samples=samples, seq=65_300, time=2**32 - 250 * samples)
    kept = [s for i, s in enumerate(sent) if i in (0, 599) or rng.random() > 0.05]
    shaken = [replace(s, arrival=s.arrival + rng.random() * 0.08) for s in kept]
    timeline = track()
    placed = play(timeline, shaken)
    check_order(placed)
    counts = timeline.counts
    assert len(placed) + counts.cut == len(kept)
    assert (counts.lost, counts.late, counts.duplicate) == (600 - len(kept), 0, 0)
    assert abs(placed[-1].start - sent[-1].truth) <= 5 * MS


def test_a_new_ssrc_within_the_session_goes_on_without_a_seam() -> None:
    """The client changes its SSRC in mid-sentence: other counters, the same clock."""
    first = stream(200, number=1, start=1.0)
    second = stream(200, number=2, start=5.0, seq=60_000, time=77)
    timeline = track(1, 2)
    placed = play(timeline, first + second)
    check_order(placed)
    assert len(placed) >= 399
    assert timeline.counts.lost == 0
    assert max(b.start - a.end for a, b in pairwise(placed)) <= 960 + SNAP


@pytest.mark.parametrize("drift", [-150e-6, 150e-6])
@pytest.mark.parametrize("level", [30, NO_LEVEL])
def test_a_clock_that_is_off_never_strays(drift: float, level: int) -> None:
    """Twenty minutes of speech without a pause, 60 ms packets: one slot of error at the most."""
    sent = stream(20_000, samples=2880, drift=drift, level=level)
    placed = play(track(), sent)
    check_order(placed)
    worst = 0
    index = 0
    for packet in placed:
        while sent[index].truth + 2880 // 2 < packet.start:
            index += 1
        worst = max(worst, abs(packet.start - sent[index].truth))
    assert worst <= FORCED + SNAP
    assert len(placed) >= 20_000 - 10


@pytest.mark.parametrize("ppm", [-150, -40, 40, 150])
def test_dtx_and_drift_together(ppm: int) -> None:
    """Ten minutes in which one packet of twenty says something."""
    spoken = [s for i, s in enumerate(stream(30_000, drift=ppm * 1e-6)) if i % 20 == 0]
    sent = [replace(s, packet=s.packet._replace(seq=n)) for n, s in enumerate(spoken)]
    timeline = track()
    placed = play(timeline, sent)
    assert [p.lost for p in placed] == [0] * 1500
    assert timeline.counts.lost == timeline.counts.cut == 0
    late = [abs(p.start - s.truth) for p, s in zip(placed, sent, strict=True)]
    assert max(late) <= 5 * MS


def test_late_packets_here_and_there_are_no_step_of_the_delay() -> None:
    """Those that came on time in between say so, also where each is next in its sequence."""
    sent = stream(600)
    late = {*range(50, 57), *range(150, 157), *range(300, 307)}
    shaken = [replace(s, arrival=s.arrival + 0.3 * (i in late)) for i, s in enumerate(sent)]
    placed = play(track(), shaken)
    assert len(placed) == 600
    assert all(b.start == a.end for a, b in pairwise(placed))
