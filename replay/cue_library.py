"""Subtitles by recording, read from the rows and kept for those who ask again.

Audio never waits for them: while the database is away, what is known goes on being served, and
a recording of which nothing is known has none.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from ingest.models import Recording
from replay.cue_sheet import CueSheet
from replay.subtitles import SubtitleCue, SubtitleTrack, shown_cues
from rooms.models import Participant

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 0.4
"""Older rows are read again with the next question, which is answered from the old ones..."""

USABLE_SECONDS: Final = 2.0
"""...unless they are older than this. So long is a withdrawn voice shown at most."""

READ_SECONDS: Final = 1.0
MAX_RECORDINGS: Final = 256


@dataclass(slots=True)
class _Shelf:
    asked_at: float
    read_at: float = float("-inf")
    version: int = 0
    last_number: int = 0
    people: frozenset[UUID] = frozenset()
    hidden: frozenset[UUID] = frozenset()
    sheet: CueSheet | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    reading: asyncio.Task[None] | None = None


class CueLibrary:
    """`known` and `find` give None for a recording without subtitles."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._shelves: dict[UUID, _Shelf] = {}

    def known(self, recording_id: UUID) -> tuple[bool, CueSheet | None]:
        """Whether what is in memory may be used, and the subtitles. Rows are read beside it."""
        now = time.monotonic()
        shelf = self._shelf(recording_id, now)
        age = now - shelf.read_at
        if FRESH_SECONDS <= age < USABLE_SECONDS and shelf.reading is None:
            shelf.reading = asyncio.create_task(self._read_beside(recording_id, shelf))
        return age < USABLE_SECONDS, shelf.sheet

    async def find(self, recording_id: UUID) -> CueSheet | None:
        """As the rows have them now, or as they were while the database is away."""
        shelf = self._shelf(recording_id, time.monotonic())
        async with shelf.lock:
            if time.monotonic() - shelf.read_at >= FRESH_SECONDS:
                await self._read(recording_id, shelf)
        return shelf.sheet

    async def close(self) -> None:
        """Ends what is being read."""
        tasks = [shelf.reading for shelf in self._shelves.values() if shelf.reading is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _shelf(self, recording_id: UUID, now: float) -> _Shelf:
        shelf = self._shelves.get(recording_id)
        if shelf is None:
            if len(self._shelves) >= MAX_RECORDINGS:
                oldest = min(self._shelves, key=lambda one: self._shelves[one].asked_at)
                del self._shelves[oldest]
            shelf = self._shelves[recording_id] = _Shelf(now)
        shelf.asked_at = now
        return shelf

    async def _read_beside(self, recording_id: UUID, shelf: _Shelf) -> None:
        try:
            async with shelf.lock:
                await self._read(recording_id, shelf)
        finally:
            shelf.reading = None

    async def _read(self, recording_id: UUID, shelf: _Shelf) -> None:
        """An outage is met once in a while, not by everybody who asks."""
        try:
            async with asyncio.timeout(READ_SECONDS), self._database.transaction() as session:
                await _refresh(session, recording_id, shelf)
        except (SQLAlchemyError, OSError) as error:
            log.warning("subtitles cannot be read: %s", type(error).__name__)
        shelf.read_at = time.monotonic()


async def _refresh(session: AsyncSession, recording_id: UUID, shelf: _Shelf) -> None:
    """Takes what is new; all of it where cues were replaced, or somebody's consent changed."""
    since_live = sa.func.clock_timestamp() - Recording.live_at
    query = (
        sa.select(SubtitleTrack, sa.extract("epoch", since_live) * 1000)
        .join(Recording, Recording.id == SubtitleTrack.recording_id)
        .where(SubtitleTrack.recording_id == recording_id)
        .execution_options(populate_existing=True)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return
    track, now_ms = row
    hidden = await _hidden(session, shelf.people)
    anew = shelf.sheet is None or shelf.version != track.version or hidden != shelf.hidden
    known = 0 if anew else shelf.last_number
    if anew:
        shelf.people = await _people(session, recording_id)
        hidden = await _hidden(session, shelf.people)
    cues = []
    if track.last_number > known:
        cues = await shown_cues(session, recording_id, after=known)
    shelf.people |= {cue.participant_id for cue in cues}
    shelf.version, shelf.last_number, shelf.hidden = track.version, track.last_number, hidden
    if shelf.sheet is None:
        shelf.sheet = CueSheet(track.language)
    shelf.sheet.take(cues, read_ms=float(now_ms), anew=anew)


async def _people(session: AsyncSession, recording_id: UUID) -> frozenset[UUID]:
    """Whoever has a cue, shown or not."""
    query = sa.select(SubtitleCue.participant_id).where(SubtitleCue.recording_id == recording_id)
    return frozenset(await session.scalars(query.distinct()))


async def _hidden(session: AsyncSession, people: frozenset[UUID]) -> frozenset[UUID]:
    if not people:
        return people
    query = sa.select(Participant.id).where(
        Participant.id.in_(people), Participant.consented_at.is_(None)
    )
    return frozenset(await session.scalars(query))
