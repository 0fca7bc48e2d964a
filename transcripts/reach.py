"""Where a search looks: of what the caller may hear, narrowed by filters.

Who may hear a room is asked of `rooms.access` at each search, so nothing has to be kept in step
with it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core.auth.principal import Principal
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
    """`conditions`: of the rooms whose recordings are searched."""

    platform_id: UUID
    conditions: sa.ColumnElement[bool]
    filters: Filters
    effort: Effort

    @property
    def audible(self) -> sa.CTE:
        """`recording_id`, `live_at` of what is within reach."""
        query = sa.select(Room.recording_id, Room.live_at).where(self.conditions)
        return _inlined(query, "audible")

    @property
    def heard_people(self) -> sa.CTE:
        """`id` of participants who agree to be heard, and are to be."""
        query = sa.select(Participant.id).where(spoken_with_consent())
        if self.filters.speaker_id is not None:
            query = query.where(Participant.user_id == self.filters.speaker_id)
        return _inlined(query, "heard_people")

    @property
    def tag(self) -> str | None:
        """That all cues within reach have."""
        speaker_id = self.filters.speaker_id
        return None if speaker_id is None else speaker_tag(self.platform_id, speaker_id)

    @property
    def is_one_room(self) -> bool:
        return self.filters.room_id is not None or self.filters.recording_id is not None


def _inlined(query: sa.Select[*tuple[Any, ...]], name: str) -> sa.CTE:
    """A part of a statement by its name, which PostgreSQL plans as if it stood in its place."""
    return query.cte(name).prefix_with("not materialized")


async def prepare(session: AsyncSession, effort: Effort) -> None:
    """Settings of the rest of the transaction."""
    await session.execute(_PREPARE, {"timeout": str(effort.timeout_ms)})


_PREPARE: Final = sa.text(
    """
    select
        set_config('statement_timeout', :timeout, true),
        set_config('jit', 'off', true),
        set_config('random_page_cost', '1.1', true),
        set_config('max_parallel_workers_per_gather', '0', true),
        set_config('plan_cache_mode', 'force_custom_plan', true)
    """
)
"""Plans have to know the words: a common one wants another than a rare one."""


def reach_of(
    principal: Principal,
    platform_id: UUID,
    filters: Filters,
    effort: Effort,
    after: Cursor | None,
) -> Reach:
    """Pages sorted by score all keep to the first one's."""
    conditions = _audible(principal, filters) & _beyond(after)
    return Reach(platform_id, conditions, filters, effort)


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
