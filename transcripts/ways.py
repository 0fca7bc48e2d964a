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
from transcripts.ranking import Page, Ranked, look_up, read
from transcripts.reach import Reach
from transcripts.tags import tags_between

BEGUN: Final = 4
"""So many times more begins with a few letters than the statistics have of it, where more than a
hundred words do: a guess."""

MOST_OF_IT: Final = 1 / 3
"""Of all cues: a time in which more than that was said is not worth telling from all times."""

LITTLE: Final = 0.1
"""Share of recordings of which it is quicker to read what the caller may hear."""


@dataclass(frozen=True, slots=True)
class Expected:
    matches: float
    """What the index finds: of phrases, all cues with their words."""

    cues: float
    """That there are at all."""

    @property
    def share(self) -> float:
        return self.matches / self.cues

    def at_least(self, seen: int) -> "Expected":
        return Expected(max(seen, self.matches), self.cues)


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
        ranked = await read(connection, asked, reach, page)
    elif expected.matches <= effort.few:
        ranked = await look_up(connection, asked, reach, page, most=effort.most_looked_up)
        if ranked.cut:
            ranked = await _lately(connection, asked, reach, page, expected.at_least(ranked.seen))
    else:
        ranked = await _lately(connection, asked, reach, page, expected)
    if _lacks(ranked, reach):
        ranked = await look_up(connection, asked, reach, page)
    return ranked.rows


def _lacks(ranked: Ranked, reach: Reach) -> bool:
    return ranked.cut and ranked.matches < reach.effort.enough_matches


async def _lately(
    connection: asyncpg.Connection, asked: TsQuery, reach: Reach, page: Page, expected: Expected
) -> Ranked:
    """Looks up what was said lately; where that was not enough, a longer time or by reading."""
    effort = reach.effort
    cues = min(effort.spare * effort.enough_matches / expected.share, expected.cues)
    ranked = await _within(connection, asked, reach, page, cues, expected)
    if not _lacks(ranked, reach):
        return ranked
    times = min(effort.spare * effort.enough_matches / max(ranked.matches, 1), expected.cues / cues)
    little_heard = ranked.heard < LITTLE and times * ranked.seen > effort.few
    if little_heard or ranked.seen >= effort.most_looked_up:
        return await read(connection, asked, reach, page)
    return await _within(connection, asked, reach, page, times * cues, expected)


async def _within(
    connection: asyncpg.Connection,
    asked: TsQuery,
    reach: Reach,
    page: Page,
    cues: float,
    expected: Expected,
) -> Ranked:
    """What was said while about the newest `cues` were."""
    worth = cues < MOST_OF_IT * expected.cues
    times = await _newest(connection, reach, page, cues) if worth else []
    return await look_up(
        connection, asked, reach, page, times=times, most=reach.effort.most_looked_up
    )


async def _expected(connection: asyncpg.Connection, asked: TsQuery, reach: Reach) -> Expected:
    """As PostgreSQL would plan with."""
    words = asked.counted if reach.tag is None else f"({asked.counted}) & '{reach.tag}'"
    [[plan]] = await ask(connection, _MATCHING, {"words": words})
    found, all_ = (float(one["Plan Rows"]) for one in plan[0]["Plan"]["Plans"])
    found *= BEGUN if asked.begun else 1
    return Expected(found, max(all_, found))


_MATCHING: Final = """
    explain (format json)
    select 1 from transcript_searched_cue where vector @@ cast(:words as tsquery)
    union all
    select 1 from transcript_searched_cue
"""


async def _newest(
    connection: asyncpg.Connection, reach: Reach, page: Page, cues: float
) -> list[str]:
    """Tags of the time in which about the newest so many were said; none if that is always."""
    after = None if page.after is None else page.after.live_at
    until = min((end for end in (reach.filters.until, after) if end is not None), default=None)
    values = {"platform_id": reach.platform_id, "until": until, "cues": cues}
    [(oldest, newest)] = await ask(connection, _SPAN, values)
    if oldest is None or newest is None:
        return []
    return tags_between(reach.platform_id, oldest, newest)


_NEWEST: Final = """
    from transcript_searched
    where platform_id = :platform_id
    and live_at <= coalesce(cast(:until as timestamptz), 'infinity')
    order by live_at desc
"""
_SPAN: Final = f"""
    with newest as materialized (select live_at, cues {_NEWEST} limit 50)
    select
        (
            select live_at {_NEWEST}
            offset (select ceil(cast(:cues as float8) / greatest(avg(cues), 1)) from newest) limit 1
        ),
        (select max(live_at) from newest)
"""  # noqa: S608 - of constants
"""As if all recordings were as long as the newest: it need not be exact."""
