"""One live room as captions know it: its tap, its speakers' languages, and what it has by now."""

from collections import deque
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from ingest.folders import Folders
from ingest.manifest import Opened
from ingest.models import Recording
from replay.subtitles import last_heard, register
from rooms.models import Participant, Room
from transcripts.backlog import TOO_OLD_S, Waiting
from transcripts.caption_language import SpeakerLanguage
from transcripts.live_tap import LiveTap
from transcripts.models import TrackLanguage
from transcripts.utterances import Utterance

EARLY: Final = 16
"""Utterances that are kept while the engine starts."""


class CaptionedRoom:
    """Until `prepare` has succeeded nothing of it is transcribed."""

    def __init__(self, folders: Folders, recording_id: UUID) -> None:
        self.recording_id = recording_id
        self.tap = LiveTap(folders.journal(str(recording_id)))
        self.prepared = False
        self.read_at_s = float("-inf")
        """When languages were looked up last."""

        self.dropped = 0
        self.told_at_s = float("-inf")
        """How many captions are missing since the room was told of it, and when that was."""

        self._early: deque[Waiting] = deque(maxlen=EARLY)

        self._room_language = ""
        self._languages: dict[UUID, SpeakerLanguage] = {}
        self._chosen: dict[UUID, str] = {}
        self._heard_until: dict[UUID, int] = {}

    @property
    def opened(self) -> Opened | None:
        """None until the journal's first mark has been read."""
        mark = self.tap.opened
        if mark is None:
            return None
        return Opened(
            recording_id=mark.recording_id,
            room_id=mark.room_id,
            platform_id=mark.platform_id,
            epoch=mark.epoch,
            revision=mark.revision,
            live_at_us=mark.live_at_us,
        )

    async def prepare(self, session: AsyncSession, opened: Opened) -> None:
        """Registers the subtitles, and learns how far an earlier run came.

        Raises Fenced, RecordingUnknown.
        """
        await self.read_languages(session)
        await register(session, opened, self._room_language)
        self._heard_until = await last_heard(session, self.recording_id)

    async def read_languages(self, session: AsyncSession) -> None:
        """What people chose by now counts from the next utterance on."""
        room = (
            sa.select(Recording.room_id).where(Recording.id == self.recording_id).scalar_subquery()
        )
        language = await session.scalar(sa.select(Room.language).where(Room.id == room))
        self._room_language = language or "en"
        rows = await session.execute(
            sa.select(TrackLanguage.participant_id, TrackLanguage.language)
            .join(Participant, Participant.id == TrackLanguage.participant_id)
            .where(Participant.room_id == room)
        )
        self._chosen = {row.participant_id: row.language for row in rows}

    def language_of(self, participant_id: UUID) -> SpeakerLanguage:
        spoken = self._languages.get(participant_id)
        if spoken is None:
            first = self._room_language.partition("-")[0].lower()
            spoken = self._languages[participant_id] = SpeakerLanguage(first)
        spoken.chosen = self._chosen.get(participant_id)
        return spoken

    def wait(self, waiting: Waiting) -> None:
        """Keeps what is said before it is prepared: the last of it."""
        self._early.append(waiting)

    def waits(self, now_s: float) -> bool:
        """Whether something is kept that is not too old for a caption, should it be prepared."""
        return any(now_s - waiting.since_s <= TOO_OLD_S for waiting in self._early)

    def begin(self) -> list[Waiting]:
        """From now on it is prepared; what was said before, but for what an earlier run of the
        process stored: more than half of it, that is."""
        self.prepared = True
        early = [waiting for waiting in self._early if not self._is_stored(waiting.said)]
        self._early.clear()
        return early

    def _is_stored(self, said: Utterance) -> bool:
        until_ms = self._heard_until.get(said.participant_id, -1)
        return said.start_ms + said.end_ms <= 2 * until_ms
