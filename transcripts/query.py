"""What people type into a search box, and what PostgreSQL is asked for it.

`sea boat` both, `"sea boat"` side by side, `sea or boat` either, `-boat` without. A tsquery has
one branch a language, each with that language's stems. What it finds has a word (for a phrase:
the first one) among a cue's own words. The others may be those that the next cue begins with,
which are lexemes of their own: so the index alone knows what a single word finds.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from core.errors import Invalid
from transcripts.folding import fold, is_spaceless
from transcripts.stemming import Vocabulary, neighbors, next_cues

MOST_CHARS: Final = 300
MOST_WORDS: Final = 16
MOST_LETTERS: Final = 32
"""Of scripts without spaces, in which every letter is looked for."""

_CHUNK: Final = re.compile(r'(-?)"([^"]*)(?:"|$)|(\S+)')
_LEXEME: Final = re.compile("'([^']+)'")
_QUOTES: Final = str.maketrans("“”„‟«»", '""""""')


Terms = list[tuple[int, str]]
"""Of a unit: words as PostgreSQL is asked for them, with their places in the phrase."""


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

    @property
    def letters(self) -> int:
        return sum(map(is_spaceless, self.words))

    @property
    def counted(self) -> int:
        """Words, of which letters in a row that need no spaces are one."""
        runs = groupby(self.words, key=is_spaceless)
        return sum(1 if letters else len(list(words)) for letters, words in runs)


@dataclass(frozen=True, slots=True)
class Query:
    """Any of the alternatives, of which each wants all its units."""

    alternatives: tuple[tuple[Unit, ...], ...]

    @property
    def words(self) -> frozenset[str]:
        return frozenset(word for unit in self.units for word in unit.words)

    @property
    def wanted_words(self) -> frozenset[str]:
        return frozenset(w for unit in self.units if not unit.negated for w in unit.words)

    @property
    def begun(self) -> str | None:
        """The word that is still being typed."""
        return next((unit.words[-1] for unit in self.units if unit.open), None)

    @property
    def reaches_over(self) -> bool:
        """Some of what it wants may stand in the speaker's next cue."""
        return any(len(units) > 1 or len(units[0].words) > 1 for units in self._wanted)

    @property
    def side_by_side(self) -> bool:
        return all(any(len(unit.words) > 1 for unit in units) for units in self._wanted)

    @property
    def _wanted(self) -> list[list[Unit]]:
        return [[unit for unit in units if not unit.negated] for units in self.alternatives]

    @property
    def units(self) -> tuple[Unit, ...]:
        return tuple(unit for units in self.alternatives for unit in units)


@dataclass(frozen=True, slots=True)
class TsQuery:
    """`matches` decides what is found, `ranks` how well it fits. Both empty: nothing can be."""

    matches: str
    ranks: str
    words: str
    """What the index can tell of `matches`: that all words are there, and of a phrase that its
    first two stand side by side."""

    counted: str
    """The same with what a word begins with in place of each that it may become: PostgreSQL
    takes rare words for more common than they are."""

    side_by_side: bool = False
    """Each alternative wants a phrase."""

    begun: bool = False
    """A word may go on in more ways than can be named."""


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
    if sum(unit.counted for unit in query.units) > MOST_WORDS:
        raise QueryInvalid(f"Search for at most {MOST_WORDS} words.")
    if sum(unit.letters for unit in query.units) > MOST_LETTERS:
        raise QueryInvalid(f"Search for at most {MOST_LETTERS} letters of such a script.")
    return Query(tuple(tuple(dict.fromkeys(units)) for units in query.alternatives))


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


def render(query: Query, vocabulary: Vocabulary) -> TsQuery:
    """Only with lexemes that were ever said: others would spoil what PostgreSQL estimates."""
    branches = [
        branch
        for language in vocabulary.languages
        for units in query.alternatives
        if (branch := _branch(units, language, vocabulary)) is not None
    ]
    return TsQuery(
        matches=" | ".join(f"({branch.matches})" for branch in branches),
        ranks=" | ".join(f"({branch.ranks})" for branch in branches),
        words=" | ".join(f"({branch.words})" for branch in branches),
        counted=" | ".join(f"({branch.counted})" for branch in branches),
        side_by_side=query.side_by_side,
        begun=query.begun is not None and vocabulary.begun is None,
    )


