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
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from rooms.access import audible_rooms
from rooms.models import Participant, Room
from rooms.queries import spoken_with_consent
from transcripts.cursor import Cursor
from transcripts.index_models import SearchedCue, SearchedRecording
from transcripts.languages import base_language

MOST_RECORDINGS: Final = 1_000
"""That are read, whether they hold enough matches or not."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of an archive one search reads, and for how long."""

    timeout_ms: int = 3_000

    common: int = 6_000
    """Matches from which on a query's cues are read for rather than looked up."""

    enough_matches: int = 1_500
    """The newest ones, which are ranked; a few more, so that no recording is cut in two."""

    most_cues: int = 40_000
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

    def of_speaker(self, cue: type[SearchedCue]) -> sa.ColumnElement[bool]:
        """The cue's speaker agrees to be heard, and is the one who is asked for.

        A subquery for each cue, since a join makes PostgreSQL read all participants there are.
        """
        wanted = spoken_with_consent()
        if self.filters.speaker_id is not None:
            wanted &= Participant.user_id == self.filters.speaker_id
        of_cue = Participant.id == cue.participant_id
        return sa.select(wanted).where(of_cue).scalar_subquery()

    @property
    def of_language(self) -> sa.ColumnElement[bool]:
        if self.filters.language is None:
            return sa.true()
        return SearchedCue.language == base_language(self.filters.language)


async def find_reach(
    session: AsyncSession,
    principal: Principal,
    filters: Filters,
    effort: Effort,
    *,
    matches: str,
    after: Cursor | None,
) -> Reach:
    """For what a tsquery matches. Pages sorted by score all keep to the first one's reach."""
    whole = Reach(_audible(principal, filters) & _beyond(after), filters, effort)
    if not matches or (after is not None and after.score is not None and after.oldest is None):
        return whole
    corpus = await _estimate(session, matches)
    if corpus.matches < effort.common:
        return whole
    if after is not None and after.score is not None:
        return await _newest(session, principal, whole, cues=_ANY_NUMBER, most=MOST_RECORDINGS)
    cues = min(effort.most_cues, round(effort.enough_matches * corpus.cues / corpus.matches))
    most = min(MOST_RECORDINGS, 20 + round(2 * cues * corpus.recordings / corpus.cues))
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
    newest = (
        sa.select(SearchedRecording.live_at, SearchedRecording.recording_id, SearchedRecording.cues)
        .join(Room, Room.id == SearchedRecording.room_id)
        .where(SearchedRecording.platform_id == principal.platform_id, whole.audible)
        .order_by(SearchedRecording.live_at.desc(), SearchedRecording.recording_id.desc())
        .limit(most + 1)
        .subquery("newest")
    )
    counted = sa.select(_COUNTED).select_from(newest).subquery("counted")
    enough = sa.select(sa.text("*")).select_from(counted).where(sa.text("newer < :cues"))
    query = enough.order_by(sa.text("newer"))
    rows = (await session.execute(query, {"cues": cues})).all()[:most]
    cut = bool(rows) and len(rows) < rows[0].listed
    return replace(
        whole,
        recordings=[row.recording_id for row in rows],
        oldest=rows[-1].live_at if cut else None,
    )


_ANY_NUMBER: Final = 1 << 40
_COUNTED: Final = sa.text(
    "*, count(*) over () as listed,"
    " sum(cues) over (order by live_at desc) - sum(cues) over (partition by live_at) as newer"
)
"""`newer`: cues in those that went live later."""


@dataclass(frozen=True, slots=True)
class _Corpus:
    """How much there is and how much matches, as PostgreSQL's statistics say; at least 1."""

    matches: float
    cues: float
    recordings: float


async def _estimate(session: AsyncSession, matches: str) -> _Corpus:
    plan = await session.scalar(_MATCHING, {"matches": matches})
    plan = json.loads(plan) if isinstance(plan, str) else plan
    sizes = (await session.execute(_SIZES)).one()
    return _Corpus(plan[0]["Plan"]["Plan Rows"], max(sizes.cues, 1.0), max(sizes.recordings, 1.0))


_MATCHING: Final = sa.text(
    "explain (format json)"
    " select from transcript_searched_cue where vector @@ cast(:matches as tsquery)"
)
_SIZES: Final = sa.text(
    "select c.reltuples as cues, r.reltuples as recordings from pg_class c, pg_class r"
    " where c.oid = cast('transcript_searched_cue' as regclass)"
    " and r.oid = cast('transcript_searched' as regclass)"
)
