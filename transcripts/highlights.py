"""Which words of a cue a query has found: from the positions in its vector."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from transcripts.folding import Token, fold
from transcripts.query import Query, Unit
from transcripts.stemming import Lexemes, lexeme

_ENTRY: Final = re.compile(r"'([^']+)':([0-9A-D,]+)")

Places = Mapping[str, Sequence[int]]
"""Positions by lexeme, from 1 on."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that was found, or one that was not."""

    text: str
    match: bool


def places_of(vector: str) -> Places:
    """Of a tsvector as PostgreSQL writes it."""
    return {
        lexeme: [int(at.rstrip("ABCD")) for at in places.split(",")]
        for lexeme, places in _ENTRY.findall(vector)
    }


def found_positions(
    query: Query, language: str, lexemes: Lexemes, places: Places, *, own: int
) -> set[int]:
    """Of the words that are wanted; of a phrase only where they stand side by side.

    Beyond the first `own` words only of what begins nowhere in these.
    """
    positions: set[int] = set()
    for unit in query.units:
        found = [] if unit.negated else list(_places_of(unit, language, lexemes, places))
        here = [at for at in found if at[0] <= own]
        positions.update(*(here or found))
    return positions


def _places_of(
    unit: Unit, language: str, lexemes: Lexemes, places: Places
) -> Iterator[tuple[int, ...]]:
    """The positions of the unit's words, once for each place where it stands."""
    wanted = [
        (at, frozenset(_places_of_word(unit, at, language, lexemes, places)))
        for at, word in enumerate(unit.words)
        if lexemes[language, word] is not None or (unit.open and at == len(unit.words) - 1)
    ]
    first, starts = wanted[0] if wanted else (0, frozenset[int]())
    for start in starts:
        if all(start - first + at in there for at, there in wanted):
            yield tuple(start - first + at for at, _ in wanted)


def _places_of_word(
    unit: Unit, at: int, language: str, lexemes: Lexemes, places: Places
) -> Iterator[int]:
    word = unit.words[at]
    whole = lexemes[language, word]
    if whole is not None:
        yield from places.get(whole, ())
    if unit.open and at == len(unit.words) - 1:
        begun = lexeme(language, word)
        for known, there in places.items():
            if known.startswith(begun):
                yield from there


def spans_of(text: str, positions: set[int], *, before: int = 0) -> list[Token]:
    """Of the words at these positions, where `before` words stand in front of the text."""
    return [token for at, token in enumerate(fold(text), start=before + 1) if at in positions]


def marked(text: str, spans: Sequence[Token]) -> list[Piece]:
    """The whole text in pieces. Matches with nothing but blanks between become one."""
    pieces: list[Piece] = []
    end = 0
    for span in spans:
        between = text[end : span.start]
        if pieces and pieces[-1].match and not between.strip():
            pieces[-1] = Piece(pieces[-1].text + between + text[span.start : span.end], True)
        else:
            pieces += [Piece(between, False), Piece(text[span.start : span.end], True)]
        end = span.end
    return [piece for piece in (*pieces, Piece(text[end:], False)) if piece.text]
