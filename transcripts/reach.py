"""Where a search looks: of what the caller may hear, narrowed by filters, and how far back.

Who may hear a room is asked of `rooms.access` at each search, so nothing has to be kept in step
with it. Words that are not common are looked up in the index, and what is found is held against
the rooms. Common ones are read for in the newest of the caller's recordings, where they soon
turn up often enough. What is left out either way is older than all that the caller is told of:
no limit comes before the question whether he may hear it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from rooms.access import audible_rooms
from rooms.models import Participant, Room
from rooms.queries import spoken_with_consent
from transcripts.cursor import Cursor

MOST_RECORDINGS: Final = 1_000
"""That are read, whether they hold enough matches or not."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of an archive one search reads, and for how long."""

    timeout_ms: int = 3_000
    """Of one statement."""

    deadline_ms: int = 4_000
    """Of all that a search asks."""

    common: int = 3_000
    """Matches from which on a query's cues are read for rather than looked up."""

    most_looked_up: int = 6_000
    """Where there are as many after all, the statistics were wrong: the query is common."""

    enough_matches: int = 600
    """The newest ones, which are ranked; a few more, so that no recording is cut in two."""

    most_cues: int = 30_000
    """Of which as many as that are hoped for, if matches are common."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which cues of which rooms; None for all."""

    speaker_id: UUID | None = None
    """A user, in whatever room."""

    host_id: UUID | None = None
    room_id: UUID | None = None
    recording_id: UUID | None = None
    topic: str | None = None
    language: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """`audible`: the rooms. `recordings`: the newest of them, to be read; None: look words up.

    `oldest`: when the last of these went live, if there are older ones.
    """

    audible: sa.ColumnElement[bool]
    filters: Filters
    effort: Effort
    recordings: Sequence[UUID] | None = None
    oldest: datetime | None = None

    @property
    def audible_rooms(self) -> sa.CTE:
        """`recording_id` and `live_at` of rooms within reach."""
        return _inlined(
            sa.select(Room.recording_id, Room.live_at).where(self.audible), "audible_rooms"
        )

    @property
    def heard_people(self) -> sa.CTE:
        """`id` of participants who agree to be heard, and are who is asked for."""
        people = sa.select(Participant.id).where(spoken_with_consent())
        if self.filters.speaker_id is not None:
            people = people.where(Participant.user_id == self.filters.speaker_id)
        return _inlined(people, "heard_people")


def _inlined(query: sa.Select[*tuple[Any, ...]], name: str) -> sa.CTE:
    """A part of a statement by its name, which PostgreSQL plans as if it stood in its place."""
    return query.cte(name).prefix_with("not materialized")


@dataclass(frozen=True, slots=True)
class Corpus:
    """How much there is, as PostgreSQL's statistics say; at least 1."""

    cues: float
    recordings: float


async def prepare(session: AsyncSession, effort: Effort) -> Corpus:
    """Settings of the rest of the transaction."""
    sizes = (await session.execute(_PREPARE, {"timeout": str(effort.timeout_ms)})).one()
    return Corpus(max(sizes.cues, 1.0), max(sizes.recordings, 1.0))


_PREPARE: Final = sa.text(
    """
    select
        cues.reltuples as cues, recordings.reltuples as recordings,
        set_config('statement_timeout', :timeout, true),
        set_config('jit', 'off', true),
        set_config('random_page_cost', '1.1', true),
        set_config('max_parallel_workers_per_gather', '0', true),
        set_config('plan_cache_mode', 'force_custom_plan', true)
    from pg_class cues, pg_class recordings
    where cues.oid = cast('transcript_searched_cue' as regclass)
    and recordings.oid = cast('transcript_searched' as regclass)
    """
)
"""Plans have to know the words: a common one wants another than a rare one."""


async def find_reach(
    session: AsyncSession,
    principal: Principal,
    filters: Filters,
    effort: Effort,
    *,
    corpus: Corpus,
    matches: str,
    after: Cursor | None,
) -> Reach:
    """For what a tsquery matches. Pages sorted by score all keep to the first one's reach."""
    whole = Reach(_audible(principal, filters) & _beyond(after), filters, effort)
    if not matches or (after is not None and after.score is not None and after.oldest is None):
        return whole
    hits = await _matches(session, matches)
    if hits < effort.common:
        return whole
    return await newest_reach(session, principal, whole, corpus=corpus, hits=hits, after=after)


