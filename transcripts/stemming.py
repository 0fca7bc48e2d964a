"""Words to lexemes: `<language>.<stem>`, so that a word matches in the language it was said in."""

from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from transcripts.languages import PLAIN, STEMMERS, UNACCENTED_STOP_WORDS

Lexemes = Mapping[tuple[str, str], str | None]
"""By searched language and folded word; None for a stop word."""

_STEM = sa.text(
    """
    select language, word, pg_catalog.ts_lexize(cast(dictionary as regdictionary), word)
    from unnest(:languages, :dictionaries, :words) as asked (language, dictionary, word)
    """
).bindparams(
    sa.bindparam("languages", type_=ARRAY(sa.Text)),
    sa.bindparam("dictionaries", type_=ARRAY(sa.Text)),
    sa.bindparam("words", type_=ARRAY(sa.Text)),
)


def lexeme(language: str, stem: str) -> str:
    return f"{language}.{stem}"


async def lexemes_of(session: AsyncSession, words: Collection[tuple[str, str]]) -> Lexemes:
    """Of (searched language, folded word) pairs, by one question to PostgreSQL."""
    known: dict[tuple[str, str], str | None] = {
        (language, word): None if _is_stop_word(language, word) else lexeme(language, word)
        for language, word in words
    }
    asked = [pair for pair, plain in known.items() if plain is not None and pair[0] != PLAIN]
    bound = {
        "languages": [language for language, _ in asked],
        "dictionaries": [f"pg_catalog.{STEMMERS[language]}" for language, _ in asked],
        "words": [word for _, word in asked],
    }
    for language, word, stems in await session.execute(_STEM, bound) if asked else ():
        known[language, word] = lexeme(language, stems[0]) if stems else None
    return known


def _is_stop_word(language: str, word: str) -> bool:
    return word in UNACCENTED_STOP_WORDS.get(language, ())
