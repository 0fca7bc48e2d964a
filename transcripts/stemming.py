"""Words to lexemes: `<platform><language>.<stem>`.

So a word matches in the language it was said in, and what people of other platforms say are
other words: they change neither what is found nor what it costs.
"""

from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import md5
from itertools import product
from typing import Any, Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.statements import ask
from transcripts.endings import finished
from transcripts.languages import DICTIONARIES, MORE_STOP_WORDS

Lexemes = Mapping[tuple[str, str], str | None]
"""By searched language and folded word; None for a stop word."""

_DICTIONARY: Final = " ".join(
    f"when '{language}' then cast('pg_catalog.{name}' as regdictionary)"
    for language, name in DICTIONARIES.items()
)
_ASKED: Final = f"""
    select
        language, word, pg_catalog.ts_lexize(case language {_DICTIONARY} end, word) as stems
    from unnest(cast(:languages as text[]), cast(:words as text[])) as asked (language, word)
"""  # noqa: S608 - of constants
_KNOWN: Final = f"""
    select language, word, stems, exists (
        select from transcript_stem s
        where s.platform_id = :platform_id and s.language = asked.language and s.stem = stems[1]
    ) as said
    from (
        {_ASKED}
        where language = any(array(
            select one from unnest(cast(:searched as text[])) as searched (one)
            where exists (
                select from transcript_stem where platform_id = :platform_id and language = one
            )
        ))
        offset 0
    ) as asked
"""  # noqa: S608 - of constants
_STEMS_OF: Final = sa.text(_ASKED)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A query's words in the languages in which anything was ever said on the platform."""

    platform_id: UUID
    languages: Sequence[str]
    lexemes: Lexemes
    said: frozenset[str]
    """Those of the lexemes that were."""

    finished: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By language: those of words that the one that is still being typed may become."""

    begun: Mapping[str, Sequence[str]] | None = None
    """By language: all that begin as that one; None if they are too many to be named."""

    def lexeme(self, language: str, stem: str) -> str:
        return lexeme(self.platform_id, language, stem)

    def says_too_little(self, word: str) -> bool:
        """A stop word of one language that nobody said in another."""
        known = [self.lexemes[language, word] for language in self.languages]
        return None in known and self.said.isdisjoint(known)


PLATFORM_KEY: Final = "encode(substr(uuid_send(platform_id), 14), 'base64')"
"""`platform_key` of a column, in SQL."""


KEY_LENGTH: Final = 4


def platform_key(platform_id: UUID) -> str:
    """Four letters or digits, `+` or `/`, with which each of its lexemes begins.

    They have 24 bits. Two platforms that share them only share what a word costs: what is found
    is held against the rooms.
    """
    return b64encode(platform_id.bytes[-3:]).decode()


def lexeme(platform_id: UUID, language: str, stem: str) -> str:
    return f"{platform_key(platform_id)}{language}.{stem}"


def next_cues(lexeme: str) -> str:
    """The same word where it is one of the first in the speaker's next cue."""
    return f"{lexeme[:KEY_LENGTH]}~{lexeme[KEY_LENGTH:]}"


def neighbors(first: str, second: str) -> str:
    """That two lexemes stand side by side. It has 18 bits of their hash, so others may share it."""
    digest = md5(f"{first} {second}".encode(), usedforsecurity=False).digest()
    return f"{first[:KEY_LENGTH]}^{b64encode(digest).decode()[:3]}"


async def lexemes_of(
    session: AsyncSession, platform_id: UUID, words: Collection[tuple[str, str]]
) -> Lexemes:
    """Of (searched language, folded word) pairs, by one question to PostgreSQL."""
    rows = await session.execute(_STEMS_OF, _arrays(words)) if words else ()
    return {
        (language, word): _lexeme(platform_id, language, word, stems)
        for language, word, stems in rows
    }


async def vocabulary_of(
    connection: asyncpg.Connection,
    platform_id: UUID,
    languages: Sequence[str],
    words: Collection[str],
    begun: str | None = None,
) -> Vocabulary:
    """`begun`: the one of the words that is still being typed."""
    ends = {x: finished(begun, x) for x in languages} if begun is not None else {}
    pairs = [*product(languages, words), *((x, word) for x, all_ in ends.items() for word in all_)]
    values = _arrays(pairs) | {"platform_id": platform_id, "searched": languages}
    if begun is not None:
        values["begun"] = f"{begun}%"
    rows = await ask(connection, _KNOWN if begun is None else _KNOWN_AND_BEGUN, values)
    lexemes = {
        (language, word): _lexeme(platform_id, language, word, stems)
        for language, word, stems, known in rows
        if known is not None
    }
    said = {lexemes[language, word] for language, word, _, known in rows if known}
    present = [x for x in languages if any((x, word) in lexemes for word in words)]
    beginning = [(language, stem) for language, stem, _, known in rows if known is None]
    return Vocabulary(
        platform_id,
        present,
        lexemes,
        frozenset(one for one in said if one is not None),
        {x: _said_of(lexemes, said, x, ends[x]) for x in present if x in ends},
        None if begun is None else _begun(platform_id, present, beginning),
    )


def _begun(
    platform_id: UUID, languages: Sequence[str], stems: Sequence[tuple[str, str]]
) -> Mapping[str, Sequence[str]] | None:
    if len(stems) > MOST_BEGUN:
        return None
    begun: dict[str, list[str]] = {language: [] for language in languages}
    for language, stem in stems:
        begun[language].append(lexeme(platform_id, language, stem))
    return begun


MOST_BEGUN: Final = 100
"""To look up each word is quicker than what begins so: then the index leaps over what is old."""

_KNOWN_AND_BEGUN: Final = f"""
    {_KNOWN}
    union all
    (
        select language, stem, null, null from transcript_stem
        where platform_id = :platform_id and language = any(cast(:searched as text[]))
        and stem like :begun
        limit {MOST_BEGUN + 1}
    )
"""  # noqa: S608 - of constants
"""Words as in `_KNOWN`, then stems that begin so."""


def _said_of(
    lexemes: Lexemes, said: Collection[str | None], language: str, words: Collection[str]
) -> Sequence[str]:
    stems = {lexemes[language, word] for word in words}
    return sorted(stem for stem in stems if stem is not None and stem in said)


def _arrays(words: Collection[tuple[str, str]]) -> dict[str, Any]:
    return {
        "languages": [language for language, _ in words],
        "words": [word for _, word in words],
    }


def _lexeme(platform_id: UUID, language: str, word: str, stems: Sequence[str]) -> str | None:
    if not stems or word in MORE_STOP_WORDS.get(language, ()):
        return None
    return lexeme(platform_id, language, stems[0])