async def newest_reach(
    session: AsyncSession,
    principal: Principal,
    whole: Reach,
    *,
    corpus: Corpus,
    hits: float,
    after: Cursor | None,
) -> Reach:
    """For a query that matches so much, at least: the newest recordings alone."""
    if after is not None and after.score is not None:
        return await _newest(session, principal, whole, cues=_ANY_NUMBER, most=MOST_RECORDINGS)
    effort = whole.effort
    size = max(corpus.cues, hits)  # statistics may be missing, or older than the cues
    cues = min(effort.most_cues, round(effort.enough_matches * size / hits))
    most = min(MOST_RECORDINGS, 20 + round(2 * cues * corpus.recordings / size))
    return await _newest(session, principal, whole, cues=cues, most=most)


def _beyond(after: Cursor | None) -> sa.ColumnElement[bool]:
    """By time, a page goes on where the last one ended; by score, where all have looked."""
    if after is not None and after.live_at is not None:
        last = sa.tuple_(sa.literal(after.live_at), sa.literal(after.recording_id))
        return sa.tuple_(Room.live_at, Room.recording_id) < last
    if after is not None and after.oldest is not None:
        return Room.live_at >= after.oldest
    return sa.true()


def _audible(principal: Principal, filters: Filters) -> sa.ColumnElement[bool]:
    conditions = [audible_rooms(principal)]
    for column, wanted in (
        (Room.host_id, filters.host_id),
        (Room.id, filters.room_id),
        (Room.recording_id, filters.recording_id),
    ):
        if wanted is not None:
            conditions.append(column == wanted)
    if filters.topic is not None:
        conditions.append(sa.literal(filters.topic) == sa.any_(Room.topics))
    if filters.since is not None:
        conditions.append(Room.live_at >= filters.since)
    if filters.until is not None:
        conditions.append(Room.live_at < filters.until)
    if filters.speaker_id is not None:
        conditions.append(_took_part(filters.speaker_id))
    return sa.and_(*conditions)


def _took_part(user_id: UUID) -> sa.ColumnElement[bool]:
    return sa.exists().where(Participant.room_id == Room.id, Participant.user_id == user_id)


async def _newest(
    session: AsyncSession, principal: Principal, whole: Reach, *, cues: int, most: int
) -> Reach:
    """The newest recordings that have so many cues together, and no more than `most`."""
    query = sa.select(sa.text("*")).select_from(_NEWEST).add_cte(whole.audible_rooms)
    values = {"platform_id": principal.platform_id, "cues": cues, "most": most}
    rows = (await session.execute(query, values)).all()[:most]
    cut = bool(rows) and len(rows) < rows[0].listed
    return replace(
        whole,
        recordings=[row.recording_id for row in rows],
        oldest=rows[-1].live_at if cut else None,
    )


_ANY_NUMBER: Final = 1 << 40
_NEWEST: Final = sa.text(
    """
    (
        select * from (
            select
                *, count(*) over () as listed,
                sum(cues) over (order by live_at desc)
                    - sum(cues) over (partition by live_at) as newer
            from (
                select searched.live_at, recording_id, cues
                from transcript_searched as searched join audible_rooms using (recording_id)
                where platform_id = :platform_id
                order by searched.live_at desc, recording_id desc
                limit cast(:most as bigint) + 1
            ) as newest
        ) as counted
        where newer < :cues
        order by newer
    ) as enough
    """
)
"""`newer`: cues in those that went live later."""


async def _matches(session: AsyncSession, matches: str) -> float:
    """How many cues match, as PostgreSQL would plan with."""
    plan = await session.scalar(_MATCHING, {"matches": matches})
    plan = json.loads(plan) if isinstance(plan, str) else plan
    return max(float(plan[0]["Plan"]["Plan Rows"]), 1.0)


_MATCHING: Final = sa.text(
    "explain (format json)"
    " select from transcript_searched_cue where vector @@ cast(:matches as tsquery)"
)
