"""'Did you mean': words that are spelled alike, out of what the caller may find himself.

Candidates are stems of the whole installation; one is told only as a word that stands in a cue
within the search's reach, and is read there.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY
from sqlalchemy.ext.asyncio import AsyncSession

from transcripts.folding import fold, is_spaceless
from transcripts.highlights import positions_of
from transcripts.index_models import SearchedCue, Stem
from transcripts.languages import base_language
from transcripts.models import Cue
from transcripts.query import Query
from transcripts.reach import Reach
from transcripts.stemming import Lexemes, Vocabulary

CANDIDATES: Final = 10
"""Alike at all; the first ones that the caller may find are compared in full."""

COMPARED: Final = 5
MOST_MISSPELT: Final = 3
"""Words that others are sought for."""

ALIKE: Final = 0.6


async def did_you_mean(
    session: AsyncSession, text: str, query: Query, words: Vocabulary, reach: Reach
) -> str | None:
    """The text with other words in place of those that nobody said; None when none is like them."""
    corrections: dict[str, str] = {}
    misspelt = 0
    for word in _worth_asking(query, words):
        stems = _stems(word, words.lexemes)
        if misspelt < MOST_MISSPELT and stems and not await _is_said(session, stems, reach):
            misspelt += 1
            said = await _said_alike(session, stems, reach)
            best = max(said, key=lambda other: _likeness(word, other), default="")
            if _likeness(word, best) >= ALIKE:
                corrections[word] = best
    return _corrected(text, corrections) if corrections else None


def _worth_asking(query: Query, words: Vocabulary) -> list[str]:
    """Not stop words, nor the letters of scripts that have no spaces: these are like no other."""
    wanted = sorted(query.wanted_words)
    return [word for word in wanted if not (is_spaceless(word) or words.says_too_little(word))]


def _stems(word: str, lexemes: Lexemes) -> list[tuple[str, str]]:
    """By language."""
    found = [known for (_, other), known in lexemes.items() if other == word and known]
    return [(lexeme.partition(".")[0], lexeme.partition(".")[2]) for lexeme in found]


async def _is_said(session: AsyncSession, stems: Sequence[tuple[str, str]], reach: Reach) -> bool:
    either = " | ".join(f"'{language}.{stem}':A" for language, stem in stems)
    said = sa.select(sa.literal(1)).where(_matching(either, reach)).limit(1)
    return await session.scalar(said) is not None


async def _said_alike(
    session: AsyncSession, stems: Sequence[tuple[str, str]], reach: Reach
) -> set[str]:
    """Words with a stem like one of these, from cues within reach."""
    asked = sa.select(
        sa.func.unnest(sa.literal([s[0] for s in stems], _TEXTS)).label("language"),
        sa.func.unnest(sa.literal([s[1] for s in stems], _TEXTS)).label("stem"),
    ).subquery()
    likeness = sa.func.similarity(Stem.stem, asked.c.stem)
    candidates = (
        sa.select(Stem.language, Stem.stem, likeness.label("likeness"))
        .join(asked, (Stem.language == asked.c.language) & Stem.stem.op("%")(asked.c.stem))
        .order_by(likeness.desc(), Stem.stem)
        .limit(CANDIDATES)
        .cte("candidates")
        .prefix_with("materialized")
    )
    lexeme = candidates.c.language + "." + candidates.c.stem
    one = (
        sa.select(SearchedCue.cue_id, sa.cast(SearchedCue.vector, sa.Text).label("vector"))
        .where(_matching(sa.literal("'") + lexeme + "':A", reach))
        .limit(1)
        .lateral()
    )
    rows = await session.execute(
        sa.select(lexeme, Cue.text, one.c.vector)
        .select_from(candidates.join(one, sa.true()).join(Cue, Cue.id == one.c.cue_id))
        .order_by(candidates.c.likeness.desc(), candidates.c.stem)
        .limit(COMPARED)
    )
    return {word for stem, said, vector in rows for word in _words(stem, said, vector)}


_TEXTS: Final = ARRAY(sa.Text)


def _matching(tsquery: str | sa.ColumnElement[str], reach: Reach) -> sa.ColumnElement[bool]:
    """Cues within reach that match."""
    rooms, people = reach.audible_rooms, reach.heard_people
    found = SearchedCue.vector.op("@@", is_comparison=True)(sa.cast(tsquery, TSQUERY))
    audible = sa.exists().where(rooms.c.recording_id == SearchedCue.recording_id)
    heard = sa.select(sa.true()).where(people.c.id == SearchedCue.participant_id)
    conditions = [found, audible, heard.scalar_subquery()]
    if reach.filters.language is not None:
        conditions.append(SearchedCue.language == base_language(reach.filters.language))
    return sa.and_(*conditions)


def _words(stem: str, text: str, vector: str) -> Iterable[str]:
    """As they stand in the text."""
    tokens = fold(text)
    places = [at for at in positions_of(vector, stem) if at <= len(tokens)]
    return {text[tokens[at - 1].start : tokens[at - 1].end].lower() for at in places}


def _likeness(word: str, said: str) -> float:
    plain = "".join(token.word for token in fold(said))
    return SequenceMatcher(None, word, plain).ratio()


def _corrected(text: str, corrections: Mapping[str, str]) -> str:
    for token in reversed(fold(text)):
        if token.word in corrections:
            text = text[: token.start] + corrections[token.word] + text[token.end :]
    return text
