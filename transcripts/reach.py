"""Where a search looks: of what the caller may hear, narrowed by filters.

Who may hear a room is asked of `rooms.access` at each search, so nothing has to be kept in step
with it.
"""

import re
from collections.abc import Mapping, Sequence
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

    spare: float = 1.5
    """So many times more are looked for at first, as if they were spread evenly."""

    few: int = 1_000
    """Matches up to which all are looked up, whenever they were said."""

    common: float = 0.03
    """Share of all cues from which on a word turns up sooner by reading than by looking it up."""

    little: float = 0.1
    """Share of recordings of which what the caller may hear is not sought among what is newest."""

    reading: float = 0.1
    """What a cue costs that is read, where one that is looked up costs 1."""

    most_looked_up: int = 6_000
    """Of what was expected to be fewer. Where there are as many the newest cues are read."""

    most_cues: int = 60_000
    """That are read. Where they have too few matches, all there are are looked up."""

    most_recordings: int = 500
    first_recordings: int = 64
    """That are read at first of words in about so many cues."""


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


def reach_of(
    principal: Principal,
    platform_id: UUID,
    filters: Filters,
    effort: Effort,
    after: Cursor | None,
) -> Reach:
    """Pages sorted by score all keep to the first one's."""
    asked = {name: getattr(filters, name) for name in _NARROWED}
    asked = {name: value for name, value in asked.items() if value is not None}
    where_on, values = _beyond(after)
    rooms = [*(_NARROWED[name] for name in asked), *where_on]
    people = [] if filters.speaker_id is None else ["user_id = :speaker_id"]
    beginning, of_caller = _within_hearing(principal)
    beginning = beginning.replace("narrowed_rooms", " and ".join(["true", *rooms]))
    beginning = beginning.replace("narrowed_people", " and ".join(["true", *people]))
    return Reach(platform_id, filters, effort, beginning, {**of_caller, **asked, **values})


_NARROWED: Final = {
    "host_id": "room.host_id = :host_id",
    "room_id": "room.id = :room_id",
    "recording_id": "room.recording_id = :recording_id",
    "speaker_id": "exists (select from participant as place"
    " where place.room_id = room.id and place.user_id = :speaker_id)",
    "topic": ":topic = any(room.topics)",
    "since": "room.live_at >= :since",
    "until": "room.live_at < :until",
}
"""What filters ask of rooms."""


def _beyond(after: Cursor | None) -> tuple[Sequence[str], Mapping[str, Any]]:
    """By time, a page goes on where the last one ended; by score, where all have looked."""
    if after is not None and after.live_at is not None:
        last = "(room.live_at, room.recording_id) < (:last_live_at, :last_recording_id)"
        return [last], {"last_live_at": after.live_at, "last_recording_id": after.recording_id}
    if after is not None and after.oldest is not None:
        return ["room.live_at >= :oldest"], {"oldest": after.oldest}
    return [], {}


@lru_cache(maxsize=1_024)
def _within_hearing(principal: Principal) -> tuple[str, Mapping[str, Any]]:
    """The beginning of statements with room for filters, and what it asks with.

    Only a text, so it is kept for who goes on searching: what he may hear is asked each time.
    Kinds of rooms are written out: the plan has to know how many are public.
    """
    rooms, people = sa.text("narrowed_rooms"), sa.text("narrowed_people")
    audible = sa.select(Room.recording_id, Room.live_at).where(rooms, audible_rooms(principal))
    heard = sa.select(Participant.id).where(people, spoken_with_consent())
    query = sa.select(sa.text("*")).select_from(sa.text("asked"))
    query = query.add_cte(_inlined(audible, "audible"), _inlined(heard, "heard_people"))
    compiled = query.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    beginning = str(compiled).removesuffix("asked")
    for name, value in compiled.params.items():
        if isinstance(value, StrEnum):
            beginning = re.sub(rf":{name}\b", f"'{value}'", beginning)
    return beginning, compiled.params


_DIALECT: Final = dialect(paramstyle="named")  # type: ignore[no-untyped-call]


def _inlined(query: sa.Select[*tuple[Any, ...]], name: str) -> sa.CTE:
    """A part of a statement by its name, which PostgreSQL plans as if it stood in its place."""
    return query.cte(name).prefix_with("not materialized")
