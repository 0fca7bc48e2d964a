"""From what people type to words, and to what PostgreSQL is asked."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcripts.folding import fold, spans
from transcripts.highlights import found_positions, marked, sought_in, spans_of
from transcripts.query import QueryInvalid, Unit, parse, render
from transcripts.stemming import Vocabulary, lexeme, neighbors, platform_key

PLATFORM = UUID(int=0)


def words_of(text: str) -> list[str]:
    return [token.word for token in fold(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Città, L’AMICO perché!", ["citta", "l", "amico", "perche"]),
        ("Straße Ærø œuvre", ["strasse", "aero", "oeuvre"]),
        ("всё мой ми́р", ["все", "мой", "мир"]),
        ("cafe\u0301 re\u0301sume\u0301", ["cafe", "resume"]),
        ("東京タワー", list("東京タワー")),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("한국어 말", ["한국어", "말"]),
        ("snake_case 3.14", ["snake", "case", "3", "14"]),
        ("", []),
    ],
)
def test_folds(text: str, words: list[str]) -> None:
    assert words_of(text) == words


TEXTS = st.text("aéÅßæﬁ_-'’ .1٣ёи\u0306\u0301नमस्ते東ア한ไทย\0\n\u200d😀", max_size=80)


@given(TEXTS)
def test_every_word_stands_where_it_says(text: str) -> None:
    tokens = fold(text)
    assert spans(text) == [(token.start, token.end) for token in tokens]
    for token in tokens:
        assert words_of(text[token.start : token.end]) == [token.word]


@given(TEXTS, st.sets(st.integers(1, 20)))
def test_pieces_are_the_text(text: str, positions: set[int]) -> None:
    pieces = marked(text, spans_of(spans(text), positions))
    assert "".join(piece.text for piece in pieces) == text


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("sea boat", [[Unit(("sea",)), Unit(("boat",))]]),
        ('"Open Sea"', [[Unit(("open", "sea"))]]),
        ("“open sea", [[Unit(("open", "sea"))]]),
        ("well-known", [[Unit(("well", "known"))]]),
        ("sea -boat", [[Unit(("sea",)), Unit(("boat",), negated=True)]]),
        ('sea -"a boat"', [[Unit(("sea",)), Unit(("a", "boat"), negated=True)]]),
        ("sea OR boat", [[Unit(("sea",))], [Unit(("boat",))]]),
        ("or sea or or -boat", [[Unit(("sea",))]]),
        ("sea - boat", [[Unit(("sea",)), Unit(("boat",))]]),
    ],
)
def test_parses(text: str, units: list[list[Unit]]) -> None:
    assert [list(one) for one in parse(text).alternatives] == units


def test_only_a_word_that_is_still_typed_is_open() -> None:
    assert parse("sea boa", prefix=True).units[-1] == Unit(("boa",), open=True)
    assert parse("sea boat ", prefix=True).units[-1] == Unit(("boat",))
    assert parse("sea -boa", prefix=True).units[-1] == Unit(("boa",), negated=True)


@pytest.mark.parametrize("text", ["", " ", "-sea", '""', "or", "-sea or -boat", "a " * 17])
def test_refuses(text: str) -> None:
    with pytest.raises(QueryInvalid):
        parse(text)


def vocabulary(*said: str, stop: str = "") -> Vocabulary:
    words = {word.partition(".")[2] for word in said} | {"the", "never"}
    languages = ["en", "it"]
    return Vocabulary(
        PLATFORM,
        languages,
        {(x, w): None if w == stop else lexeme(PLATFORM, x, w) for x in languages for w in words},
        frozenset(lexeme(PLATFORM, *one.split(".")) for one in said),
    )


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("sea", "('en.sea') | ('it.sea')"),
        ("boat", "('en.boat')"),
        ("sea never", ""),
        ("boat -never", "('en.boat')"),
        ("boat -sea", "('en.boat' & !('en.sea'))"),
        ('"sea the boat"', "('en.sea' <2> ('en.boat' | '~en.boat'))"),
        (
            "sea boat",
            "((('en.sea' | '~en.sea')) & (('en.boat' | '~en.boat')) & ('en.sea' | 'en.boat'))",
        ),
        ("the", ""),
    ],
)
def test_renders_what_was_said(text: str, asked: str) -> None:
    known = vocabulary("en.sea", "it.sea", "en.boat", stop="the")
    assert render(parse(text), known).matches.replace(platform_key(PLATFORM), "") == asked


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sea boat", "('en.sea' | '~en.sea') & ('en.boat' | '~en.boat') & ('en.sea' | 'en.boat')"),
        ('"sea boat"', "'en.sea' & ('en.boat' | '~en.boat') & '^sb'"),
        ('"sea the boat"', "'en.sea' & ('en.boat' | '~en.boat')"),
        (
            'dog "sea boat"',
            "('en.dog' | '~en.dog') & ('en.sea' | '~en.sea') & ('en.boat' | '~en.boat')"
            " & ('^sb' | '~en.sea') & ('en.dog' | 'en.sea')",
        ),
    ],
)
def test_asks_the_index_for_neighbors(text: str, words: str) -> None:
    known = vocabulary("en.sea", "en.boat", "en.dog", stop="the")
    pair = neighbors(lexeme(PLATFORM, "en", "sea"), lexeme(PLATFORM, "en", "boat"))
    rendered = render(parse(text), known).words.replace(pair, "AAAA^sb")
    assert rendered.replace(platform_key(PLATFORM), "") == f"({words})"


def test_marks_a_phrase_only_where_it_stands() -> None:
    known = vocabulary("en.sea", "en.boat")
    vector = "'AAAA#a1' 'AAAAen.boat':3A,7A 'AAAAen.sea':2A 'AAAA~en.sea':9"
    phrase, word = (sought_in(parse(text), "en", known) for text in ('"sea boat"', "sea"))
    assert found_positions(phrase, vector, own=8) == {2, 3}
    assert found_positions(word, vector, own=8) == {2}
    assert found_positions(word, vector, own=1) == {2, 9}


def test_letters_without_spaces_are_bounded_and_said_twice_they_are_one() -> None:
    assert parse("東" * 32).units[0].letters == 32
    with pytest.raises(QueryInvalid, match="32 letters"):
        parse(" ".join(["東" * 11] * 2 + ["京" * 22]))
    assert parse("東京 東京 or 東京") == parse("東京 or 東京")
