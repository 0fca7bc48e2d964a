"""The rows that a live recording has before the packager comes: room, speakers, placement."""

from datetime import UTC, datetime
from uuid import UUID

from core.db import Database
from core.ids import uuid7
from ingest.models import IngestWorker, Recording
from rooms.models import Participant, Role, Room, RoomState, Visibility
from tests.factories import make_user
from tests.ingest.journals import LIVE_AT_US, JournalMaker


async def placed_recording(
    database: Database, *, speakers: int = 1, live_at_us: int = LIVE_AT_US
) -> tuple[JournalMaker, list[str]]:
    """A live room with a placement in epoch 1; a journal to fill, and the speakers' ids."""
    recording_id, worker_id = uuid7(), uuid7()
    live_at = datetime.fromtimestamp(live_at_us / 1_000_000, UTC)
    async with database.transaction() as session:
        host = await make_user(session)
        room = Room(
            platform_id=host.platform_id,
            host_id=host.id,
            title="Room",
            visibility=Visibility.PUBLIC,
            state=RoomState.LIVE,
            live_at=live_at,
            recording_id=recording_id,
            epoch=1,
        )
        session.add(room)
        await session.flush()
        participants: list[UUID] = []
        for _ in range(speakers):
            user = await make_user(session)
            person = Participant(
                room_id=room.id, user_id=user.id, display_name="Ada", role=Role.SPEAKER
            )
            session.add(person)
            await session.flush()
            participants.append(person.id)
        now = datetime.now(UTC)
        session.add(IngestWorker(id=worker_id, whip_url="", started_at=now, heartbeat_at=now))
        await session.flush()
        session.add(
            Recording(
                id=recording_id,
                room_id=room.id,
                platform_id=room.platform_id,
                worker_id=worker_id,
                epoch=1,
                live_at=live_at,
            )
        )
    maker = JournalMaker(
        recording_id=str(recording_id),
        room_id=str(room.id),
        platform_id=str(room.platform_id),
        live_at_us=live_at_us,
    )
    return maker, [str(p) for p in participants]
