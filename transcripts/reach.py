"""Which recordings a search reads: what the caller may hear, narrowed by filters, and how much.

Who may see a room is asked of `rooms.access` at each search, so nothing has to be kept in step
with it. A query that matches a lot is answered from the newest of the caller's recordings, as
many as hold enough matches; one that matches little, from all of them. Either way, what is left
out is left out of what the caller may see: no limit comes before that.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from rooms.access import audible_rooms
from rooms.models import Participant, Room
from transcripts.cursor import Cursor, Place
from transcripts.index_models import SearchedCue, SearchedRecording

FEW_MATCHES: Final = 6_000
"""In the whole index: they are all read and ranked."""

ENOUGH_MATCHES: Final = 1_500
"""What is read of a query with more than that."""

LISTED_RECORDINGS: Final = 1_000
"""As long as there are no more, PostgreSQL is told which; otherwise it looks each match up."""


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
    """`recordings`: these and no others, the newest first; None: any that `condition` lets in.

    `oldest`: where the search ends though the caller may see older ones; None: it sees all.
    """

    condition: sa.ColumnElement[bool]
    recordings: Sequence[UUID] | None
    oldest: Place | None = None

    def of_cue(self) -> sa.ColumnElement[bool]:
        """A condition on SearchedCue."""
        if self.recordings is not None:
            return SearchedCue.recording_id == sa.any_(sa.literal(list(self.recordings), _UUIDS))
        return sa.exists().where(Room.recording_id == SearchedCue.recording_id, self.condition)


_UUIDS: Final = sa.ARRAY(sa.Uuid())


async def find_reach(
    session: AsyncSession,
    principal: Principal,
    filters: Filters,
    *,
    matches: str,
    after: Cursor | None,
) -> Reach:
    """For what a tsquery matches. Pages sorted by score all keep to the first one's reach."""
    whole = Reach(_audible(principal, filters) & _not_before(after), None)
    listed = await _newest(session, whole.condition, principal)
    complete = len(listed) <= LISTED_RECORDINGS
    if after is not None and after.live_at is None:
        reach = replace(whole, oldest=after.oldest)
        return _these(reach, listed) if complete or after.oldest else reach
    hits, corpus = await _estimate(session, matches)
    if hits > FEW_MATCHES:
        return _enough(whole, listed, cues=round(ENOUGH_MATCHES * corpus / hits))
    return _these(whole, listed) if complete else whole


def _not_before(after: Cursor | None) -> sa.ColumnElement[bool]:
    """By time, a page goes on where the last one ended; by score, where that one's reach does."""
    place = sa.tuple_(Room.live_at, Room.recording_id)
    if after is None:
        return sa.true()
    if after.live_at is not None:
        return place < sa.tuple_(sa.literal(after.live_at), sa.literal(after.recording_id))
    if after.oldest is None:
        return sa.true()
    oldest = after.oldest
    return place >= sa.tuple_(sa.literal(oldest.live_at), sa.literal(oldest.recording_id))


def _these(reach: Reach, listed: Sequence[tuple[Place, int]]) -> Reach:
    return replace(reach, recordings=[place.recording_id for place, _ in listed])


def _enough(whole: Reach, listed: Sequence[tuple[Place, int]], *, cues: int) -> Reach:
    """The newest recordings that have so many cues together."""
    kept: list[Place] = []
    for place, size in listed[:LISTED_RECORDINGS]:
        kept.append(place)
        cues -= size
        if cues <= 0:
            break
    oldest = kept[-1] if len(kept) < len(listed) else None
    return replace(whole, recordings=[place.recording_id for place in kept], oldest=oldest)


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
    session: AsyncSession, condition: sa.ColumnElement[bool], principal: Principal
) -> list[tuple[Place, int]]:
    """One more than are listed at most, so that it shows whether there are more."""
    query = (
        sa.select(SearchedRecording)
        .join(Room, Room.id == SearchedRecording.room_id)
        .where(SearchedRecording.platform_id == principal.platform_id, condition)
        .order_by(SearchedRecording.live_at.desc(), SearchedRecording.recording_id.desc())
        .limit(LISTED_RECORDINGS + 1)
        .with_only_columns(
            SearchedRecording.live_at, SearchedRecording.recording_id, SearchedRecording.cues
        )
    )
    rows = await session.execute(query)
    return [(Place(live_at, recording_id), cues) for live_at, recording_id, cues in rows]


async def _estimate(session: AsyncSession, matches: str) -> tuple[float, float]:
    """How many cues match, and how many there are: what PostgreSQL would plan with."""
    plan = await session.scalar(_MATCHING, {"matches": matches})
    everything = await session.scalar(_CORPUS)
    if isinstance(plan, str):
        plan = json.loads(plan)
    return float(plan[0]["Plan"]["Plan Rows"]), max(float(everything or 0), 1.0)


_MATCHING: Final = sa.text(
    "explain (format json)"
    " select from transcript_searched_cue where vector @@ cast(:matches as tsquery)"
)
_CORPUS: Final = sa.text(
    "select reltuples from pg_class where oid = cast('transcript_searched_cue' as regclass)"
)
