"""Where live cues are shown, whenever they come."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from ingest.hls import MediaSegment
from replay.cue_times import LINGER_MS, SEAL_MS, CueTimes
from replay.subtitles import CueKind, ShownCue

SECONDS = 48_000


def cue(start_ms: int, end_ms: int, stored_ms: int | None = None, number: int = 1) -> ShownCue:
    kind = CueKind.FINAL if stored_ms is None else CueKind.LIVE
    return ShownCue(number, UUID(int=1), "Ada", kind, start_ms, end_ms, stored_ms, "en", "words")


def times(count: int = 10, *, pause_after: int | None = None) -> CueTimes:
    """Segments of 2 s; after `pause_after` of them the room was off the record for a minute."""
    made = CueTimes()
    for number in range(count):
        paused = 60_000 if pause_after is not None and number >= pause_after else 0
        made.append(MediaSegment("", 2 * SECONDS, number * 2000 + paused))
    return made


def shown(made: CueTimes, one: ShownCue) -> dict[int, tuple[float, float]]:
    """The segments that show a cue, and the media times that it has there."""
    found = {number: made.shown_in(number, [one]) for number in range(len(made))}
    return {number: (v[0].start_ms, v[0].end_ms) for number, v in found.items() if v}


def test_a_cue_that_comes_in_time_is_where_it_was_said() -> None:
    assert shown(times(), cue(2500, 3500, stored_ms=4500)) == {1: (2500, 3500)}


def test_a_cue_across_a_border_is_in_both_segments_with_the_same_times() -> None:
    assert shown(times(), cue(3000, 5000, 5100)) == {1: (3000, 5000), 2: (3000, 5000)}


def test_a_late_cue_is_put_into_the_next_segment_and_stays_into_it() -> None:
    """Said in the second segment, which is sealed at 5.5 s."""
    late = shown(times(), cue(2500, 3500, stored_ms=5500))
    assert late == {2: (2500, 4000 + LINGER_MS)}


def test_a_cue_of_a_long_utterance_needs_no_lingering() -> None:
    """It reaches into the segment that brings it anyway."""
    long = shown(times(), cue(1000, 9000, stored_ms=9400))
    assert long == {3: (1000, 9000), 4: (1000, 9000)}


def test_a_cue_that_came_after_all_segments_waits_for_the_next() -> None:
    late = cue(18_500, 19_500, stored_ms=21_600)
    assert shown(times(10), late) == {}
    assert shown(times(11), late) == {10: (18_500, 22_000)}


def test_final_cues_are_never_late() -> None:
    assert shown(times(), cue(2500, 3500)) == {1: (2500, 3500)}


def test_media_time_leaves_out_what_was_off_the_record() -> None:
    made = times(pause_after=2)
    assert shown(made, cue(65_000, 65_800)) == {2: (5000, 5800)}


def test_a_replay_shows_all_at_its_own_time() -> None:
    late = cue(2500, 3500, stored_ms=9900)
    assert [(v.start_ms, v.end_ms) for v in times().shown_between(0, 4, [late])] == [(2500, 3500)]
    assert times().shown_between(2, 4, [late]) == []


def test_a_segment_is_sealed_some_time_after_its_end() -> None:
    made = times()
    assert made.sealed(2000 + SEAL_MS - 1) == 0
    assert made.sealed(2000 + SEAL_MS) == 1
    assert made.sealed(1e9) == 10


@given(
    st.integers(0, 18_000),
    st.integers(100, 10_000),
    st.integers(0, 20_000),
    st.integers(1, 30),
)
def test_no_sealed_segment_ever_changes(start: int, length: int, after: int, grown: int) -> None:
    """A cue that is stored at a moment shows up in no segment that was sealed by then; it shows
    up once the mix has gone on, in neighbors, with one time in all of them."""
    one = cue(start, start + length, stored_ms=start + length + after)
    made = times(40)
    found = shown(made, one)
    assert found
    assert min(found) >= made.sealed(start + length + after)
    assert list(found) == list(range(min(found), max(found) + 1))
    assert len(set(found.values())) == 1
    begin, end = next(iter(found.values()))
    assert begin == start
    assert end >= start + length
    before = shown(times(grown), one)
    assert before == {n: t for n, t in found.items() if n < grown}
