"""Corrected text takes the times of what it replaces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transcripts.heard import spoken
from transcripts.alignment import NoRoomError, align, normal, ordered, words_of
from transcripts.words import Word

VOCABULARY = ["the", "sea", "keeps", "Keeps", "what", "it", "is", "given.", "-", "niña", "wreck"]
TEXTS = st.lists(st.sampled_from(VOCABULARY), max_size=12).map(" ".join)


@st.composite
def tracks(draw: st.DrawFn) -> list[Word]:
    """Words as an engine may time them: some of no length, some overlapping."""
    at, words = draw(st.integers(0, 1000)), []
    for text in draw(st.lists(st.sampled_from(VOCABULARY), max_size=12)):
        length = draw(st.integers(0, 500))
        words.append(Word(at, at + length, text, draw(st.floats(0, 1))))
        at += draw(st.integers(0, 900))
    return words


def times(words: list[Word]) -> list[tuple[int, int, str]]:
    return [(w.start_ms, w.end_ms, w.text) for w in words]


@given(tracks())
def test_ordered_words_follow_each_other(words: list[Word]) -> None:
    placed = ordered(words)
    assert [w.text for w in placed] == [w.text for w in words]
    assert all(w.start_ms < w.end_ms for w in placed)
    assert all(a.end_ms <= b.start_ms for a, b in pairwise(placed))
    assert ordered(placed) == placed


@given(tracks(), TEXTS, st.integers(0, 400), st.integers(0, 400))
def test_aligned_words_follow_each_other_in_their_room(
    words: list[Word], text: str, before: int, after: int
) -> None:
    words = ordered(words)
    start = max(0, words[0].start_ms - before) if words else 0
    end = (words[-1].end_ms if words else start) + after
    tokens = text.split()
    try:
        new = align(words, text, start, end)
    except NoRoomError:
        assert end - start < len(tokens)
        return
    assert [w.text for w in new] == tokens
    assert all(w.start_ms < w.end_ms for w in new)
    assert all(a.end_ms <= b.start_ms for a, b in pairwise(new))
    assert all(start <= w.start_ms and w.end_ms <= end for w in new)
    assert set(new) <= set(words) or any(w.confidence == 1 for w in new)


@given(tracks())
def test_the_same_text_changes_nothing(words: list[Word]) -> None:
    words = ordered(words)
    end = words[-1].end_ms if words else 0
    start = words[0].start_ms if words else 0
    assert align(words, " ".join(w.text for w in words), start, end) == words


def test_changed_words_keep_their_times() -> None:
    words = spoken("the see keeps")
    assert align(words, "The sea keeps", 0, 1100) == [
        Word(0, 300, "The", 1.0),
        Word(400, 700, "sea", 1.0),
        words[2],
    ]


def test_added_words_share_the_room_between() -> None:
    words = [Word(0, 300, "the", 0.9), Word(1300, 1600, "sea", 0.9)]
    assert times(align(words, "the deep blue sea", 0, 2000)) == [
        (0, 300, "the"),
        (300, 800, "deep"),
        (800, 1300, "blue"),
        (1300, 1600, "sea"),
    ]


def test_without_room_the_word_before_gives_of_its_own() -> None:
    words = [Word(0, 300, "the", 0.9), Word(300, 600, "sea", 0.9)]
    new = align(words, "the big sea", 0, 600)
    assert times(new) == [(0, 150, "the"), (150, 300, "big"), (300, 600, "sea")]
    assert new[2] is words[1]


def test_without_room_before_the_first_the_first_gives_of_its_own() -> None:
    words = [Word(0, 300, "see", 0.9), Word(300, 600, "it", 0.9)]
    assert times(align(words, "to see it", 0, 600)) == [
        (0, 128, "to"),
        (128, 300, "see"),
        (300, 600, "it"),
    ]


def test_words_for_silence_share_it() -> None:
    assert times(align([], "one two", 1000, 2000)) == [(1000, 1500, "one"), (1500, 2000, "two")]


def test_refuses_more_words_than_milliseconds() -> None:
    with pytest.raises(NoRoomError):
        align([], "a b c", 0, 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Well-known!", "well known"), ("L\u2019acqua", "l'acqua"), ("\ufb01ne", "FINE"), ("...", "")],
)
def test_runs_agree_however_they_punctuate(one: str, other: str) -> None:
    assert normal(one) == normal(other)


def test_scripts_without_spaces_are_timed_by_the_character() -> None:
    assert words_of("海が静か。 Well, then") == ["海", "が", "静", "か。", "Well,", "then"]
    words = [Word(0, 300, "海", 0.9), Word(300, 600, "が", 0.9)]
    assert times(align(words, "海は", 0, 600)) == [(0, 300, "海"), (300, 600, "は")]


def test_one_word_over_and_over_is_not_matched_in_cubic_time() -> None:
    count = 2000
    words = [Word(n * 50, n * 50 + 50, "一", 0.9) for n in range(count)]
    new = align(words, "先" + "一二" * (count // 2), 0, count * 50)
    assert len(new) == count + 1
    assert all(a.end_ms == b.start_ms for a, b in pairwise(new))


def test_what_stays_before_and_after_a_repetition_keeps_its_times() -> None:
    words = spoken("so " + "no " * 300 + "well then")
    new = align(words, "so " + "no yes " * 200 + "well then", 0, words[-1].end_ms)
    assert new[:2] == words[:2]
    assert new[-2:] == words[-2:]
