"""The two clocks of a recording, for every room that hypothesis can think of."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.roomtime import JOIN_MS, RoomTime, Stretch

quick = settings(max_examples=50, deadline=None)


@st.composite
def recordings(draw: st.DrawFn) -> list[Stretch]:
    """Segments as packaged: a pause moves the room's clock on, rounding by less than a ms."""
    stretches: list[Stretch] = []
    media, room_ms = 0, draw(st.floats(0, 10_000))
    for _ in range(draw(st.integers(1, 30))):
        samples = draw(st.sampled_from([96_256, 97_280, 1024, 50_176]))
        jitter = draw(st.floats(-0.2, 0.2))
        stretches.append(Stretch(media, samples, max(room_ms + jitter, 0.0)))
        media += samples
        room_ms += samples / 48 + draw(st.sampled_from([0.0, 0.0, 0.0, 500.0, 60_000.0]))
    return stretches


@quick
@given(recordings(), st.floats(0, 1))
def test_there_and_back_is_the_same_place(stretches: list[Stretch], part: float) -> None:
    clock = RoomTime(stretches)
    media_ms = clock.duration_ms * part
    assert clock.to_media(clock.to_room(media_ms)) == pytest.approx(media_ms, abs=1e-6)


@quick
@given(recordings())
def test_every_segment_begins_where_its_row_says(stretches: list[Stretch]) -> None:
    clock = RoomTime(stretches)
    for stretch in stretches:
        assert abs(clock.to_room(stretch.media_start / 48) - stretch.room_start_ms) < JOIN_MS


@quick
@given(recordings(), st.lists(st.floats(-1000, 3_000_000), min_size=2, max_size=6))
def test_both_directions_never_run_backward(stretches: list[Stretch], at: list[float]) -> None:
    clock = RoomTime(stretches)
    for convert in (clock.to_room, clock.to_media):
        values = [convert(ms) for ms in sorted(at)]
        assert values == sorted(values)


@quick
@given(recordings(), st.floats(-1000, 3_000_000))
def test_what_is_off_the_record_leads_to_where_it_goes_on(
    stretches: list[Stretch], room_ms: float
) -> None:
    clock = RoomTime(stretches)
    media_ms = clock.to_media(room_ms)
    assert 0 <= media_ms <= clock.duration_ms
    if clock.was_recorded(room_ms):
        assert clock.to_room(media_ms) == pytest.approx(room_ms, abs=1e-6)
    else:
        assert not clock.was_recorded(clock.to_room(clock.duration_ms) + 0.001)


@quick
@given(recordings())
def test_spans_hold_all_media_and_are_as_few_as_the_pauses_allow(
    stretches: list[Stretch],
) -> None:
    clock = RoomTime(stretches)
    samples = sum(s.samples for s in stretches)
    assert sum(s.duration_ms for s in clock.spans) == pytest.approx(samples / 48)
    jumps = sum(
        1
        for before, after in pairwise(stretches)
        if after.room_start_ms - before.room_start_ms - before.samples / 48 > 100
    )
    assert len(clock.spans) == jumps + 1


def test_a_pause_of_ten_seconds_in_the_middle() -> None:
    clock = RoomTime(
        [Stretch(0, 96_000, 0.0), Stretch(96_000, 96_000, 2000.0), Stretch(192_000, 96_000, 14_000)]
    )
    assert [(s.media_start_ms, s.room_start_ms, s.duration_ms) for s in clock.spans] == [
        (0, 0, 4000),
        (4000, 14_000, 2000),
    ]
    assert clock.to_room(3999) == 3999
    assert clock.to_room(4000) == 14_000
    assert clock.to_media(9000) == 4000
    assert not clock.was_recorded(9000)
    assert clock.duration_ms == 6000


def test_a_recording_without_media() -> None:
    clock = RoomTime([])
    assert (clock.duration_ms, clock.to_room(5), clock.to_media(5)) == (0, 0, 0)
    assert not clock.was_recorded(0)
