"""The cues that match, ranked, and gathered by recording: one statement.

It comes by them in one of two ways (`transcripts.ways`). Either the newest recordings that the
caller may hear are read, one after the other, until there are enough; or matches are looked up in
the index, and what is found is held against the rooms. Either way what is left out is older than
all that the caller is told of: no limit comes before the question whether he may hear it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import asyncpg

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
class Page:
    """What is wanted of what is found."""

    sort: Sort
    after: Cursor | None
    limit: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """Rows of `recording_id`, `sort_key` (a score or a time), `matches`, `best` (ids of cues), and
    what is told of the room. The same in each: `all_recordings`, `all_matches`, `oldest` (when it
    went live)."""

    rows: Sequence[asyncpg.Record]
    cut: bool
    """More may match than was read or looked up, all of it older."""

    seen: int
    """Cues that were looked at, whoever may hear them."""

    longer: bool = False
    """Those of `Times.more_tags` were."""

    @property
    def matches(self) -> int:
        return int(self.rows[0]["all_matches"]) if self.rows else 0


@dataclass(frozen=True, slots=True)
class Times:
    """Cues with one of `tags`. If fewer than `few` of these have the words, all cues; if fewer than
    `short`, those with one of `more_tags`, or all if there are none."""

    tags: Sequence[str]
    more_tags: Sequence[str]
    few: float
    short: float

    @property
    def values(self) -> Mapping[str, object]:
        return {
            "times": _any(self.tags),
            "more_times": _any(self.more_tags or self.tags),
            "few": self.few if self.more_tags else max(self.few, self.short),
            "short": self.short,
        }


def _any(tags: Sequence[str]) -> str:
    return " | ".join(f"'{tag}'" for tag in tags)


async def read(
    connection: asyncpg.Connection,
    asked: TsQuery,
    reach: Reach,
    page: Page,
    *,
    most: int | None = None,
) -> Ranked:
    """What matches in the newest recordings that the caller may hear, of which `most` are read."""
    values: dict[str, object] = {
        "platform_id": reach.platform_id,
        "cues": reach.effort.most_cues,
        "matches": asked.matches if reach.tag is None else f"({asked.matches}) & '{reach.tag}'",
    }
    recordings = reach.effort.most_recordings if most is None else most
    statement = _written_out(_READ[page.sort], recordings=recordings)
    rows = await _ranked(connection, asked, reach, page, statement, values)
    return Ranked(_told_of(rows), rows[0]["cut"], seen=0)


async def look_up(
    connection: asyncpg.Connection,
    asked: TsQuery,
    reach: Reach,
    page: Page,
    times: Times | None = None,
    *,
    most: int | None = None,
) -> Ranked:
    """What matches among the cues of these times; among all, where there are none.

    Where as many as `most` have its words, whoever may hear them, nothing is told.
    """
    values: dict[str, object] = {"matches": asked.matches, "words": asked.words}
    if times is not None:
        values |= times.values
    if reach.tag is not None:
        values["tag"] = f"'{reach.tag}'"
    statement = _LOOKED_UP[page.sort, times is not None, reach.tag is not None]
    statement = _written_out(statement, most=most)
    rows = await _ranked(connection, asked, reach, page, statement, values)
    return Ranked(
        [] if rows[0]["cut"] else _told_of(rows),
        cut=rows[0]["cut"] or not rows[0]["whole"],
        seen=rows[0]["seen"],
        longer=rows[0]["short"],
    )


def _written_out(statement: str, **bounds: int | None) -> str:
    """With numbers for `:names`, which the plan has to know: it does not know the other values."""
    for name, bound in bounds.items():
        statement = statement.replace(f":{name}", "null" if bound is None else str(bound))
    return statement


def _told_of(rows: Sequence[asyncpg.Record]) -> Sequence[asyncpg.Record]:
    return [row for row in rows if row["recording_id"] is not None]


async def _ranked(
    connection: asyncpg.Connection,
    asked: TsQuery,
    reach: Reach,
    page: Page,
    statement: str,
    values: dict[str, object],
) -> Sequence[asyncpg.Record]:
    language, after = reach.filters.language, page.after
    values |= {"ranks": asked.ranks, "limit": page.limit, "enough": reach.effort.enough_matches}
    values["language"] = None if language is None else base_language(language)
    if page.sort is Sort.RELEVANCE:
        values["score"] = None if after is None else after.score
        values["last_id"] = None if after is None else after.recording_id
    return await reach.ask(connection, statement, values)


_OF_LANGUAGE: Final = "(cast(:language as text) is null or language = cast(:language as text))"
_HEARD: Final = "(select true from heard_people where heard_people.id = participant_id)"
"""A subquery for each cue, since a join makes PostgreSQL read all participants there are."""

_NEWEST: Final = """
    with newest as materialized (
        select recording_id, live_at,
            sum(cues) over (order by live_at desc) - sum(cues) over (partition by live_at) as newer
        from (
            select recording_id, searched.live_at, cues
            from transcript_searched as searched join audible using (recording_id)
            where platform_id = :platform_id
            order by searched.live_at desc
            fetch first (:recordings) rows with ties
        ) as listed
    ), bound as (
        select count(*) >= :recordings or max(newer) >= :cues as cut, 0 as seen,
            true as whole, false as short
        from newest
    )
