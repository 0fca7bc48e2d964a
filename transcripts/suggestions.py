"""'Did you mean': words that are spelled alike, out of what the caller may find himself.

Candidates are stems of his whole platform; one is told only as a word that stands in a cue
within the search's reach, and is read there.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from transcripts.folding import fold, is_spaceless
from transcripts.highlights import positions_of
from transcripts.languages import base_language
from transcripts.query import Query
from transcripts.reach import Reach
from transcripts.stemming import PLATFORM_KEY, Lexemes, Vocabulary

CANDIDATES: Final = 10
"""Alike at all; the first ones that the caller may find are compared in full."""

COMPARED: Final = 5
MOST_MISSPELT: Final = 3
"""Words that others are sought for."""
LOOKED_AT: Final = 1_000
"""Cues with a candidate in which the caller may find it; a suggestion is no promise."""

ALIKE: Final = 0.6


async def did_you_mean(
    session: AsyncSession, text: str, query: Query, words: Vocabulary, reach: Reach
) -> str | None:
    """The text with other words in place of those that nobody said; None when none is like them."""
    corrections: dict[str, str] = {}
    misspelt = 0
    for word in _worth_asking(query, words):
        stems = _stems(word, words.lexemes)
        lexemes = [words.lexeme(language, stem) for language, stem in stems]
        if misspelt < MOST_MISSPELT and stems and not await _is_said(session, lexemes, reach):
            misspelt += 1
            said = await _said_alike(session, words.platform_id, stems, reach)
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
    found = [(x, one) for (x, other), one in lexemes.items() if other == word and one]
    return [(language, lexeme.partition(".")[2]) for language, lexeme in found]


async def _is_said(session: AsyncSession, lexemes: Sequence[str], reach: Reach) -> bool:
    either = " | ".join(f"'{lexeme}':A" for lexeme in lexemes)
    values: dict[str, object] = {"either": either, "language": _language(reach)}
    if reach.recordings is None:
        said = sa.select(sa.text("*")).select_from(_SAID).add_cte(reach.audible_rooms)
    else:
        said = sa.select(sa.text("*")).select_from(_SAID_IN_RECORDINGS)
        values["recordings"] = list(reach.recordings)
    rows = await session.execute(said.add_cte(reach.heard_people), values)
    return rows.first() is not None


async def _said_alike(
    session: AsyncSession, platform_id: UUID, stems: Sequence[tuple[str, str]], reach: Reach
) -> set[str]:
    """Words with a stem like one of these, from cues within reach."""
    alike = sa.select(sa.text("*")).select_from(_ALIKE)
    values = {
        "platform_id": platform_id,
        "languages": [language for language, _ in stems],
        "stems": [stem for _, stem in stems],
        "language": _language(reach),
    }
    rows = await session.execute(
        alike.add_cte(reach.audible_rooms).add_cte(reach.heard_people), values
    )
    return {word for stem, said, vector in rows for word in _words(stem, said, vector)}


def _language(reach: Reach) -> str | None:
    language = reach.filters.language
    return None if language is None else base_language(language)


_AUDIBLE: Final = "(select true from audible_rooms r where r.recording_id = said.recording_id)"
_HEARD: Final = "(select true from heard_people p where p.id = said.participant_id)"
_OF_LANGUAGE: Final = "(cast(:language as text) is null or language = cast(:language as text))"
_SAID: Final = sa.text(
    f"""
    (
        select 1 from transcript_searched_cue said
        where vector @@ cast(:either as tsquery) and {_OF_LANGUAGE} and {_AUDIBLE} and {_HEARD}
        limit 1
    ) as found
    """  # noqa: S608 - of constants
)
_SAID_IN_RECORDINGS: Final = sa.text(
    f"""
    (
        select 1 from transcript_searched_cue said
        where recording_id = any(:recordings) and (vector @@ cast(:either as tsquery)) is true
        and {_OF_LANGUAGE} and {_HEARD}
        limit 1
    ) as found
    """  # noqa: S608 - of constants
)
_ALIKE: Final = sa.text(
    f"""
    (
        with candidates as materialized (
            select s.stem, {PLATFORM_KEY} || s.language || '.' || s.stem as lexeme,
                similarity(s.stem, asked.stem) as likeness
            from unnest(:languages, :stems) as asked (language, stem)
            join transcript_stem s
                on s.platform_id = :platform_id and s.language = asked.language
                and s.stem % asked.stem
            order by likeness desc, s.stem
            limit {CANDIDATES}
        )
        select lexeme, text, vector
        from candidates
        cross join lateral (
            select cue_id, cast(vector as text) as vector
            from (
                select cue_id, recording_id, participant_id, vector
                from transcript_searched_cue
                where vector @@ cast(quote_literal(lexeme) || '\\:A' as tsquery) and {_OF_LANGUAGE}
                limit {LOOKED_AT}
            ) as said
            where {_AUDIBLE} and {_HEARD}
            limit 1
        ) as one
        join transcript_cue on transcript_cue.id = cue_id
        order by likeness desc, stem
        limit {COMPARED}
    ) as alike
    """  # noqa: S608 - of constants
).bindparams(
    sa.bindparam("languages", type_=ARRAY(sa.Text)), sa.bindparam("stems", type_=ARRAY(sa.Text))
)


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
