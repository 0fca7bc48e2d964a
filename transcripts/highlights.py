"""Which words of a cue a query has found: from the positions in its vector."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transcripts.folding import Span
from transcripts.query import Query, Unit
from transcripts.stemming import Vocabulary, next_cues


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that was found, or one that was not."""

    text: str
    match: bool


@dataclass(frozen=True, slots=True)
class Sought:
    """A word of a phrase, which stands at `place` in it: any of these lexemes or beginnings."""

    place: int
    lexemes: Sequence[str]
    beginnings: Sequence[str] = ()

    def positions(self, vector: str) -> set[int]:
        """In a cue. Beyond its own words they are those of its speaker's next cue."""
        texts = [at for lexeme in self.lexemes if (at := _places(vector, lexeme))]
        for beginning in self.beginnings:
            texts += _places_of_begun(vector, beginning)
        return {int(at) for text in texts for at in text.replace("A", "").split(",")}


def positions_of(vector: str, lexeme: str) -> set[int]:
    return Sought(0, [lexeme]).positions(vector)


def _places(vector: str, lexeme: str) -> str:
    """As PostgreSQL writes a tsvector: `3A,15` of `'en.boat':3A,15 'en.sea':2A`, from 1 on."""
    _, found, after = vector.partition(f"'{lexeme}':")
    return after.partition(" ")[0] if found else ""


def _places_of_begun(vector: str, beginning: str) -> Iterator[str]:
    _, *entries = vector.split(f"'{beginning}")
    return (entry.partition("':")[2].partition(" ")[0] for entry in entries)


def sought_in(query: Query, language: str, words: Vocabulary) -> list[list[Sought]]:
    """What is wanted in a cue of the language: each unit's words."""
    units = [_of_unit(unit, language, words) for unit in query.units if not unit.negated]
    return [unit for unit in units if unit]


def _of_unit(unit: Unit, language: str, words: Vocabulary) -> list[Sought]:
    """But its stop words."""
    sought: list[Sought] = []
    for place, word in enumerate(unit.words):
        whole = words.lexemes[language, word]
        lexemes = [] if whole is None else [whole]
        beginnings: list[str] = []
        if unit.open and place == len(unit.words) - 1:
            beginnings = _anywhere([words.lexeme(language, word)])
            lexemes += words.finished[language]
        if lexemes or beginnings:
            sought.append(Sought(place, _anywhere(lexemes), beginnings))
    return sought


def _anywhere(lexemes: Sequence[str]) -> list[str]:
    return [*lexemes, *map(next_cues, lexemes)]


def found_positions(wanted: Sequence[Sequence[Sought]], vector: str, *, own: int) -> set[int]:
    """Of the words that are wanted; of a phrase only where they stand side by side.

    Beyond the first `own` words only what begins nowhere in these is found.
    """
    positions: set[int] = set()
    for unit in wanted:
        found = list(_standing(unit, vector))
        here = [at for at in found if at[0] <= own]
        positions.update(*(here or found))
    return positions


def _standing(unit: Sequence[Sought], vector: str) -> Iterator[tuple[int, ...]]:
    """The positions of the unit's words, once for each place where it stands."""
    if len(unit) == 1:
        yield from ((at,) for at in unit[0].positions(vector))
        return
    there = [(word.place - unit[0].place, word.positions(vector)) for word in unit]
    for start in there[0][1]:
        if all(start + place in positions for place, positions in there):
            yield tuple(start + place for place, _ in there)


def spans_of(spans: Sequence[Span], positions: set[int], *, before: int = 0) -> list[Span]:
    """Those at these positions, where `before` words stand in front of them."""
    last = before + len(spans)
    return [spans[at - before - 1] for at in sorted(positions) if before < at <= last]


def marked(text: str, spans: Sequence[Span]) -> list[Piece]:
    """The whole text in pieces. Matches with nothing but blanks between become one."""
    pieces: list[Piece] = []
    at = 0
    for start, end in spans:
        between = text[at:start]
        if pieces and pieces[-1].match and not between.strip():
            pieces[-1] = Piece(pieces[-1].text + text[at:end], True)
        else:
            pieces += [Piece(between, False), Piece(text[start:end], True)]
        at = end
    return [piece for piece in (*pieces, Piece(text[at:], False)) if piece.text]