def _branch(units: Sequence[Unit], language: str, vocabulary: Vocabulary) -> TsQuery | None:
    """Of one language; None when nothing can match: all stop words there, or one never said."""
    wanted: list[Terms] = []
    named: list[Terms] = []
    unwanted: list[Terms] = []
    for unit in units:
        terms = _terms(unit, language, vocabulary)
        if terms is None and not unit.negated:
            return None
        if terms and unit.negated:
            unwanted.append(terms)
        elif terms:
            wanted.append(terms)
            named.append(_named(terms, unit, language, vocabulary))
    if not wanted:
        return None
    without = [f"!({_begun_here(terms)})" for terms in unwanted]
    words_without = [f"!{terms[0][1]}" for terms in unwanted if len(terms) == 1]
    here = " | ".join(map(_begun_here, wanted))
    words = " & ".join([_words(named), *words_without])
    counted = " & ".join([_words(wanted), *words_without])
    if len(wanted) == 1:
        return TsQuery(" & ".join([here, *without]), here, words, counted)
    all_ = " & ".join(f"({_side_by_side(terms)})" for terms in wanted)
    return TsQuery(" & ".join([all_, f"({here})", *without]), all_, words, counted)


def _words(wanted: Sequence[Terms]) -> str:
    """All of them, and one that begins a unit among the cue's own."""
    begins = [terms[0][1] for terms in wanted]
    if len(wanted) == 1:
        further = dict.fromkeys(term for _, term in wanted[0][1:] if term != begins[0])
        return " & ".join([begins[0], *map(_anywhere, further), *_beside(wanted[0])])
    all_ = dict.fromkeys(term for terms in wanted for _, term in terms)
    beside = [
        f"({pair} | {_in_next_cue(terms[0][1])})" for terms in wanted for pair in _beside(terms)
    ]
    return " & ".join([*map(_anywhere, all_), *beside, f"({' | '.join(begins)})"])


def _beside(terms: Terms) -> list[str]:
    """What a cue has in which the first two stand side by side, the first among its own words.

    Nothing if stop words are between, or the second one is still being typed.
    """
    if len(terms) < 2 or terms[1][0] - terms[0][0] > 1:
        return []
    first, second = (_LEXEME.fullmatch(term) for _, term in terms[:2])
    return [_quoted(neighbors(first[1], second[1]))] if first and second else []


def _terms(unit: Unit, language: str, vocabulary: Vocabulary) -> Terms | None:
    """Without stop words; None when one was never said."""
    terms: Terms = []
    for at, word in enumerate(unit.words):
        stem = vocabulary.lexemes[language, word]
        if unit.open and at == len(unit.words) - 1:
            either = _either(word, language, vocabulary)
            if not either:
                return None
            terms.append((at, _any(either)))
        elif stem is not None and stem not in vocabulary.said:
            return None
        elif stem is not None:
            terms.append((at, f"'{stem}'"))
    return terms


def _named(terms: Terms, unit: Unit, language: str, vocabulary: Vocabulary) -> Terms:
    """With all words that the last one may become, if they are few enough."""
    if not unit.open or vocabulary.begun is None:
        return terms
    *before, (at, _) = terms
    either = _either(unit.words[-1], language, vocabulary, named=True)
    return [*before, (at, _any(either))]


def _either(
    word: str, language: str, vocabulary: Vocabulary, *, named: bool = False
) -> Sequence[str]:
    """A word that has only begun, is whole by now, or is past its stem."""
    begun, stem = vocabulary.lexeme(language, word), vocabulary.lexemes[language, word]
    known = None if vocabulary.begun is None else vocabulary.begun[language]
    others = dict.fromkeys([stem, *vocabulary.finished[language]])
    either = [] if known == [] else [f"'{begun}':*"]
    if named and known is not None:
        either = [_quoted(one) for one in known]
    past = (one for one in others if one in vocabulary.said and not one.startswith(begun))
    return [*either, *map(_quoted, past)]


def _any(either: Sequence[str]) -> str:
    return either[0] if len(either) == 1 else f"({' | '.join(either)})"


def _begun_here(terms: Terms) -> str:
    """Side by side, the first one among the cue's own words."""
    (before, text), *rest = terms
    return text + _further(before, rest)


def _side_by_side(terms: Terms) -> str:
    (before, text), *rest = terms
    return _anywhere(text) + _further(before, rest)


def _further(before: int, terms: Terms) -> str:
    text = ""
    for at, term in terms:
        text += f" <{at - before}> {_anywhere(term)}"
        before = at
    return text


def _anywhere(term: str) -> str:
    """Among the cue's own words or those that the next one begins with."""
    return f"({term} | {_in_next_cue(term)})"


def _in_next_cue(term: str) -> str:
    return _LEXEME.sub(lambda m: _quoted(next_cues(m[1])), term)


def _quoted(lexeme: str) -> str:
    return f"'{lexeme}'"
