"""Which words of a cue a query has found: from the positions in its vector."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transcripts.folding import Token
from transcripts.query import Query, Unit
from transcripts.stemming import Vocabulary


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that was found, or one that was not."""

    text: str
    match: bool


def found_positions(
    query: Query, language: str, words: Vocabulary, vector: str, *, own: int
) -> set[int]:
    """From 1 on, of the words that are wanted; of a phrase only where they stand side by side.

    `vector` is a tsvector as PostgreSQL writes it. Beyond its first `own` words only what begins
    nowhere in these is found.
    """
    positions: set[int] = set()
    for unit in query.units:
        found = [] if unit.negated else list(_places(unit, language, words, vector))
        here = [at for at in found if at[0] <= own]
        positions.update(*(here or found))
    return positions


def _places(unit: Unit, language: str, words: Vocabulary, vector: str) -> Iterator[tuple[int, ...]]:
    """The positions of the unit's words, once for each place where it stands."""
    wanted: list[tuple[int, set[int]]] = []
    for at, word in enumerate(unit.words):
        whole = words.lexemes[language, word]
        begun = unit.open and at == len(unit.words) - 1
        if whole is not None or begun:
            there = set() if whole is None else positions_of(vector, whole)
            if begun:
                there |= positions_of(vector, words.lexeme(language, word), begun=True)
                there.update(*(positions_of(vector, one) for one in words.finished[language]))
            wanted.append((at, there))
    first, starts = wanted[0] if wanted else (0, set())
    for start in starts:
        if all(start - first + at in there for at, there in wanted):
            yield tuple(start - first + at for at, _ in wanted)


def positions_of(vector: str, lexeme: str, *, begun: bool = False) -> set[int]:
    """Of a word, or of all that begin with it."""
    name = re.escape(lexeme) + ("[^']*" if begun else "")
    entries = re.findall(f"'{name}':([0-9A-D,]+)", vector)
    return {int(at.rstrip("ABCD")) for entry in entries for at in entry.split(",")}


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
