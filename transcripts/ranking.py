"""The cues that match, ranked, and gathered by recording: one statement."""

from collections.abc import Sequence
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


async def ranked_recordings(
    session: AsyncSession,
    asked: TsQuery,
    reach: Reach,
    *,
    sort: Sort,
    after: Cursor | None,
    limit: int,
) -> Sequence[sa.Row[Any]]:
    """Rows of `recording_id`, `sort_key` (a score or a time), `matches`, `best` (ids of cues);
    and the same in each: `all_recordings`, `all_matches`, `oldest` (when it went live)."""
    language = reach.filters.language
    values: dict[str, object] = {
        "matches": asked.matches,
        "ranks": asked.ranks,
        "language": None if language is None else base_language(language),
        "limit": limit,
    }
    told, last = sa.select(sa.text("*")), after if sort is Sort.RELEVANCE else None
    if last is not None:
        told = told.where(sa.text("(sort_key, recording_id) < (:score, :last_id)"))
        values |= {"score": last.score, "last_id": last.recording_id}
    if reach.recordings is None:
        told = told.select_from(_TOLD[sort, False]).add_cte(reach.audible_rooms)
        values["enough"] = reach.effort.enough_matches
    else:
        told = told.select_from(_TOLD[sort, True])
        values["recordings"] = list(reach.recordings)
    told = told.add_cte(reach.heard_people).order_by(_ORDER).limit(sa.bindparam("limit"))
    rows: Sequence[sa.Row[Any]] = (await session.execute(told, values)).all()
    return rows


_OF_LANGUAGE: Final = "(cast(:language as text) is null or language = cast(:language as text))"
_HIT: Final = "cue_id, recording_id, start_ms, ts_rank_cd(vector, cast(:ranks as tsquery)) as rank"
_HEARD: Final = "(select true from heard_people where heard_people.id = participant_id)"
"""A subquery for each cue, since a join makes PostgreSQL read all participants there are."""

_LOOKED_UP: Final = f"""
    select {_HIT}
    from (
        with matches as materialized (
            select * from transcript_searched_cue
            where vector @@ cast(:matches as tsquery) and {_OF_LANGUAGE}
        )
        select matches.*, live_at from matches join audible_rooms using (recording_id)
        order by live_at desc offset 0
    ) as newest
    where {_HEARD}
    order by live_at desc fetch first (cast(:enough as bigint)) rows with ties
"""  # noqa: S608 - of constants
"""All that the index has, then of it the newest that the caller may hear.

In steps which PostgreSQL must not mix: it would ask the index once for each room, and for each
cue's speaker before it knows which cues are the newest.
"""

_READ: Final = f"""
    select {_HIT}
    from transcript_searched_cue
    where recording_id = any(:recordings) and (vector @@ cast(:matches as tsquery)) is true
    and {_OF_LANGUAGE} and {_HEARD}
"""  # noqa: S608 - of constants
"""Whatever matches in these recordings, without the index: `is true` hides it."""


def _told(key: str, hits: str) -> sa.TextClause:
    return sa.text(
        f"""
        (
            select
                recording_id, matches, best, {key} as sort_key,
                count(*) over () as all_recordings,
                sum(matches) over () as all_matches,
                min(live_at) over () as oldest
            from (
                select
                    recording_id, count(*) as matches,
                    max(rank) * (1 + ln(count(*))) as score,
                    array_agg(cue_id order by place) filter (where place <= {BEST_MOMENTS}) as best
                from (
                    select *, row_number() over (
                        partition by recording_id order by rank desc, start_ms, cue_id
                    ) as place
                    from ({hits}) as hits
                ) as placed
                group by recording_id
            ) as found
            join transcript_searched using (recording_id)
        ) as told
        """  # noqa: S608 - of constants
    )


_TOLD: Final = {
    (sort, read): _told(key, _READ if read else _LOOKED_UP)
    for sort, key in {Sort.RELEVANCE: "score", Sort.DATE: "live_at"}.items()
    for read in (False, True)
}
_ORDER: Final = sa.text("sort_key desc, recording_id desc")
