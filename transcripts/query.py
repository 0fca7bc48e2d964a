"""What people type into a search box, and what PostgreSQL is asked for it.

`sea boat` both, `"sea boat"` side by side, `sea or boat` either, `-boat` without. A tsquery has
one branch a language, each with that language's stems. What it finds has a word (for a phrase:
the first one) among a cue's own words, not only among those it shares with the next cue.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.errors import Invalid
from transcripts.folding import fold
from transcripts.stemming import Lexemes, lexeme

MOST_CHARS: Final = 300
MOST_WORDS: Final = 16

_CHUNK: Final = re.compile(r'(-?)"([^"]*)(?:"|$)|(\S+)')
_QUOTES: Final = str.maketrans("“”„‟«»", '""""""')


class QueryInvalid(Invalid):
    code = "query_invalid"
    title = "This cannot be searched for"


@dataclass(frozen=True, slots=True)
class Unit:
    """Words side by side; most often one."""

    words: tuple[str, ...]
    negated: bool = False
    open: bool = False
    """The last word may go on: it is still being typed."""


@dataclass(frozen=True, slots=True)
class Query:
    """Any of the alternatives, of which each wants all its units."""

    alternatives: tuple[tuple[Unit, ...], ...]

    @property
    def words(self) -> frozenset[str]:
        return frozenset(word for unit in self.units for word in unit.words)

    @property
    def units(self) -> tuple[Unit, ...]:
        return tuple(unit for units in self.alternatives for unit in units)


@dataclass(frozen=True, slots=True)
class TsQuery:
    """`matches` decides what is found, `ranks` how well it fits. Both empty: nothing can be."""

    matches: str
    ranks: str


def parse(text: str, *, prefix: bool = False) -> Query:
    """Raises QueryInvalid when no word is wanted, or too many are."""
    alternatives: list[list[Unit]] = [[]]
    for unit in _units(text):
        if unit is None:
            alternatives.append([])
        else:
            alternatives[-1].append(unit)
    wanted = tuple(tuple(units) for units in alternatives if any(not u.negated for u in units))
    query = Query(_with_open_end(wanted) if prefix and not text[-1:].isspace() else wanted)
    if not wanted:
        raise QueryInvalid("Name at least one word to find.")
    if sum(len(unit.words) for unit in query.units) > MOST_WORDS:
        raise QueryInvalid(f"Search for at most {MOST_WORDS} words.")
    return query


def _units(text: str) -> Iterator[Unit | None]:
    """None for each `or`."""
    for minus, quoted, bare in _CHUNK.findall(text.translate(_QUOTES)):
        if bare.lower() == "or":
            yield None
            continue
        words = tuple(token.word for token in fold(quoted or bare))
        if words:
            yield Unit(words, negated=bool(minus) or bare.startswith("-"))


def _with_open_end(alternatives: tuple[tuple[Unit, ...], ...]) -> tuple[tuple[Unit, ...], ...]:
    if not alternatives or alternatives[-1][-1].negated:
        return alternatives
    *others, last = alternatives[-1]
    return (*alternatives[:-1], (*others, replace(last, open=True)))


def render(query: Query, languages: Sequence[str], lexemes: Lexemes) -> TsQuery:
    """`lexemes` has every word of the query in each of the languages (`transcripts.stemming`)."""
    branches = [
        branch
        for language in languages
        for units in query.alternatives
        if (branch := _branch(units, language, lexemes)) is not None
    ]
    return TsQuery(
        matches=" | ".join(f"({branch.matches})" for branch in branches),
        ranks=" | ".join(f"({branch.ranks})" for branch in branches),
    )


def _branch(units: Sequence[Unit], language: str, lexemes: Lexemes) -> TsQuery | None:
    """Of one language; None when all its words are stop words there."""
    written = [(unit, _written(unit, language, lexemes)) for unit in units]
    wanted = [two for unit, two in written if two is not None and not unit.negated]
    if not wanted:
        return None
    unwanted = [f"!({two.matches})" for unit, two in written if two is not None and unit.negated]
    ranks = " & ".join(two.ranks for two in wanted)
    own = " | ".join(two.matches for two in wanted)
    found = own if len(wanted) == 1 else f"{ranks} & ({own})"
    return TsQuery(" & ".join([found, *unwanted]), ranks)


def _written(unit: Unit, language: str, lexemes: Lexemes) -> TsQuery | None:
    """`matches`: begins with a word of the cue's own. None for nothing but stop words."""
    kept = [(at, known) for at, word in enumerate(unit.words) if (known := lexemes[language, word])]
    terms = [(at, f"'{known}'") for at, known in kept]
    if unit.open:
        stem = terms.pop()[1] if kept and kept[-1][0] == len(unit.words) - 1 else None
        terms.append((len(unit.words) - 1, _open(language, unit.words[-1], stem)))
    if not terms:
        return None
    return TsQuery(_side_by_side(terms, first="A"), _side_by_side(terms, first=""))


def _open(language: str, word: str, stem: str | None) -> str:
    """A word that has only begun, or is whole by now."""
    begun = f"'{lexeme(language, word)}':*"
    return begun if stem is None else f"({begun} | {stem})"


def _side_by_side(terms: Sequence[tuple[int, str]], *, first: str) -> str:
    (before, head), *rest = terms
    text = _label(head, first) if first else head
    for at, term in rest:
        text += f" <{at - before}> {term}"
        before = at
    return text


def _label(term: str, weight: str) -> str:
    """The weight goes behind each lexeme of the term: `'en.boat':A`, `'en.boa':*A`."""
    return re.sub(r"('[^']+')(:\*)?", lambda m: f"{m[1]}{m[2] or ':'}{weight}", term)
