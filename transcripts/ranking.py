"""The cues that match, ranked, and gathered by recording: one statement.

There are two ways to them. Common words soon turn up in the newest recordings that the caller may
hear, so these are read, one after the other, until there are enough. Others are looked up in the
index, and what is found is held against the rooms. Either way what is left out is older than all
that the caller is told of: no limit comes before the question whether he may hear it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from transcripts.cursor import Cursor
from transcripts.languages import base_language
from transcripts.query import TsQuery
from transcripts.reach import Reach

BEST_MOMENTS: Final = 3


class Sort(StrEnum):
    RELEVANCE = "relevance"
    DATE = "date"
    """The newest recordings first."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Rows of `recording_id`, `sort_key` (a score or a time), `matches`, `best` (ids of cues);
    and the same in each: `all_recordings`, `all_matches`, `oldest` (when it went live)."""

    rows: Sequence[sa.Row[Any]]
    cut: bool
    """There may be more than was read; or more than was looked up, so the rows say nothing."""

    @property
    def matches(self) -> int:
        return int(self.rows[0].all_matches) if self.rows else 0


@dataclass(frozen=True, slots=True)
class Page:
    """What is wanted of what is found."""

    sort: Sort
    after: Cursor | None
    limit: int


async def best_recordings(
    session: AsyncSession, asked: TsQuery, reach: Reach, page: Page
) -> Sequence[sa.Row[Any]]:
    """All there are, or the best of those with the newest matches, of which there are enough."""
    effort, ranked = reach.effort, None
    if await _expected(session, asked) < effort.common:
        ranked = await _looked_up(session, asked, reach, page, effort.most_looked_up)
    if ranked is None or ranked.cut:
        ranked = await _read(session, asked, reach, page)
    if ranked.cut and ranked.matches < effort.enough_matches:
        ranked = await _looked_up(session, asked, reach, page, None)
    return ranked.rows


async def _expected(session: AsyncSession, asked: TsQuery) -> float:
    """How many cues match, as PostgreSQL would plan with."""
    plan = await session.scalar(_MATCHING, {"matches": asked.matches})
    plan = json.loads(plan) if isinstance(plan, str) else plan
    return float(plan[0]["Plan"]["Plan Rows"])


_MATCHING: Final = sa.text(
    "explain (format json)"
    " select from transcript_searched_cue where vector @@ cast(:matches as tsquery)"
)


async def _read(session: AsyncSession, asked: TsQuery, reach: Reach, page: Page) -> Ranked:
    effort = reach.effort
    times = 1 if reach.filters.speaker_id is None else effort.people
    values: dict[str, object] = {
        "platform_id": reach.platform_id,
        "cues": effort.most_cues * times,
        "recordings": effort.most_recordings * times,
    }
    return await _ranked(session, asked, reach, page, _READ[page.sort, reach.key], values)


async def _looked_up(
    session: AsyncSession, asked: TsQuery, reach: Reach, page: Page, most: int | None
) -> Ranked:
    """`most` of all that match, whoever may hear them; None for all."""
    statement = _LOOKED_UP[page.sort, reach.key]
    return await _ranked(session, asked, reach, page, statement, {"most": most})


async def _ranked(
    session: AsyncSession,
    asked: TsQuery,
    reach: Reach,
    page: Page,
    statement: sa.TextClause,
    values: dict[str, object],
) -> Ranked:
    language, after = reach.filters.language, page.after
    values |= {"matches": asked.matches, "ranks": asked.ranks, "limit": page.limit}
    values["language"] = None if language is None else base_language(language)
    values["enough"] = reach.effort.enough_matches
    if page.sort is Sort.RELEVANCE:
        values["score"] = None if after is None else after.score
        values["last_id"] = None if after is None else after.recording_id
    told = sa.select(sa.text("*")).select_from(statement)
    told = told.add_cte(reach.audible).add_cte(reach.heard_people)
    told = told.order_by(_ORDER).limit(sa.bindparam("limit"))
    rows = (await session.execute(told, values)).all()
    return Ranked([row for row in rows if row.recording_id is not None], cut=rows[0].cut)


_OF_LANGUAGE: Final = "(cast(:language as text) is null or language = cast(:language as text))"
_HEARD: Final = "(select true from heard_people where heard_people.id = participant_id)"
"""A subquery for each cue, since a join makes PostgreSQL read all participants there are."""

_NEWEST: Final = """
    with newest as materialized (
        select key, live_at,
            sum(cues) over (order by live_at desc) - sum(cues) over (partition by live_at) as newer
        from (
            select key, searched.live_at, cues
            from transcript_searched as searched join audible using (recording_id)
            where platform_id = :platform_id
            order by searched.live_at desc
            fetch first (cast(:recordings as bigint)) rows with ties
        ) as listed
    ), bound as (
        select count(*) >= cast(:recordings as bigint) or max(newer) >= :cues as cut from newest
    )
