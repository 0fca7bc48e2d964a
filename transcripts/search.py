"""Finds what was said in the recordings that the caller may hear, by recording."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from asyncpg.exceptions import QueryCanceledError
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.errors import Unavailable
from transcripts.cursor import Cursor, CursorInvalid
from transcripts.found import FoundRecording, describe
from transcripts.languages import DICTIONARIES, searched_language
from transcripts.query import Query, render
from transcripts.ranking import Page, Sort
from transcripts.reach import Effort, Filters, prepare, reach_of
from transcripts.stemming import Vocabulary, vocabulary_of
from transcripts.suggestions import did_you_mean
from transcripts.ways import best_recordings

_FIRST_ID: Final = UUID(int=0)
"""Nothing of the same moment comes after it in a descending order."""


class SearchTooSlow(Unavailable):
    code = "search_too_slow"
    title = "This search took too long; name a rarer word, or fewer recordings"


@dataclass(frozen=True, slots=True)
class Wanted:
    """`text` is what `query` was read from."""

    text: str
    query: Query
    filters: Filters = field(default_factory=Filters)
    sort: Sort = Sort.RELEVANCE
    after: Cursor | None = None
    limit: int = 20
    effort: Effort = field(default_factory=Effort)


@dataclass(frozen=True, slots=True)
class Total:
    recordings: int
    matches: int
    sampled: bool
    """There are more: those in the newest recordings were counted and ranked."""


@dataclass(frozen=True, slots=True)
class Found:
    recordings: list[FoundRecording]
    total: Total | None
    """On the first page."""

    next: str | None = None
    ignored: Sequence[str] = ()
    """Words that say too little to be searched for."""

    did_you_mean: str | None = None
    """Where nothing was found: the text with words that were said."""


async def search(session: AsyncSession, *, principal: Principal, wanted: Wanted) -> Found:
    """A page of recordings. Raises CursorInvalid, SearchTooSlow."""
    after = wanted.after
    if after is not None and (after.live_at is None) != (wanted.sort is Sort.RELEVANCE):
        raise CursorInvalid
    try:
        async with asyncio.timeout(wanted.effort.deadline_ms / 1000):
            return await _search(session, principal, wanted)
    except (TimeoutError, QueryCanceledError) as error:
        raise SearchTooSlow from error


async def _search(session: AsyncSession, principal: Principal, wanted: Wanted) -> Found:
    query, platform_id = wanted.query, principal.platform_id
    if platform_id is None:
        return Found([], None if wanted.after else Total(0, 0, sampled=False))
    connection = await prepare(session, wanted.effort)
    languages = _languages(wanted.filters)
    words = await vocabulary_of(connection, platform_id, languages, query.words, query.begun)
    asked = render(query, words)
    reach = reach_of(principal, platform_id, wanted.filters, wanted.effort, wanted.after)
    rows: Sequence[asyncpg.Record] = ()
    if asked.matches:
        page = Page(wanted.sort, wanted.after, wanted.limit + 1)
        rows = await best_recordings(connection, asked, reach, page)
    first, oldest = wanted.after is None, _oldest(rows, wanted)
    return Found(
        recordings=await describe(connection, rows[: wanted.limit], query, words),
        total=_total(rows, oldest) if first else None,
        next=_next(rows, wanted, oldest),
        ignored=_ignored(query, words),
        did_you_mean=await did_you_mean(connection, wanted.text, query, words, reach)
        if first and not rows
        else None,
    )


def _languages(filters: Filters) -> Sequence[str]:
    if filters.language is not None:
        return (searched_language(filters.language),)
    return tuple(DICTIONARIES)


def _ignored(query: Query, words: Vocabulary) -> Sequence[str]:
    return sorted(word for word in query.words if words.says_too_little(word))


def _oldest(rows: Sequence[asyncpg.Record], wanted: Wanted) -> datetime | None:
    """When the oldest recording went live that was searched, if there are older ones.

    All pages by score keep to what the first one searched.
    """
    if wanted.after is not None and wanted.after.score is not None:
        return wanted.after.oldest
    if rows and rows[0]["all_matches"] >= wanted.effort.enough_matches:
        oldest: datetime = rows[0]["oldest"]
        return oldest
    return None


def _total(rows: Sequence[asyncpg.Record], oldest: datetime | None) -> Total:
    sampled = oldest is not None
    if not rows:
        return Total(0, 0, sampled)
    return Total(rows[0]["all_recordings"], int(rows[0]["all_matches"]), sampled)


def _next(rows: Sequence[asyncpg.Record], wanted: Wanted, oldest: datetime | None) -> str | None:
    """By time, pages go on beyond what was searched; by score, what was ranked is all."""
    by_date = wanted.sort is Sort.DATE
    if len(rows) > wanted.limit:
        last = rows[wanted.limit - 1]
        if by_date:
            return Cursor(last["recording_id"], live_at=last["sort_key"]).text()
        return Cursor(last["recording_id"], score=last["sort_key"], oldest=oldest).text()
    if by_date and oldest is not None:
        return Cursor(_FIRST_ID, live_at=oldest).text()
    return None
