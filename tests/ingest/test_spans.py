"""Room time and media time are one exact map, whatever the marks."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.spans import PER_MS, SLOT, Spans

Marks = list[tuple[int, bool]]


@st.composite
def marks(draw: st.DrawFn) -> Marks:
    """On and off in turn, and some that change nothing; the last is the end."""
    times = sorted(draw(st.lists(st.integers(0, 100_000), min_size=1, max_size=12)))
    return [(ms, draw(st.booleans()) if i % 3 == 2 else i % 2 == 0) for i, ms in enumerate(times)]


def spans_of(changes: Marks, end_ms: int) -> Spans:
    spans = Spans()
    for room_ms, on in changes:
        if on:
            spans.begin(room_ms)
        else:
            spans.finish(room_ms)
    spans.finish(end_ms)
    return spans


def recorded_ms(changes: Marks, end_ms: int) -> int:
    total, since = 0, None
    for room_ms, on in [*changes, (end_ms, False)]:
        if on and since is None:
            since = room_ms
        elif not on and since is not None:
            total += room_ms - since
            since = None
    return total


@given(marks())
@settings(deadline=None)
def test_media_is_as_long_as_what_was_recorded(changes: Marks) -> None:
    end = changes[-1][0] + 1000
    spans = spans_of(changes, end)
    assert abs(spans.media_length - recorded_ms(changes, end) * PER_MS) <= SLOT // 2


@given(marks())
@settings(deadline=None)
def test_spans_follow_each_other_without_hole_or_overlap(changes: Marks) -> None:
    spans = spans_of(changes, changes[-1][0] + 1000).spans
    for span in spans:
        assert span.end is not None
        assert span.start % SLOT == span.end % SLOT == span.media_start % SLOT == 0
        assert abs(span.start - span.exact_start) <= SLOT
    for before, after in pairwise(spans):
        assert before.end is not None
        assert before.end <= after.start
        assert before.media_end == after.media_start


@given(marks(), st.integers(0, 110_000 * PER_MS))
@settings(deadline=None)
def test_the_map_is_exact_both_ways(changes: Marks, room: int) -> None:
    spans = spans_of(changes, changes[-1][0] + 1000)
    media = spans.media_at(room)
    holds = [s for s in spans.spans if s.start <= room < (s.end or 0)]
    if holds:
        assert spans.room_at(media) == room
    later = spans.media_at(room + 480)
    assert 0 <= later - media <= 480


@given(marks(), st.integers(0, 110_000 * 8), st.sampled_from([120, 960, 5760]))
@settings(deadline=None)
def test_a_packet_is_kept_only_wholly_on_the_record(
    changes: Marks, slot: int, samples: int
) -> None:
    end_ms = changes[-1][0] + 1000
    spans = spans_of(changes, end_ms)
    start = slot * 6
    media = spans.place(start, start + samples)
    if media is None:
        return
    on_record = False
    since = None
    for room_ms, on in [*changes, (end_ms, False)]:
        if on and since is None:
            since = room_ms * PER_MS
        elif not on and since is not None:
            on_record |= since <= start and start + samples <= room_ms * PER_MS
            since = None
    assert on_record
    assert media == spans.media_at(start)
    assert media + samples <= spans.media_length


def test_what_is_written_already_is_not_cut_by_a_mark_that_comes_late() -> None:
    spans = Spans()
    spans.begin(0)
    span = spans.finish(1000, settled=1500 * PER_MS)
    assert span is not None
    assert span.end == 75 * SLOT
    assert spans.begin(1200) is not None
    assert spans.spans[1].start == 75 * SLOT


def test_before_the_first_mark_nothing_is_on_the_record() -> None:
    spans = Spans()
    assert spans.place(0, 960) is None
    assert spans.media_at(48_000) == 0
    assert spans.finish(500) is None
    spans.begin(1000)
    assert spans.place(48_000, 48_960) == 0
    assert spans.media_at(96_000) == 48_000
