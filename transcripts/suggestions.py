"""'Did you mean': words that are spelled alike, out of what the caller may find himself.

Candidates are stems of his whole platform; one is told only as a word that stands in a cue
within the search's reach, and is read there.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final
from uuid import UUID

import asyncpg

from transcripts.folding import fold, is_spaceless
from transcripts.highlights import positions_of
from transcripts.languages import base_language
from transcripts.query import Query
from transcripts.reach import Reach
from transcripts.stemming import PLATFORM_KEY, Vocabulary
from transcripts.ways import expect

CANDIDATES: Final = 10
"""Alike at all; the first ones that the caller may find are compared in full."""

COMPARED: Final = 5
MOST_MISSPELT: Final = 3
"""Words that others are sought for."""
LOOKED_AT: Final = 300
"""Cues with a candidate in which the caller may find it; a suggestion is no promise."""

COMMON: Final = 3_000
"""Cues from which on a word counts as said within reach: the index would list them all before the
first is looked at."""

ALIKE: Final = 0.6


async def did_you_mean(
    connection: asyncpg.Connection, text: str, query: Query, words: Vocabulary, reach: Reach
) -> str | None:
    """The text with other words in place of those that nobody said; None when none is like them."""
    corrections: dict[str, str] = {}
    for word in (await _misspelt(connection, query, words, reach))[:MOST_MISSPELT]:
        said = await _said_alike(connection, words.platform_id, _stems(word, words), reach)
        best = max(said, key=lambda other: _likeness(word, other), default="")
        if _likeness(word, best) >= ALIKE:
            corrections[word] = best
    return _corrected(text, corrections) if corrections else None


async def _misspelt(
    connection: asyncpg.Connection, query: Query, words: Vocabulary, reach: Reach
) -> list[str]:
    """What nobody said within reach: of a single word, known since it was not found."""
    asked = [word for word in _worth_asking(query, words) if _stems(word, words)]
    if len(query.words) == 1:
        return asked
    lexemes = {word: _either(word, words) for word in asked}
    known = [one for one in lexemes.values() if one]
    said = {
        one
        for one in known
        if (await expect(connection, f"({one}){_tag(reach)}")).matches >= COMMON
    }
    values = {
        "asked": [one for one in known if one not in said],
        "tag": _tag(reach),
        "language": _language(reach),
    }
    if values["asked"]:
        said.update(either for (either,) in await reach.ask(connection, _SAID, values))
    return [word for word in asked if lexemes[word] not in said]


def _worth_asking(query: Query, words: Vocabulary) -> list[str]:
    """Not stop words, nor the letters of scripts that have no spaces: these are like no other."""
    wanted = sorted(query.wanted_words)
    return [word for word in wanted if not (is_spaceless(word) or words.says_too_little(word))]


def _stems(word: str, words: Vocabulary) -> Mapping[str, Sequence[str]]:
    """With the languages in which it has each."""
    stems: dict[str, list[str]] = {}
    for language in words.languages:
        lexeme = words.lexemes[language, word]
        if lexeme is not None:
            stems.setdefault(lexeme.partition(".")[2], []).append(language)
    return stems


def _either(word: str, words: Vocabulary) -> str:
    """What was ever said of it, in any language."""
    known = {words.lexemes[language, word] for language in words.languages}
    return " | ".join(f"'{lexeme}'" for lexeme in sorted(words.said.intersection(known)))


async def _said_alike(
    connection: asyncpg.Connection,
    platform_id: UUID,
    stems: Mapping[str, Sequence[str]],
    reach: Reach,
) -> set[str]:
    """Words with a stem like one of these, from cues within reach."""
    values = {
        "platform_id": platform_id,
        "languages": [" ".join(languages) for languages in stems.values()],
        "stems": list(stems),
        "language": _language(reach),
        "tag": _tag(reach),
    }
    rows = await reach.ask(connection, _ALIKE, values)
    return {word for stem, said, vector in rows for word in _words(stem, said, vector)}


def _tag(reach: Reach) -> str:
    return "" if reach.tag is None else f" & '{reach.tag}'"


def _language(reach: Reach) -> str | None:
    language = reach.filters.language
    return None if language is None else base_language(language)


_WITHIN_REACH: Final = """
    case when (select true from audible where audible.recording_id = said.recording_id)
        then (select true from heard_people p where p.id = said.participant_id) end
"""
"""One after the other: of who hears little, few people are asked for."""

_OF_LANGUAGE: Final = "(cast(:language as text) is null or language = cast(:language as text))"


_SAID: Final = f"""
    (
        select either from unnest(cast(:asked as text[])) as asked (either)
        cross join lateral (
            with said as materialized (
                select recording_id, participant_id from transcript_searched_cue
                where vector @@ cast('(' || either || ')' || cast(:tag as text) as tsquery)
                and {_OF_LANGUAGE}
                limit {LOOKED_AT}
            )
            select exists (select from said where {_WITHIN_REACH})
                or (select count(*) from said) = {LOOKED_AT} as found
        ) as looked
        where found
    ) as said
"""  # noqa: S608 - of constants
"""A word in so many cues that not all are looked at counts as said."""

_ALIKE: Final = f"""
    (
        with candidates as materialized (
            select s.stem, {PLATFORM_KEY} || s.language || '.' || s.stem as lexeme,
                similarity(s.stem, asked.stem) as likeness
            from unnest(cast(:languages as text[]), cast(:stems as text[]))
                as asked (languages, stem)
            join transcript_stem s
                on s.platform_id = :platform_id and s.stem % asked.stem
                and s.language = any(string_to_array(asked.languages, ' '))
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
                where vector @@ cast(quote_literal(lexeme) || cast(:tag as text) as tsquery)
                and {_OF_LANGUAGE}
                limit {LOOKED_AT}
            ) as said
            where {_WITHIN_REACH}
            limit 1
        ) as one
        join transcript_cue on transcript_cue.id = cue_id
        order by likeness desc, stem
        limit {COMPARED}
    ) as alike
"""  # noqa: S608 - of constants


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