"""
"""`newer`: cues in those that went live later."""

_TO_READ: Final = """
    select key as at, live_at from newest where newer < :cues order by live_at desc
"""
_MATCHES: Final = f"""
    with matches as materialized (
        select ctid as place, {{key}} as key from transcript_searched_cue
        where vector @@ cast(:matches as tsquery) and {_OF_LANGUAGE}
        limit cast(:most as bigint)
    ), bound as (
        select count(*) >= cast(:most as bigint) as cut from matches
    )
"""  # noqa: S608 - of constants
_TO_LOOK_AT: Final = """
    select place as at, live_at from matches join audible using (key) order by live_at desc
"""
_IN_WHAT_IS_READ: Final = f"""
    {{key}} = at and (vector @@ cast(:matches as tsquery)) is true and {_OF_LANGUAGE}
"""
"""`is true` hides it from the index."""

_LATER: Final = """cast(:score as float8) is null
    or (sort_key, recording_id) < (cast(:score as float8), cast(:last_id as uuid))"""


def _hits(among: str, where: str) -> str:
    """The newest matches, one recording after the other until there are enough."""
    return f"""
        select
            cue_id, recording_id, live_at, start_ms,
            ts_rank_cd(vector, cast(:ranks as tsquery)) as rank
        from ({among} offset 0) as among cross join lateral (
            select * from transcript_searched_cue where {where} and {_HEARD} offset 0
        ) as cue
        order by live_at desc fetch first (cast(:enough as bigint)) rows with ties
    """  # noqa: S608 - of constants


def _told(sort: Sort, ways: str, hits: str) -> sa.TextClause:
    """One row at least, with `cut`."""
    key, later = ("score", _LATER) if sort is Sort.RELEVANCE else ("live_at", "true")
    return sa.text(
        f"""
        (
            {ways}
            select gathered.*, coalesce(cut, false) as cut from bound left join (
                select
                    recording_id, matches, best, {key} as sort_key,
                    count(*) over () as all_recordings,
                    sum(matches) over () as all_matches,
                    min(live_at) over () as oldest
                from (
                    select
                        recording_id, live_at, count(*) as matches,
                        max(rank) * (1 + ln(count(*))) as score,
                        array_agg(cue_id order by place)
                            filter (where place <= {BEST_MOMENTS}) as best
                    from (
                        select *, row_number() over (
                            partition by recording_id order by rank desc, start_ms, cue_id
                        ) as place
                        from ({hits}) as hits
                    ) as placed
                    group by recording_id, live_at
                ) as found
            ) as gathered on {later}
        ) as told
        """  # noqa: S608 - of constants
    )


_KEYS: Final = ("recording_id", "participant_id")
_READ: Final = {
    (sort, key): _told(sort, _NEWEST, _hits(_TO_READ, _IN_WHAT_IS_READ.format(key=key)))
    for sort in Sort
    for key in _KEYS
}
_LOOKED_UP: Final = {
    (sort, key): _told(sort, _MATCHES.format(key=key), _hits(_TO_LOOK_AT, "ctid = at"))
    for sort in Sort
    for key in _KEYS
}
_ORDER: Final = sa.text("sort_key desc nulls last, recording_id desc")
