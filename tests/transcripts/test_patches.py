"""Edits in order over a track: what they touch, and what they leave alone."""

from dataclasses import replace
from itertools import pairwise
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from tests.transcripts.heard import spoken
from tests.transcripts.test_alignment import TEXTS, tracks
from transcripts.alignment import ordered
from transcripts.patches import (
    Edit,
    Edited,
    Said,
    apply_all,
    locate,
    put,
    text_of,
    within,
)
from transcripts.words import Word

Request = tuple[int, int, str | None, list[int]]
REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 6000),
        st.integers(1, 3000),
        st.none() | TEXTS,
        st.lists(st.integers(0, 6000), max_size=2),
    ),
    max_size=4,
)


def edit(said: list[Said], start_ms: int, end_ms: int, text: str | None, *breaks: int) -> Edit:
    """What somebody asks for who reads `said`."""
    replaced = text_of(said[within(said, start_ms, end_ms)])
    return Edit(uuid4(), start_ms, end_ms, text, breaks, replaced)


def edited(words: list[Word], requests: list[Request]) -> tuple[Edited, list[Edit]]:
    """One request after the other; those for which there is no room are refused."""
    edits: list[Edit] = []
    result = apply_all(words, edits)
    for start, length, text, breaks in requests:
        wanted = edit(result.said, start, start + length, text, *breaks)
        tried = apply_all(words, [*edits, wanted])
        if not tried.conflicts:
            edits, result = [*edits, wanted], tried
    return result, edits


def words_of(result: Edited) -> list[Word]:
    return [s.word for s in result.said]


@given(tracks(), REQUESTS)
def test_words_stay_ordered(words: list[Word], requests: list[Request]) -> None:
    result, _ = edited(ordered(words), requests)
    said = words_of(result)
    assert all(w.start_ms < w.end_ms for w in said)
    assert all(a.end_ms <= b.start_ms for a, b in pairwise(said))


@given(tracks(), REQUESTS)
def test_words_elsewhere_are_untouched(words: list[Word], requests: list[Request]) -> None:
    words = ordered(words)
    result, edits = edited(words, requests)
    ranges = [(e.start_ms, e.end_ms) for e in edits if e.text is not None]
    elsewhere = [w for w in words if not any(a <= w.start_ms < b for a, b in ranges)]
    assert [w for w in words_of(result) if w in elsewhere] == elsewhere
    assert all(not s.edited for s in result.said if s.word in elsewhere)


@given(tracks(), REQUESTS)
def test_words_lie_within_the_track_and_the_edits(
    words: list[Word], requests: list[Request]
) -> None:
    words = ordered(words)
    result, edits = edited(words, requests)
    low = min([w.start_ms for w in words] + [e.start_ms for e in edits], default=0)
    high = max([w.end_ms for w in words] + [e.end_ms for e in edits], default=0)
    assert all(low <= w.start_ms and w.end_ms <= high for w in words_of(result))


@given(tracks(), REQUESTS)
def test_each_edit_goes_on_from_the_one_before(words: list[Word], requests: list[Request]) -> None:
    """So that undoing the last gives exactly what was there before it."""
    words = ordered(words)
    _, edits = edited(words, requests)
    for n, last in enumerate(edits):
        before = apply_all(words, edits[:n])
        after = apply_all(words, edits[: n + 1])
        assert after.said == put(before.said, last, locate(before.said, last))


@given(tracks(), REQUESTS)
def test_the_same_edits_meet_the_same_words_again(
    words: list[Word], requests: list[Request]
) -> None:
    """Another run that hears the same, however it punctuates and times it within its word."""
    words = ordered(words)
    _, edits = edited(words, requests)
    shouted = [replace(w, text=w.text.upper(), confidence=0.1) for w in words]
    assert apply_all(shouted, edits).conflicts == frozenset()


def one(words: list[Word], *made: Edit) -> list[tuple[int, str]]:
    return [(s.word.start_ms, s.word.text) for s in apply_all(words, made).said]


