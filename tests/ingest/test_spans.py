"""Room time and media time are one exact map, whatever the marks."""

from itertools import pairwise

from hypothesis import example, given, settings
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


Settled = list[tuple[int, bool, int]]


TWICE_ROUNDED: Settled = [
    (0, True, 0),
    (0, False, 0),
    (9, True, 0),
    (20, False, 1),
    (27, True, 0),
    (29, False, 0),
    (34, True, 0),
    (37, False, 0),
    (48, False, 0),
    (744, True, 0),
    (776, False, 0),
]


@st.composite
def late_marks(draw: st.DrawFn) -> Settled:
    """Marks in turn; each time something may be written already beyond the mark."""
    return [
        (ms, on, draw(st.integers(0, 3000)) if draw(st.booleans()) else 0)
        for ms, on in draw(marks())
    ]


@given(late_marks(), st.lists(st.integers(0, 110_000 * PER_MS), min_size=2, max_size=20))
@example(TWICE_ROUNDED, [0, 0])
@settings(deadline=None)
def test_the_map_never_runs_backwards_however_late_marks_come(
    changes: Settled, moments: list[int]
) -> None:
    """And errs by 10 ms and by what was written already, no more."""
    spans, overshot = Spans(), 0
    for room_ms, on, late_ms in changes:
        if on:
            spans.begin(room_ms)
            continue
        before = spans.current
        spans.finish(room_ms, settled=(room_ms + late_ms) * PER_MS if late_ms else 0)
        if before is not None and late_ms:
            # Up to a whole slot, from which the next edges are rounded anew.
            overshot += late_ms * PER_MS + SLOT + SLOT // 2
    end_ms = changes[-1][0] + 4000
    spans.finish(end_ms)
    recorded = recorded_ms([(ms, on) for ms, on, _ in changes], end_ms) * PER_MS
    assert -SLOT // 2 - overshot <= spans.media_length - recorded <= SLOT // 2 + overshot
    media = [spans.media_at(room) for room in sorted(moments)]
    assert media == sorted(media)
    assert all(0 <= at <= spans.media_length for at in media)
    rooms = [spans.room_at(at) for at in range(0, spans.media_length, 48_000)]
    assert rooms == sorted(rooms)
    for span, after in pairwise(spans.spans):
        assert (span.end or 0) <= after.start


@given(marks(), st.integers(0, 110_000 * 8))
@settings(deadline=None)
def test_while_a_span_lasts_its_packets_lie_where_they_will_when_it_is_over(
    changes: Marks, slot: int
) -> None:
    spans, start = Spans(), slot * 6
    while_open: int | None = None
    for room_ms, on in changes:
        if on:
            spans.begin(room_ms)
        elif room_ms * PER_MS >= start + 960:
            while_open = spans.place(start, start + 960)
            break
        else:
            spans.finish(room_ms)
    after = spans_of(changes, changes[-1][0] + 1000)
    if while_open is not None and (known := after.place(start, start + 960)) is not None:
        assert known == while_open


@given(marks(), st.integers(0, 110_000), st.integers(0, 110_000))
@settings(deadline=None)
def test_on_record_is_what_lies_between_the_marks(changes: Marks, one: int, other: int) -> None:
    start, end = min(one, other), max(one, other)
    spans = spans_of(changes, changes[-1][0] + 1000)
    parts = spans.on_record(start * PER_MS, end * PER_MS)
    inside = [(min(max(ms, start), end), on) for ms, on in changes]
    inside += [(min(max(changes[-1][0] + 1000, start), end), False)]
    assert sum(b - a for a, b in parts) == recorded_ms(inside, end) * PER_MS


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
