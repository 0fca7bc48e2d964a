"""Where a search looks: of what the caller may hear, narrowed by filters.

Who may hear a room is asked of `rooms.access` at each search, so nothing has to be kept in step
with it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core.auth.principal import Principal
from core.db import raw_connection
from core.statements import ask
from rooms.access import audible_rooms
from rooms.models import Participant, Room
from rooms.queries import spoken_with_consent
from transcripts.cursor import Cursor
from transcripts.tags import speaker_tag


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of an archive one search reads, and for how long."""

    timeout_ms: int = 3_000
    """Of one statement."""

    deadline_ms: int = 4_000
    """Of all that a search asks."""

    enough_matches: int = 200
    """The newest ones, which are ranked; a few more, so that no recording is cut in two."""

    spare: float = 2.5
    """So many times more are looked for at first, as if they were spread evenly and all audible."""

    few: int = 2_000
    """Matches up to which all are looked up, whenever they were said."""

    common: float = 0.03
    """Share of all cues from which on a word turns up sooner by reading than by looking it up."""

    most_looked_up: int = 6_000
    """Of what was expected to be fewer. Where there are as many the newest cues are read."""

    most_cues: int = 60_000
    """That are read. Where they have too few matches, all there are are looked up."""

    most_recordings: int = 500


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
    """`beginning`: of statements, up to their first table. It names `audible` (`recording_id`,
    `live_at` of what is within reach) and `heard_people` (`id` of participants who agree to be
    heard, and are to be). `values`: what it asks with."""

    platform_id: UUID
    filters: Filters
    effort: Effort
    beginning: str
    values: Mapping[str, Any]

    async def ask(
        self, connection: asyncpg.Connection, statement: str, values: Mapping[str, Any]
    ) -> list[asyncpg.Record]:
        """Of a table, and what follows on it."""
        return await ask(connection, self.beginning + statement, {**self.values, **values})

    @property
    def tag(self) -> str | None:
        """That all cues within reach have."""
        speaker_id = self.filters.speaker_id
        return None if speaker_id is None else speaker_tag(self.platform_id, speaker_id)

    @property
    def is_one_room(self) -> bool:
        return self.filters.room_id is not None or self.filters.recording_id is not None


async def prepare(session: AsyncSession, effort: Effort) -> asyncpg.Connection:
    """Where to ask, with settings for the rest of the transaction."""
    await session.execute(_PREPARE, {"timeout": str(effort.timeout_ms)})
    return await raw_connection(session)


_PREPARE: Final = sa.text(
    """
    select
        set_config('statement_timeout', :timeout, true),
        set_config('jit', 'off', true),
        set_config('random_page_cost', '1.1', true),
        set_config('max_parallel_workers_per_gather', '0', true),
        set_config('plan_cache_mode', 'force_generic_plan', true)
    """
)
"""Each way to look has a plan that does not know the words, made once for a connection: to choose
between ways is what `transcripts.ways` does, and planning took as long as looking."""


@lru_cache(maxsize=1_024)
def reach_of(
    principal: Principal,
    platform_id: UUID,
    filters: Filters,
    effort: Effort,
    after: Cursor | None,
) -> Reach:
    """Pages sorted by score all keep to the first one's.

    Only a text, so it is kept for who goes on searching: what he may hear is asked each time.
    Kinds of rooms are written out: the plan has to know how many are public.
    """
    audible = sa.select(Room.recording_id, Room.live_at).where(
        _audible(principal, filters), _beyond(after)
    )
    heard = sa.select(Participant.id).where(spoken_with_consent())
    if filters.speaker_id is not None:
        heard = heard.where(Participant.user_id == filters.speaker_id)
    query = sa.select(sa.text("*")).select_from(sa.text("asked"))
    query = query.add_cte(_inlined(audible, "audible"), _inlined(heard, "heard_people"))
    compiled = query.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    beginning = str(compiled).removesuffix("asked")
    for name, value in compiled.params.items():
        if isinstance(value, StrEnum):
            beginning = re.sub(rf":{name}\b", f"'{value}'", beginning)
    return Reach(platform_id, filters, effort, beginning, compiled.params)


_DIALECT: Final = dialect(paramstyle="named")  # type: ignore[no-untyped-call]


def _inlined(query: sa.Select[*tuple[Any, ...]], name: str) -> sa.CTE:
    """A part of a statement by its name, which PostgreSQL plans as if it stood in its place."""
    return query.cte(name).prefix_with("not materialized")


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
    if filters.speaker_id is not None:
        conditions.append(_has_place(filters.speaker_id))
    if filters.topic is not None:
        conditions.append(sa.literal(filters.topic) == sa.any_(Room.topics))
    if filters.since is not None:
        conditions.append(Room.live_at >= filters.since)
    if filters.until is not None:
        conditions.append(Room.live_at < filters.until)
    return sa.and_(*conditions)


_SPEAKER: Final = aliased(Participant)


def _has_place(user_id: UUID) -> sa.ColumnElement[bool]:
    """Of a participant in the room, apart from what else is asked about the caller's own."""
    return sa.exists().where(_SPEAKER.room_id == Room.id, _SPEAKER.user_id == user_id)
