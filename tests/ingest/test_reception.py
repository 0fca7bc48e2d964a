"""Loss, jitter and extended sequence numbers against what was really sent."""

import itertools

from hypothesis import assume, given
from hypothesis import strategies as st

from ingest.reception import Reception
from ingest.rtcp import SenderReport


@given(
    first=st.integers(0, 0x7FFF),
    kept=st.lists(st.booleans(), min_size=1, max_size=400),
    step=st.sampled_from([1, 997]),
)
def test_highest_and_lost_are_exact_over_wraps(first: int, kept: list[bool], step: int) -> None:
    sent = [first + step * n for n in range(len(kept))]
    arrived = [seq for seq, keep in zip(sent, kept, strict=True) if keep]
    assume(arrived)
    assume(all(b - a < 0x8000 for a, b in itertools.pairwise(arrived)))
    reception = Reception(1, arrived[0])
    for number, seq in enumerate(arrived):
        reception.add(seq & 0xFFFF, number * 960, number * 0.02)
    assert reception.highest == arrived[-1]
    assert reception.lost == arrived[-1] - arrived[0] + 1 - len(arrived)


@given(st.permutations(range(20)))
def test_order_does_not_matter_to_loss(order: list[int]) -> None:
    reception = Reception(1, 1000 + order[0])
    for seq in order:
        reception.add(1000 + seq, 0, 0)
    assert reception.lost == 0
    assert reception.highest == 1019


def test_fraction_lost_is_of_the_last_interval() -> None:
    reception = Reception(7, 0)
    for seq in range(100):
        reception.add(seq, seq * 960, seq * 0.02)
    assert reception.report(2).fraction_lost == 0
    for seq in range(100, 200, 2):
        reception.add(seq, seq * 960, seq * 0.02)
    report = reception.report(4)
    assert report.fraction_lost == 126  # 49 of 99, in 1/256
    assert report.lost == 49
    assert reception.report(4).fraction_lost == 0


def test_jitter_is_zero_for_an_even_stream_and_grows_otherwise() -> None:
    even, uneven = Reception(1, 0), Reception(2, 0)
    for seq in range(100):
        even.add(seq, seq * 960, seq * 0.02)
        uneven.add(seq, seq * 960, seq * 0.02 + (seq % 2) * 0.01)
    assert even.report(2).jitter == 0
    assert 400 < uneven.report(2).jitter <= 480


def test_a_wrap_of_rtp_time_is_no_jitter() -> None:
    reception = Reception(1, 0)
    for n in range(20):
        reception.add(n, (0xFFFFFFFF - 9 * 960 + n * 960) & 0xFFFFFFFF, n * 0.02)
    assert reception.report(1).jitter < 5


def test_a_sender_report_comes_back_with_its_age() -> None:
    reception = Reception(1, 0)
    reception.add(0, 0, 0)
    assert (reception.report(1).last_report, reception.report(1).delay) == (0, 0)
    reception.on_sender_report(SenderReport(1, 0x0000_1234_5678_0000, 0, 0, 0), 10.0)
    report = reception.report(11.5)
    assert report.last_report == 0x12345678
    assert report.delay == 98304
