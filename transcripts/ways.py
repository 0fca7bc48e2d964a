"""Which way a search goes to what it finds, so that it touches little more than it tells.

What is expected comes from the planner's statistics, which PostgreSQL keeps anyway. They may be
wrong, and how much of it the caller may hear is not known before: so what comes of one way decides
on the next. Whichever it is, the answer is the same: the newest matches, enough of them or all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from core.statements import ask
from transcripts.query import TsQuery
from transcripts.ranking import Page, Ranked, Times, look_up, read
from transcripts.reach import Reach
from transcripts.tags import tags_between

BEGUN: Final = 4
"""So many times more begins with a few letters than the statistics have of it, where more than a
hundred words do: a guess."""

MOST_OF_IT: Final = 1 / 3
"""Of all cues: a time in which more than that was said is not worth telling from all times."""

LONGER: Final = 2.5
"""So many times longer is the time that is turned to where too little was said in the first."""

MOST_OF_MORE: Final = 1 / 2
"""The same of the longer time."""

SAMPLED: Final = 50
"""Recordings of which it is asked whether the caller may hear them."""


@dataclass(frozen=True, slots=True)
class Expected:
    matches: float
    """What the index finds: of phrases, all cues with their words."""

    cues: float
    """That there are at all."""

    @property
    def share(self) -> float:
        return self.matches / self.cues

    def at_least(self, matches: float) -> "Expected":
        more = max(matches, self.matches)
        return Expected(more, max(more, self.cues))


@dataclass(frozen=True, slots=True)
class Lately:
    """`heard`: share of the newest recordings that the caller may hear. `tags`: of a time, in which
    `share` of all cues were said; none where that is always. `more_tags`: of one `LONGER`."""

    heard: float
    share: float
    tags: Sequence[str]
    more_tags: Sequence[str]


async def best_recordings(
    connection: asyncpg.Connection, asked: TsQuery, reach: Reach, page: Page
) -> Sequence[asyncpg.Record]:
    """All there are, or the best of those with the newest matches, of which there are enough.

    How many cues with its words have a phrase is not known, so all of these are looked up.
    """
    effort, expected = reach.effort, await _expected(connection, asked, reach)
    if reach.is_one_room:
        ranked = await read(connection, asked, reach, page)
    elif asked.side_by_side:
        ranked = await look_up(connection, asked, reach, page)
    elif expected.share >= effort.common:
        ranked = await _read(connection, asked, reach, page)
    elif expected.matches <= effort.few:
        ranked = await look_up(connection, asked, reach, page, most=effort.most_looked_up)
        if ranked.cut:
            ranked = await _many(connection, asked, reach, page, expected.at_least(ranked.seen))
    else:
        ranked = await _many(connection, asked, reach, page, expected)
    if _lacks(ranked, reach):
        ranked = await look_up(connection, asked, reach, page)
    return ranked.rows


def _lacks(ranked: Ranked, reach: Reach) -> bool:
    return ranked.cut and ranked.matches < reach.effort.enough_matches


async def _read(connection: asyncpg.Connection, asked: TsQuery, reach: Reach, page: Page) -> Ranked:
    """The newest few recordings; where that was not enough, more of them."""
    few = await read(connection, asked, reach, page, most=reach.effort.first_recordings)
    return await read(connection, asked, reach, page) if _lacks(few, reach) else few


async def _many(
    connection: asyncpg.Connection, asked: TsQuery, reach: Reach, page: Page, expected: Expected
) -> Ranked:
    """Looks up what was said lately; of who hears little, reads it or looks up all."""
    effort = reach.effort
    cues = effort.spare * effort.enough_matches / expected.share
    lately = await _lately(connection, reach, page, cues, expected)
    if lately.heard < effort.little:
        return await _little(connection, asked, reach, page, expected, lately.heard)
    ranked = await _within(connection, asked, reach, page, lately)
    if not _lacks(ranked, reach):
        return ranked
    if ranked.seen >= effort.most_looked_up:
        return await read(connection, asked, reach, page)
    cues *= LONGER if ranked.longer else 1
    times = effort.spare * effort.enough_matches / max(ranked.matches, 1)
    lately = await _lately(connection, reach, page, times * cues, expected)
    return await _within(connection, asked, reach, page, lately)


async def _little(
    connection: asyncpg.Connection,
    asked: TsQuery,
    reach: Reach,
    page: Page,
    expected: Expected,
    heard: float,
) -> Ranked:
    """Of who hears little: what costs less."""
    effort = reach.effort
    of_all = min(heard * expected.cues, effort.most_cues)
    to_read = min(effort.enough_matches / expected.share, of_all)
    if expected.matches <= to_read * effort.reading:
        return await look_up(connection, asked, reach, page, most=effort.most_looked_up)
    return await read(connection, asked, reach, page)


async def _within(
    connection: asyncpg.Connection, asked: TsQuery, reach: Reach, page: Page, lately: Lately
) -> Ranked:
    """All, where by what was said lately these are few; of a longer time, where it is too little.

    So what would fall short is told before it is ranked.
    """
    effort, times = reach.effort, None
    if lately.tags:
        few, short = lately.share * effort.few, effort.enough_matches / lately.heard
        times = Times(lately.tags, lately.more_tags, few, short)
    return await look_up(connection, asked, reach, page, times, most=effort.most_looked_up)


async def _expected(connection: asyncpg.Connection, asked: TsQuery, reach: Reach) -> Expected:
    expected = await expect(
        connection, asked.counted if reach.tag is None else f"({asked.counted}) & '{reach.tag}'"
    )
    return expected.at_least(BEGUN * expected.matches) if asked.begun else expected


async def expect(connection: asyncpg.Connection, words: str) -> Expected:
    """Of a tsquery, as PostgreSQL would plan with."""
    [[plan]] = await ask(connection, _MATCHING, {"words": words})
    found, all_ = (float(one["Plan Rows"]) for one in plan[0]["Plan"]["Plans"])
    return Expected(found, max(all_, found))


_MATCHING: Final = """
    explain (format json)
    select 1 from transcript_searched_cue where vector @@ cast(:words as tsquery)
    union all
    select 1 from transcript_searched_cue
