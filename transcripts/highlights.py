"""Which words of a cue a query has found: from the positions in its vector."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from transcripts.folding import Token
from transcripts.query import Query, Unit
from transcripts.stemming import Vocabulary, next_cues

Places = Mapping[str, str]
"""Where lexemes stand in a cue, as PostgreSQL writes it: `3A,15`; from 1 on. Beyond its own words
they are those of its speaker's next cue (`stemming.next_cues`)."""

_ENTRY: Final = re.compile("'([^']+)':([0-9A-D,]+)")
_WEIGHTS: Final = str.maketrans("", "", "ABCD")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that was found, or one that was not."""

    text: str
    match: bool


def places_of(vector: str) -> Places:
    """Of a tsvector as PostgreSQL writes it."""
    return dict(_ENTRY.findall(vector))


def positions_of(places: Places, lexeme: str) -> set[int]:
    at = places.get(lexeme)
    return set() if at is None else set(map(int, at.translate(_WEIGHTS).split(",")))


def found_positions(
    query: Query, language: str, words: Vocabulary, places: Places, *, own: int
) -> set[int]:
    """Of the words that are wanted; of a phrase only where they stand side by side.

    Beyond the first `own` words only what begins nowhere in these is found.
    """
    positions: set[int] = set()
    for unit in query.units:
        found = [] if unit.negated else list(_standing(unit, language, words, places))
        here = [at for at in found if at[0] <= own]
        positions.update(*(here or found))
    return positions


def _standing(
    unit: Unit, language: str, words: Vocabulary, places: Places
) -> Iterator[tuple[int, ...]]:
    """The positions of the unit's words, once for each place where it stands."""
    wanted: list[tuple[int, set[int]]] = []
    for at, word in enumerate(unit.words):
        whole = words.lexemes[language, word]
        begun = unit.open and at == len(unit.words) - 1
        there = set() if whole is None else _anywhere(places, whole)
        if begun:
            there |= _begun(word, language, words, places)
        if whole is not None or begun:
            wanted.append((at, there))
    first, starts = wanted[0] if wanted else (0, set())
    for start in starts:
        if all(start - first + at in there for at, there in wanted):
            yield tuple(start - first + at for at, _ in wanted)


def _anywhere(places: Places, lexeme: str) -> set[int]:
    return positions_of(places, lexeme) | positions_of(places, next_cues(lexeme))


def _begun(word: str, language: str, words: Vocabulary, places: Places) -> set[int]:
    beginning = words.lexeme(language, word)
    either = (beginning, next_cues(beginning))
    begun = (positions_of(places, one) for one in places if one.startswith(either))
    whole = (_anywhere(places, one) for one in words.finished[language])
    return set().union(*begun, *whole)


def spans_of(tokens: Sequence[Token], positions: set[int], *, before: int = 0) -> list[Token]:
    """Those at these positions, where `before` words stand in front of them."""
    return [token for at, token in enumerate(tokens, start=before + 1) if at in positions]


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
