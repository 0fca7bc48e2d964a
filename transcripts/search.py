"""Finds what was said in the recordings that the caller may hear, by recording."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import product
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSQUERY, aggregate_order_by
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import User
from core.auth.principal import Principal
from core.errors import Unavailable
from rooms.models import Participant, Room
from transcripts.cursor import Cursor, CursorInvalid
from transcripts.index_models import SearchedCue, SearchedRecording
from transcripts.languages import PLAIN, STEMMERS, base_language, searched_language
from transcripts.moments import Moment, load_moments
from transcripts.query import Query, TsQuery, render
from transcripts.reach import Filters, Reach, find_reach
from transcripts.stemming import Lexemes, lexemes_of

BEST_MOMENTS: Final = 3
TIMEOUT_MS: Final = 3_000
MOST_MATCHES: Final = 6_000
_UUIDS: Final = sa.ARRAY(sa.Uuid())

_CANCELED: Final = "57014"
_SETTINGS: Final = sa.text(
    "select set_config('statement_timeout', :timeout, true), set_config('jit', 'off', true),"
    " set_config('plan_cache_mode', 'force_custom_plan', true),"
    " set_config('max_parallel_workers_per_gather', '0', true)"
)
"""Plans have to know the words: a common one wants another than a rare one."""


class SearchTooSlow(Unavailable):
    code = "search_too_slow"
    title = "This search took too long; name a rarer word, or fewer recordings"


class Sort(StrEnum):
    RELEVANCE = "relevance"
    DATE = "date"
    """The newest recordings first."""


@dataclass(frozen=True, slots=True)
class FoundRecording:
    recording_id: UUID
    room: Room
    host_name: str
    live_at: datetime
    moments: list[Moment]
    """The best ones."""

    matches: int
    """How many cues there were."""


@dataclass(frozen=True, slots=True)
class Total:
    recordings: int
    matches: int
    sampled: bool
    """There are more: the newest were counted and ranked."""


@dataclass(frozen=True, slots=True)
class Found:
    recordings: list[FoundRecording] = field(default_factory=list)
    total: Total | None = None
    """On the first page."""

    next: str | None = None
    ignored: list[str] = field(default_factory=list)
    """Words that say too little to be searched for, in any language."""


@dataclass(frozen=True, slots=True)
class Wanted:
    query: Query
    filters: Filters = field(default_factory=Filters)
    sort: Sort = Sort.RELEVANCE
    after: Cursor | None = None
    limit: int = 20


async def search(session: AsyncSession, *, principal: Principal, wanted: Wanted) -> Found:
    """A page of recordings. Raises CursorInvalid, SearchTooSlow."""
    after = wanted.after
    if after is not None and (after.live_at is None) != (wanted.sort is Sort.RELEVANCE):
        raise CursorInvalid
    try:
        await session.execute(_SETTINGS, {"timeout": str(TIMEOUT_MS)})
        return await _search(session, principal, wanted)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _CANCELED:
            raise SearchTooSlow from error
        raise


async def _search(session: AsyncSession, principal: Principal, wanted: Wanted) -> Found:
    languages = _languages(wanted.filters)
    query = wanted.query
    lexemes = await lexemes_of(session, set(product(languages, query.words)))
    asked = render(query, languages, lexemes)
    ignored = sorted(w for w in query.words if not any(lexemes[x, w] for x in languages))
    if not asked.matches:
        return Found(ignored=ignored)
    reach = await find_reach(
        session, principal, wanted.filters, matches=asked.matches, after=wanted.after
    )
    rows = await _page(session, wanted, asked, reach)
    shown = rows[: wanted.limit]
    return Found(
        recordings=await _described(session, shown, query, lexemes),
        total=_total(rows, reach) if wanted.after is None else None,
        next=_next(rows, wanted, reach),
        ignored=ignored,
    )


async def _described(
    session: AsyncSession, rows: Sequence[sa.Row[Any]], query: Query, lexemes: Lexemes
) -> list[FoundRecording]:
    best = [cue_id for row in rows for cue_id in row.best]
    moments = await load_moments(session, best, query, lexemes)
    rooms = await _rooms(session, [row.recording_id for row in rows])
    return [
        FoundRecording(
            row.recording_id,
            *rooms[row.recording_id],
            moments=[moments[cue_id] for cue_id in row.best if cue_id in moments],
            matches=row.matches,
        )
        for row in rows
        if row.recording_id in rooms
    ]


async def _rooms(
    session: AsyncSession, recording_ids: Sequence[UUID]
) -> dict[UUID, tuple[Room, str, datetime]]:
    if not recording_ids:
        return {}
    query = (
        sa.select(
            SearchedRecording.recording_id, Room, User.display_name, SearchedRecording.live_at
        )
        .join(Room, Room.id == SearchedRecording.room_id)
        .join(User, User.id == Room.host_id)
        .where(SearchedRecording.recording_id.in_(recording_ids))
    )
    return {found: (room, host, at) for found, room, host, at in await session.execute(query)}


def _languages(filters: Filters) -> Sequence[str]:
    if filters.language is not None:
        return (searched_language(filters.language),)
    return (*STEMMERS, PLAIN)


def _total(rows: Sequence[sa.Row[Any]], reach: Reach) -> Total:
    if not rows:
        return Total(0, 0, reach.oldest is not None)
    sampled = reach.oldest is not None or rows[0].all_matches >= MOST_MATCHES
    return Total(rows[0].all_recordings, int(rows[0].all_matches), sampled)


def _next(rows: Sequence[sa.Row[Any]], wanted: Wanted, reach: Reach) -> str | None:
    by_date = wanted.sort is Sort.DATE
    if len(rows) > wanted.limit:
        last = rows[wanted.limit - 1]
        if by_date:
            return Cursor(last.recording_id, live_at=last.by).text()
        return Cursor(last.recording_id, score=last.by, oldest=reach.oldest).text()
    if by_date and reach.oldest is not None:
        return Cursor(reach.oldest.recording_id, live_at=reach.oldest.live_at).text()
    return None


async def _page(
    session: AsyncSession, wanted: Wanted, asked: TsQuery, reach: Reach
) -> Sequence[sa.Row[Any]]:
    """One row more than the page has, if there are more."""
    hits = _hits(wanted.filters, asked, reach)
    found = _by_recording(hits, wanted.sort).subquery()
    page = sa.select(found).order_by(found.c.by.desc(), found.c.recording_id.desc())
    after = wanted.after
    if after is not None and after.score is not None:
        place = sa.tuple_(found.c.by, found.c.recording_id)
        page = page.where(
            place < sa.tuple_(sa.literal(after.score, sa.Double), sa.literal(after.recording_id))
        )
    return (await session.execute(page.limit(wanted.limit + 1))).all()


def _hits(filters: Filters, asked: TsQuery, reach: Reach) -> sa.Subquery:
    """The cues that match, each with its rank and its place in its recording."""
    conditions = [
        SearchedCue.vector.op("@@")(sa.cast(asked.matches, TSQUERY)),
        reach.of_cue(),
        _heard(filters),
    ]
    if filters.language is not None:
        conditions.append(SearchedCue.language == base_language(filters.language))
    rank = sa.func.ts_rank_cd(SearchedCue.vector, sa.cast(asked.ranks, TSQUERY), type_=sa.Double)
    hits = (
        sa.select(
            SearchedCue.cue_id, SearchedCue.recording_id, SearchedCue.start_ms, rank.label("rank")
        )
        .where(*conditions)
        .limit(MOST_MATCHES)
        .subquery()
    )
    order = [hits.c.rank.desc(), hits.c.start_ms, hits.c.cue_id]
    place = sa.func.row_number().over(partition_by=hits.c.recording_id, order_by=order)
    return sa.select(hits, place.label("place")).subquery()


def _heard(filters: Filters) -> sa.ColumnElement[bool]:
    """The speaker agrees to be heard, and is the one who is asked for."""
    conditions = [
        Participant.id == SearchedCue.participant_id,
        Participant.consented_at.is_not(None),
    ]
    if filters.speaker_id is not None:
        conditions.append(Participant.user_id == filters.speaker_id)
    return sa.exists().where(*conditions)


def _by_recording(hits: sa.Subquery, sort: Sort) -> sa.Select[Any]:
    matches = sa.func.count()
    by: sa.ColumnElement[Any]
    if sort is Sort.DATE:
        by = (
            sa.select(SearchedRecording.live_at)
            .where(SearchedRecording.recording_id == hits.c.recording_id)
            .scalar_subquery()
        )
    else:
        by = sa.func.max(hits.c.rank) * (1 + sa.func.ln(sa.cast(matches, sa.Double)))
    best = sa.func.array_agg(aggregate_order_by(hits.c.cue_id, hits.c.place), type_=_UUIDS)
    return sa.select(
        hits.c.recording_id,
        by.label("by"),
        matches.label("matches"),
        best.filter(hits.c.place <= BEST_MOMENTS).label("best"),
        sa.func.count().over().label("all_recordings"),
        sa.func.sum(matches).over().label("all_matches"),
    ).group_by(hits.c.recording_id)
