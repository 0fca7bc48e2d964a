"""A live room whose journal grows while a test looks on: what captions listen to."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.ids import uuid7
from ingest.folders import Folders
from ingest.journal import MAGIC, next_journal_file
from ingest.models import IngestWorker, Recording
from replay.subtitles import ShownCue, SubtitleTrack, shown_cues
from rooms.models import Participant, RecordingState, Role, Room, RoomState, Visibility
from tests.factories import make_platform, make_user
from tests.ingest.journals import JournalMaker, Pcm, Voice


@dataclass
class LiveRoom:
    """Rows of a room that went live now, its speakers with consent, and an empty journal."""

    folders: Folders
    room_id: UUID
    live_at: datetime
    speakers: dict[str, UUID]
    maker: JournalMaker
    written: float = 0.0
    """Seconds on the room's clock up to which the journal is there."""

    @property
    def recording_id(self) -> UUID:
        return UUID(self.maker.recording_id)

    def says(self, name: str, signal: Pcm, start: float) -> int:
        return self.maker.speak(Voice(str(self.speakers[name]), signal, start=start))

    def open_journal(self, *, restart: bool = False) -> Path:
        folder = self.folders.journal(self.maker.recording_id)
        folder.mkdir(parents=True, exist_ok=True)
        path = next_journal_file(folder)
        opened = self.maker.opened(self.written, restart=restart, last=self.written)
        path.write_bytes(MAGIC + opened)
        return path

    def timed_batches(self) -> Iterator[tuple[int, bytes]]:
        """Each drain and its time on the room's clock, microseconds."""
        for batch in self.maker.batches():
            yield int.from_bytes(batch[8:16], "little", signed=True), batch

    async def is_registered(self, database: Database) -> bool:
        """Whether the captions process has taken it up."""
        async with database.transaction() as session:
            return await session.get(SubtitleTrack, self.recording_id) is not None

    def write_until(self, path: Path, seconds: float) -> None:
        """What arrives up to then, at once."""
        batches = self.maker.batches(first=self.written, last=seconds)
        with path.open("ab") as journal:
            journal.write(b"".join(batches))
        self.written = seconds


async def live_room(
    database: Database, folders: Folders, *names: str, language: str = "en"
) -> LiveRoom:
    async with database.transaction() as session:
        return await _make(session, folders, names, language)


async def _make(
    session: AsyncSession, folders: Folders, names: tuple[str, ...], language: str
) -> LiveRoom:
    platform = await make_platform(session)
    host = await make_user(session, platform)
    now = datetime.now(UTC)
    room = Room(
        platform_id=platform.id,
        host_id=host.id,
        title="A room",
        language=language,
        visibility=Visibility.PUBLIC,
        state=RoomState.LIVE,
        live_at=now,
        recording_state=RecordingState.ON,
        recording_id=uuid7(),
        epoch=1,
    )
    worker = IngestWorker(whip_url="http://w", started_at=now, heartbeat_at=now)
    session.add_all([room, worker])
    await session.flush()
    assert room.recording_id is not None
    session.add(
        Recording(
            id=room.recording_id,
            room_id=room.id,
            platform_id=platform.id,
            worker_id=worker.id,
            epoch=1,
            live_at=now,
        )
    )
    speakers = {}
    for name in names:
        user = await make_user(session, platform, display_name=name)
        person = Participant(
            room_id=room.id,
            user_id=user.id,
            display_name=name,
            role=Role.SPEAKER,
            joined_at=now,
            consented_at=now,
        )
        session.add(person)
        await session.flush()
        speakers[name] = person.id
    maker = JournalMaker(
        recording_id=str(room.recording_id),
        room_id=str(room.id),
        platform_id=str(platform.id),
        live_at_us=round(now.timestamp() * 1_000_000),
    )
    maker.record(0, on=True)
    return LiveRoom(folders, room.id, now, speakers, maker)


async def cues_of(database: Database, room: LiveRoom) -> list[ShownCue]:
    async with database.transaction() as session:
        return await shown_cues(session, room.recording_id)