def test_another_run_that_hears_what_was_put_takes_it() -> None:
    made = edit([Said(w) for w in spoken("the see keeps it")], 400, 700, "sea")
    result = apply_all(spoken("the Sea, keeps it"), [made])
    assert not result.conflicts
    assert text_of(result.said) == "the sea keeps it"


def test_another_run_that_hears_something_else_is_a_conflict() -> None:
    made = edit([Said(w) for w in spoken("the see keeps it")], 400, 700, "sea")
    result = apply_all(spoken("the ski keeps it"), [made])
    assert result.conflicts == {made.id}
    assert text_of(result.said) == "the ski keeps it"


def test_another_run_that_times_it_a_little_later_is_found() -> None:
    made = edit([Said(w) for w in spoken("the see keeps it")], 400, 700, "sea")
    result = apply_all(spoken("the see keeps it", 350), [made])
    assert not result.conflicts
    assert text_of(result.said) == "the sea keeps it"


def test_the_nearest_of_equal_words_is_meant() -> None:
    made = edit([Said(w) for w in spoken("no no no")], 400, 700, "yes")
    result = apply_all(spoken("no no no", 90), [made])
    assert text_of(result.said) == "no yes no"


def test_marks_among_words_of_another_run_are_passed_over() -> None:
    made = edit([Said(w) for w in spoken("the see keeps it")], 400, 1100, "sea keeps")
    result = apply_all(spoken("the see – keeps it", 350), [made])
    assert not result.conflicts
    assert text_of(result.said) == "the sea keeps it"


def test_repeated_words_are_found_near_their_place_once() -> None:
    crowd = [Said(Word(n, n + 1, "no", 0.9)) for n in range(4000)]
    made = Edit(uuid4(), 1500, 1501, "yes", (), "no" * 1000)
    place = locate(crowd, made)
    assert (place.start, place.stop) == (1500, 2500)


def test_a_deletion_goes_with_what_another_run_does_not_hear() -> None:
    made = edit([Said(w) for w in spoken("um the sea")], 0, 300, "")
    assert one(spoken("um the sea"), made) == [(400, "the"), (800, "sea")]
    assert not apply_all(spoken("the sea", 400), [made]).conflicts


def test_what_was_filled_in_stays_where_another_run_hears_nothing() -> None:
    made = edit([], 1000, 2000, "hello you")
    assert one([], made) == [(1000, "hello"), (1599, "you")]
    assert apply_all(spoken("well", 1200), [made]).conflicts == {made.id}


def test_breaks_begin_cues_and_forbid_others() -> None:
    words = spoken("one two three four")
    result = apply_all(words, [edit([Said(w) for w in words], 400, 1100, None, 800)])
    assert [s.begins for s in result.said] == [None, True, True, True]
    joined = apply_all(words, [edit([Said(w) for w in words], 400, 1100, None, 400)])
    assert [s.begins for s in joined.said] == [None, True, False, True]


def test_kept_words_keep_their_breaks() -> None:
    words = spoken("one two three four")
    first = edit([Said(w) for w in words], 0, 1600, None, 0, 800)
    second = edit(apply_all(words, [first]).said, 400, 700, "2")
    result = apply_all(words, [first, second])
    assert [s.begins for s in result.said] == [True, False, True, False]
    assert [s.edited for s in result.said] == [False, True, False, False]


def test_new_words_in_a_cue_that_was_cut_by_hand_stay_in_it() -> None:
    words = spoken("one two three four")
    first = edit([Said(w) for w in words], 400, 1100, None, 400)
    second = edit(apply_all(words, [first]).said, 400, 1100, "2 and 3")
    result = apply_all(words, [first, second])
    assert [s.begins for s in result.said] == [None, True, False, False, True]


def test_finds_its_place_among_other_edits() -> None:
    said = [Said(w) for w in spoken("the see keeps it")]
    made: list[Edit] = []
    for start, text in ((400, "deep sea"), (0, "The")):
        made.append(edit(said, start, start + 300, text))
        said = put(said, made[-1], locate(said, made[-1]))
    assert text_of(said) == "The deep sea keeps it"
    assert all(isinstance(e.id, UUID) for e in made)
