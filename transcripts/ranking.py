"""The cues that match, ranked, and gathered by recording: one statement."""

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
    too_many: bool
    """There were more matches than may be looked up: the rows say nothing."""


async def ranked_recordings(
    session: AsyncSession,
    asked: TsQuery,
    reach: Reach,
    *,
    sort: Sort,
    after: Cursor | None,
    limit: int,
) -> Ranked:
    values: dict[str, object] = {"matches": asked.matches, "ranks": asked.ranks, "limit": limit}
    language = reach.filters.language
    values["language"] = None if language is None else base_language(language)
    if sort is Sort.RELEVANCE:
        values["score"] = None if after is None else after.score
        values["last_id"] = None if after is None else after.recording_id
    told = sa.select(sa.text("*")).add_cte(reach.heard_people)
    if reach.recordings is None:
        told = told.select_from(_LOOKED_UP[sort]).add_cte(reach.audible_rooms)
        values["enough"] = reach.effort.enough_matches
        values["most"] = reach.effort.most_looked_up
    else:
        told = told.select_from(_READ[sort])
        values["recordings"] = list(reach.recordings)
    page = told.order_by(_ORDER).limit(sa.bindparam("limit"))
    rows = (await session.execute(page, values)).all()
    found = [row for row in rows if row.recording_id is not None]
    return Ranked(found, too_many=rows[0].too_many)


_OF_LANGUAGE: Final = "(cast(:language as text) is null or language = cast(:language as text))"
_HIT: Final = "cue_id, recording_id, start_ms, ts_rank_cd(vector, cast(:ranks as tsquery)) as rank"
_HEARD: Final = "(select true from heard_people where heard_people.id = participant_id)"
"""A subquery for each cue, since a join makes PostgreSQL read all participants there are."""

_NEWEST_OF_MATCHES: Final = f"""
    select {_HIT}
    from (
        select matches.*, live_at from matches join audible_rooms using (recording_id)
        order by live_at desc offset 0
    ) as newest
    where {_HEARD}
    order by live_at desc fetch first (cast(:enough as bigint)) rows with ties
"""  # noqa: S608 - of constants
"""In steps which PostgreSQL must not mix: it would ask the index once for each room, and for
each cue's speaker before it knows which cues are the newest."""

_OF_RECORDINGS: Final = f"""
    select {_HIT}
    from transcript_searched_cue
    where recording_id = any(:recordings) and (vector @@ cast(:matches as tsquery)) is true
    and {_OF_LANGUAGE} and {_HEARD}
"""  # noqa: S608 - of constants
"""Whatever matches in these, without the index: `is true` hides it."""

_MATCHES: Final = f"""
    with matches as materialized (
        select * from transcript_searched_cue
        where vector @@ cast(:matches as tsquery) and {_OF_LANGUAGE}
        limit cast(:most as bigint)
    )
"""  # noqa: S608 - of constants
_TOO_MANY: Final = "(select count(*) >= cast(:most as bigint) as too_many from matches)"
_NEVER_TOO_MANY: Final = "(select false as too_many)"
_LATER: Final = """cast(:score as float8) is null
    or (sort_key, recording_id) < (cast(:score as float8), cast(:last_id as uuid))"""


def _told(sort: Sort, hits: str, *, matches: str, too_many: str) -> sa.TextClause:
    """One row at least, with `too_many`."""
    key, later = ("score", _LATER) if sort is Sort.RELEVANCE else ("live_at", "true")
    return sa.text(
        f"""
        (
            {matches}
            select * from {too_many} as bound left join (
                select
                    recording_id, matches, best, {key} as sort_key,
                    count(*) over () as all_recordings,
                    sum(matches) over () as all_matches,
                    min(live_at) over () as oldest
                from (
                    select
                        recording_id, count(*) as matches,
                        max(rank) * (1 + ln(count(*))) as score,
                        array_agg(cue_id order by place)
                            filter (where place <= {BEST_MOMENTS}) as best
                    from (
                        select *, row_number() over (
                            partition by recording_id order by rank desc, start_ms, cue_id
                        ) as place
                        from ({hits}) as hits
                    ) as placed
                    group by recording_id
                ) as found
                join transcript_searched using (recording_id)
            ) as gathered on {later}
        ) as told
        """  # noqa: S608 - of constants
    )


_LOOKED_UP: Final = {
    sort: _told(sort, _NEWEST_OF_MATCHES, matches=_MATCHES, too_many=_TOO_MANY) for sort in Sort
}
"""All that the index has, then of it the newest that the caller may hear."""

_READ: Final = {
    sort: _told(sort, _OF_RECORDINGS, matches="", too_many=_NEVER_TOO_MANY) for sort in Sort
}
_ORDER: Final = sa.text("sort_key desc nulls last, recording_id desc")