"""
"""`newer`: cues in those that went live later. Who hears fewer than `:recordings` is looked for
among rooms, who hears more from the newest recording on."""

_TO_READ: Final = """
    select recording_id as at, live_at from newest where newer < :cues order by live_at desc
"""
_IN_WHAT_IS_READ: Final = f"""
    recording_id = at and (vector @@ cast(:matches as tsquery)) is true and {_OF_LANGUAGE}
"""
"""`is true` hides it from the index."""

_OF_ALL: Final = f"""
    select ctid as place, recording_id, live_at from transcript_searched_cue
    where vector @@ cast(:words as tsquery) and {_OF_LANGUAGE}
"""  # noqa: S608 - of constants
_TAGGED: Final = "and vector @@ cast(:tag as tsquery)"
"""A condition of its own, as for times: only between these does the index leap."""

_MATCHES: Final = """
    with whole as (select true as whole, false as short), matches as materialized (
        {of_all} limit :most
    ), {bound}
"""
_LATELY: Final = """
    with lately as materialized (
        {of_all} and vector @@ cast(:times as tsquery) limit :most
    ), whole as materialized (
        select
            count(*) < cast(:few as float8) as whole, count(*) < cast(:short as float8) as short
        from lately
    ), matches as materialized (
        select * from lately where (select not whole and not short from whole)
        union all
        (select * from ({of_all} and vector @@ cast(:more_times as tsquery)) as more
        where (select not whole and short from whole)
        limit :most)
        union all
        (select * from ({of_all}) as every where (select whole from whole)
        limit :most)
    ), {bound}
"""
"""`more` and `every` are not looked for unless they are to be."""

_BOUND: Final = """
    bound as (
        select count(*) >= :most as cut, count(*) as seen,
            (select whole from whole) as whole, (select short from whole) as short
        from matches
    )
"""
_TO_LOOK_AT: Final = """
    select place as at, live_at
    from (select * from matches order by live_at desc offset 0) as newest
    cross join lateral (
        select from audible where audible.recording_id = newest.recording_id offset 0
    ) as heard
    order by live_at desc
"""
"""From the newest on: rooms of what is older than enough are not asked for."""
_ORDER: Final = "sort_key desc nulls last, recording_id desc"
_LATER: Final = """cast(:score as float8) is null
    or (sort_key, recording_id) < (cast(:score as float8), cast(:last_id as uuid))"""


def _hits(among: str, where: str) -> str:
    """The newest matches, one recording after the other until there are enough."""
    return f"""
        select
            cue_id, recording_id, among.live_at, start_ms,
            ts_rank_cd(vector, cast(:ranks as tsquery)) as rank
        from ({among} offset 0) as among cross join lateral (
            select * from transcript_searched_cue where {where} and {_HEARD} offset 0
        ) as cue
        order by among.live_at desc fetch first (cast(:enough as bigint)) rows with ties
    """  # noqa: S608 - of constants


def _told(sort: Sort, ways: str, hits: str) -> str:
    """One row at least, with `cut`, `seen`, `whole` and `short`."""
    key, later = ("score", _LATER) if sort is Sort.RELEVANCE else ("live_at", "true")
    return f"""
        (
            {ways}, told as (
                select gathered.*, coalesce(cut, false) as cut, seen, whole, short
                from bound left join (
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
                order by {_ORDER} limit :limit
            )
            select
                told.*, room.id as room_id, room.title, room.host_id, room.topics,
                room.live_at, room.duration_ms, host.display_name as host
            from told
            left join room on room.recording_id = told.recording_id
            left join user_account as host on host.id = room.host_id
        ) as told
        order by {_ORDER}
        """  # noqa: S608 - of constants


_READ: Final = {sort: _told(sort, _NEWEST, _hits(_TO_READ, _IN_WHAT_IS_READ)) for sort in Sort}
_LOOKED_UP: Final = {
    (sort, lately, bool(tagged)): _told(
        sort,
        (_LATELY if lately else _MATCHES).format(of_all=_OF_ALL + tagged, bound=_BOUND),
        _hits(_TO_LOOK_AT, "ctid = at and vector @@ cast(:matches as tsquery)"),
    )
    for sort in Sort
    for lately in (False, True)
    for tagged in ("", _TAGGED)
}
"""Whether there are `times`, and a tag."""
