import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcripts.accuracy import Said, Turn, align, compare, normalized, wer
from transcripts.words import Span

Words = st.lists(st.sampled_from("abcd"), max_size=12)


def distance(a: list[str], b: list[str]) -> int:
    """Levenshtein's, as the textbook has it."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        before, row = row, [i]
        for j, right in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (left != right)))
    return row[-1]


@given(Words, Words)
def test_an_alignment_has_every_word_once_and_the_fewest_errors(a: list[str], b: list[str]) -> None:
    pairs = align(a, b)
    assert [i for i, _ in pairs if i is not None] == list(range(len(a)))
    assert [j for _, j in pairs if j is not None] == list(range(len(b)))
    errors = sum(i is None or j is None or a[i] != b[j] for i, j in pairs)
    assert errors == distance(a, b)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, WORLD!", ["hello", "world"]),
        ("Mak’st it's", ["mak'st", "it's"]),
        ("È facile: l'aria — perché?", ["è", "facile", "l'aria", "perché"]),
        ("full-featured, 1,000", ["full", "featured", "1", "000"]),
        ("'quoted'", ["quoted"]),
        ("...", []),
    ],
)
def test_only_words_count(text: str, words: list[str]) -> None:
    assert normalized(text) == words


def test_word_error_rate() -> None:
    assert wer("one two three four", "One, two four five") == 0.5
    assert wer("one", "one two three") == 2.0
    assert wer("", "") == 0.0
    assert wer("", "made up") == 1.0


def turn(speaker: str, start: int, end: int, text: str) -> Turn:
    return Turn(speaker, Span(start, end), text)


def said(speaker: str | None, start: int, text: str) -> list[Said]:
    return [
        Said(speaker, Span(start + at * 300, start + at * 300 + 200), word)
        for at, word in enumerate(text.split())
    ]


ROOM = [
    turn("Ada", 0, 2000, "Good evening everybody."),
    turn("Ben", 1500, 2500, "Hi Ada!"),
    turn("Ada", 6000, 7000, "Off we go."),
]


def test_a_perfect_transcript() -> None:
    words = [
        *said("Ada", 100, "good evening everybody"),
        *said("Ben", 1600, "hi Ada"),
        *said("Ada", 6000, "off we go"),
    ]
    found = compare(ROOM, words)
    assert (found.words, found.errors, found.matched, found.rightly_attributed) == (8, 0, 8, 8)
    assert (found.wer, found.right_speaker, found.lost) == (0.0, 1.0, ())


def test_a_lost_turn_is_named() -> None:
    found = compare(ROOM, [*said("Ada", 100, "good evening everybody"), *said("Ben", 1600, "hi")])
    assert found.lost == (ROOM[2],)
    assert found.errors == 4


def test_a_speaker_who_is_missing_altogether_counts() -> None:
    found = compare(ROOM, said("Ada", 100, "good evening everybody"))
    assert found.errors == 5
    assert len(found.lost) == 2


def test_words_given_to_somebody_else_are_wrong() -> None:
    words = [*said("Ada", 100, "good evening everybody hi Ada"), *said("Ada", 6000, "off we go")]
    found = compare(ROOM, words)
    assert (found.matched, found.rightly_attributed) == (8, 6)
    assert found.errors == 4


def test_the_right_word_at_the_wrong_time_is_wrong() -> None:
    words = [*said("Ada", 100, "good evening everybody"), *said("Ada", 9000, "off we go")]
    found = compare(ROOM, words)
    assert (found.matched, found.rightly_attributed) == (6, 3)


def test_text_without_speakers_is_one_stream() -> None:
    words = said(None, 100, "good evening everybody hi off we go")
    found = compare(ROOM, words)
    assert (found.words, found.errors, found.lost) == (8, 1, ())
