"""When a room counts as left by everybody."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from core.db import Database
from demo.speaker import Speaker
from ingest.attendance import COARSE, GONE_FOR, abandoned_rooms, attend
from ingest.fleet import beat
from ingest.models import IngestWorker, Recording
from ingest.placement import Candidate, claim
from rooms.models import Room
from tests.ingest.receiving import Hall, eventually_async, receiving, settings_for

LIMIT = timedelta(minutes=30)
LONG, SHORT = timedelta(minutes=31), timedelta(minutes=29)
NOW = timedelta(seconds=0)


async def placed_hall(database: Database) -> Hall:
    hall = Hall(database)
    await hall.go_live()
    worker = uuid4()
    async with database.transaction() as session:
        await beat(session, worker, "http://worker:8002")
        assert await claim(session, hall.room_id, Candidate(worker)) is not None
    return hall


async def went_live(hall: Hall, ago: timedelta) -> None:
    async with hall.database.transaction() as session:
        at = sa.func.now() - ago
        await session.execute(sa.update(Room).where(Room.id == hall.room_id).values(live_at=at))
        own = sa.update(Recording).where(Recording.id == hall.recording_id)
        await session.execute(own.values(live_at=at))


async def attended(hall: Hall, ago: timedelta) -> None:
    async with hall.database.transaction() as session:
        own = sa.update(Recording).where(Recording.id == hall.recording_id)
        await session.execute(own.values(last_peer_at=sa.func.now() - ago))


async def attended_at(hall: Hall) -> datetime | None:
    async with hall.database.transaction() as session:
        query = sa.select(Recording.last_peer_at).where(Recording.id == hall.recording_id)
        return await session.scalar(query)


async def is_abandoned(hall: Hall) -> bool:
    """Both ways of asking agree, about the same moment: the receiving process may write between."""
    async with hall.database.transaction() as session:
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        found = hall.room_id in await abandoned_rooms(session, LIMIT)
        alone = await abandoned_rooms(session, LIMIT, room_id=hall.room_id)
        assert alone == ([hall.room_id] if found else [])
        return found


async def test_attendance_is_written_when_the_last_is_old(database: Database) -> None:
    hall = await placed_hall(database)

    async def after_attending() -> datetime | None:
        async with database.transaction() as session:
            await attend(session, [])
            await attend(session, [hall.recording_id])
        return await attended_at(hall)

    assert await after_attending() is None, "it went live just now"
    await went_live(hall, COARSE + timedelta(seconds=1))
    first = await after_attending()
    assert first is not None
    assert datetime.now(UTC) - first < timedelta(seconds=10)
    assert await after_attending() == first
    await attended(hall, COARSE + timedelta(seconds=1))
    again = await after_attending()
    assert again is not None
    assert again > first


@pytest.mark.parametrize(
    ("live", "last_peer", "heartbeat", "expected"),
    [
        (LONG, LONG, NOW, True),
        (LONG, SHORT, NOW, False),
        (LONG, None, NOW, True),
        (SHORT, None, NOW, False),
        (LONG, LONG, LONG, False),
        (2 * GONE_FOR, 2 * GONE_FOR, 1.1 * GONE_FOR, True),
        (2 * GONE_FOR, SHORT, 1.1 * GONE_FOR, False),
    ],
)
async def test_whom_nobody_attends_for_long_is_abandoned(
    database: Database,
    live: timedelta,
    last_peer: timedelta | None,
    heartbeat: timedelta,
    expected: bool,
) -> None:
    """A silent worker's rooms are left alone for a day: the database may have been away."""
    hall = await placed_hall(database)
    await went_live(hall, live)
    if last_peer is not None:
        await attended(hall, last_peer)
    async with database.transaction() as session:
        worker = sa.select(Recording.worker_id).where(Recording.id == hall.recording_id)
        row = sa.update(IngestWorker).where(IngestWorker.id == worker.scalar_subquery())
        await session.execute(row.values(heartbeat_at=sa.func.now() - heartbeat))
    assert await is_abandoned(hall) is expected


async def test_a_room_without_a_worker_counts_from_go_live(database: Database) -> None:
    hall = Hall(database)
    await hall.go_live()
    assert not await is_abandoned(hall)
    await went_live(hall, LONG)
    assert await is_abandoned(hall)
    await hall.end()
    assert not await is_abandoned(hall)


async def heartbeat_of(hall: Hall) -> datetime:
    async with hall.database.transaction() as session:
        query = sa.select(IngestWorker.heartbeat_at).join(
            Recording, Recording.worker_id == IngestWorker.id
        )
        found = await session.scalar(query.where(Recording.id == hall.recording_id))
    assert found is not None
    return found


async def survives_a_beat(hall: Hall) -> bool:
    """Whether the room is still abandoned after the receiving process has told who is there."""
    before = await heartbeat_of(hall)

    async def beaten() -> bool:
        return await heartbeat_of(hall) > before

    await eventually_async(beaten)
    return await is_abandoned(hall)


@pytest.mark.slow
async def test_the_receiving_process_tells_who_is_there(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    """And gives them time to come back when it is started again."""
    settings, hall = settings_for(postgres_url, tmp_path), Hall(database)
    await hall.go_live()
    guest = await hall.guest()

    async def is_attended() -> bool:
        return not await is_abandoned(hall)

    async with receiving(settings):
        url = await hall.whip_url()
        await went_live(hall, LONG)
        assert await survives_a_beat(hall), "nobody has connected"
        async with Speaker() as speaker:
            await speaker.connect(url, guest.token)
            await eventually_async(is_attended)
        await attended(hall, LONG)
        assert await survives_a_beat(hall), "and the one who did has left"
    async with receiving(settings):
        await eventually_async(is_attended)