"""


async def _lately(
    connection: asyncpg.Connection, reach: Reach, page: Page, cues: float, expected: Expected
) -> Lately:
    """The time in which the caller could hear about the newest `cues`."""
    after = None if page.after is None else page.after.live_at
    until = min((end for end in (reach.filters.until, after) if end is not None), default=None)
    values = {
        "platform_id": reach.platform_id,
        "until": until,
        "cues": cues,
        "most": MOST_OF_IT * expected.cues,
    }
    [(heard, oldest, newest)] = await reach.ask(connection, _SPAN, values)
    share = cues / heard / expected.cues
    if oldest is None or newest is None:
        return Lately(heard, share, [], [])
    before = newest - LONGER * (newest - oldest)
    tags, more = (tags_between(reach.platform_id, since, newest) for since in (oldest, before))
    return Lately(heard, share, tags, more if LONGER * share < MOST_OF_MORE else [])


_NEWEST: Final = """
    from transcript_searched
    where platform_id = :platform_id
    and live_at <= coalesce(cast(:until as timestamptz), 'infinity')
"""
_SPAN: Final = f"""
    (
        with newest as materialized (
            select live_at, cues, case when
                (select true from audible where audible.recording_id = searched.recording_id)
                then 1.0 else 0.0 end as heard
            from (
                select recording_id, live_at, cues {_NEWEST} order by live_at desc limit {SAMPLED}
            ) as searched
        ), sample as materialized (
            select
                max(live_at) as newest, greatest(avg(cues), 1) as in_each,
                cast(greatest(avg(heard), {0.5 / SAMPLED}) as float8) as heard
            from newest
        )
        select
            heard,
            case when cast(:cues as float8) < heard * cast(:most as float8) then (
                select live_at {_NEWEST} order by live_at desc
                offset (select ceil(:cues / heard / in_each) from sample) limit 1
            ) end,
            newest
        from sample
    ) as span
"""  # noqa: S608 - of constants
"""As if all recordings were as long as the newest, and the caller might hear as many of them: it
need not be exact."""
