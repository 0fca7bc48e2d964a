from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcripts.cues import (
    LINE,
    LONGEST_MS,
    PAUSE_MS,
    SHORTEST_MS,
    Hint,
    Piece,
    lines,
    pieces,
    width,
)
from transcripts.words import Word, joined

Texts = st.sampled_from(
    ["a", "room", "that", "vanishes,", "tomorrow.", "registrazione", "録音は", "消えない。", "é"]
)
Spoken = st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 900), Texts), max_size=60)


def words(spoken: Sequence[tuple[int, int, str]], start_ms: int = 0) -> list[Word]:
    """Each (silence before it, how long it lasts, text)."""
    found, at = [], start_ms
    for silence_ms, length_ms, text in spoken:
        at += silence_ms
        found.append(Word(at, at + length_ms, text, 0.5))
        at += length_ms
    return found


def steady(text: str, *, each_ms: int = 300) -> list[Word]:
    """Twenty words in six seconds and more, without a breath."""
    return words([(0, each_ms, word) for word in text.split()])


def texts(found: Sequence[Piece]) -> list[str]:
    return [piece.text for piece in found]


@given(Spoken)
def test_cues_hold_every_word_once_in_order(spoken: list[tuple[int, int, str]]) -> None:
    said = words(spoken)
    found = pieces(said)
    assert [word for piece in found for word in piece.words] == said
    for piece in found:
        assert joined(piece.text.split("\n")) == joined(word.text for word in piece.words)


@given(Spoken)
def test_cues_are_readable(spoken: list[tuple[int, int, str]]) -> None:
    found = pieces(words(spoken))
    for piece in found:
        rows = piece.text.split("\n")
        assert len(rows) <= 2
        assert all(row and width(row) <= LINE for row in rows)
        assert 0 < piece.end_ms - piece.start_ms <= LONGEST_MS
        assert 0 <= piece.confidence <= 1
    for piece, following in pairwise(found):
        short = piece.end_ms - piece.start_ms < SHORTEST_MS
        assert not short or piece.end_ms >= following.start_ms
        assert piece.end_ms <= max(following.start_ms, piece.start_ms + 1)


@given(Spoken, st.data())
def test_people_decide_where_cues_begin(
    spoken: list[tuple[int, int, str]], data: st.DataObject
) -> None:
    said = words(spoken)
    some = st.lists(st.sampled_from([True, False, None]), min_size=len(said), max_size=len(said))
    hints: list[Hint] = data.draw(some)
    found = pieces(said, hints)
    assert [word for piece in found for word in piece.words] == said
    begins = {sum(len(p.words) for p in found[:at]) for at in range(len(found))}
    for at in range(1, len(said)):
        assert hints[at] is None or hints[at] == (at in begins)


def test_nothing_said_gives_no_cue() -> None:
    assert pieces([]) == []


def test_a_cue_ends_with_the_sentence() -> None:
    text = "We met at the harbor and talked all night about it. Then everyone went home one by one."
    assert texts(pieces(steady(text))) == [
        "We met at the harbor and\ntalked all night about it.",
        "Then everyone went home one by one.",
    ]


def test_a_sentence_that_is_too_long_begins_a_cue() -> None:
    text = (
        "Hi, Ada. I'm Ben. Last month I hosted the best conversation of my life "
        "and the next morning it was gone. Every single word."
    )
    assert [piece.words[-1].text for piece in pieces(steady(text, each_ms=330))] == [
        "Ben.",
        "life",
        "word.",
    ]


def test_a_long_sentence_breaks_at_a_clause() -> None:
    text = (
        "When the talking stops and the people leave the room, "
        "the recording stays where anyone can find it again"
    )
    assert [piece.words[-1].text for piece in pieces(steady(text))] == ["room,", "again"]


def test_a_breath_is_better_than_anywhere() -> None:
    said = words([(400 if at == 11 else 0, 250, f"word{at:02}") for at in range(20)])
    assert [len(piece.words) for piece in pieces(said)] == [11, 9]


def test_short_sentences_share_a_cue_and_pauses_part_them() -> None:
    said = words([(0, 200, "Oh"), (0, 200, "no."), (200, 200, "That"), (0, 300, "hurts!")])
    assert texts(pieces(said)) == ["Oh no. That hurts!"]
    late = words([(0, 200, "Oh"), (PAUSE_MS, 200, "no.")])
    assert texts(pieces(late)) == ["Oh", "no."]


def test_a_short_cue_is_shown_for_a_second_unless_the_next_begins() -> None:
    one, two = pieces(words([(0, 200, "Yes."), (5000, 200, "No.")]))
    assert (one.start_ms, one.end_ms) == (0, 1000)
    assert (two.start_ms, two.end_ms) == (5200, 6200)
    first, _ = pieces(words([(0, 200, "Yes."), (100, 200, "No.")]), [None, True])
    assert first.end_ms == 300


def test_a_word_that_lasts_too_long_is_taken_away_in_time() -> None:
    (only,) = pieces(words([(0, 20_000, "Sooo")]))
    assert only.end_ms == LONGEST_MS


def test_whatever_a_person_writes_is_cut_soon_enough() -> None:
    said = steady("room " * 3000)
    (only,) = pieces(said, [False] * len(said))
    assert len(only.words) == 3000


def test_the_confidence_is_the_mean() -> None:
    (only,) = pieces([Word(0, 500, "good", 0.9), Word(500, 900, "evening", 0.6)])
    assert only.confidence == 0.75


def test_a_language_without_spaces_is_cut_between_its_words() -> None:
    said = words([(0, 400, word) for word in ["今日は", "とても", "良い", "天気です。"] * 6])
    found = pieces(said)
    assert all(" " not in piece.text for piece in found)
    assert all(piece.text.endswith("。") for piece in found)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("short enough", ["short enough"]),
        (
            "this is a line that is a little too long for one",
            ["this is a line that is a", "little too long for one"],
        ),
        (
            "it is here, and it stays for whoever comes late",
            ["it is here,", "and it stays for whoever comes late"],
        ),
        ("x" * 50, ["x" * 42, "x" * 8]),
        ("go to " + "x" * 80 + " now", ["go to", "x" * 42, "x" * 38 + " now"]),
    ],
)
def test_lines(text: str, cut: list[str]) -> None:
    assert lines(text.split()) == cut


@given(st.lists(st.text("abc é録.", min_size=1, max_size=120).map(str.strip).filter(bool)))
def test_no_line_is_ever_too_wide(some: list[str]) -> None:
    plain = ["".join(text.split()) for text in some]
    found = lines(plain) if plain else []
    assert all(width(line) <= LINE for line in found)
    assert "".join(found).replace(" ", "") == "".join(plain)


def test_east_asian_characters_are_twice_as_wide() -> None:
    assert (width("room"), width("録音"), width("é")) == (4, 4, 1)
