"""Claims of live rooms: one worker each, the same again after a restart."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import sqlalchemy as sa

from core.db import Database
from ingest.models import IngestWorker, Recording, RecordingStatus
from ingest.placement import (
    ALIVE_FOR,
    Placement,
    beat,
    claim,
    close_settled,
    placed_elsewhere,
    whip_base_url,
    worker_id,
)
from rooms.models import Room
from rooms.stage import live_rooms
from tests.ingest.receiving import Hall

URL = "http://worker:8002"


async def worker(database: Database) -> UUID:
    one = uuid4()
    async with database.transaction() as session:
        await beat(session, one, URL)
    return one


async def claimed(database: Database, room_id: UUID, by: UUID) -> Placement | None:
    async with database.transaction() as session:
        return await claim(session, room_id, by)


async def live_hall(database: Database) -> Hall:
    hall = Hall(database)
    await hall.go_live()
    return hall


async def test_a_live_room_gets_a_recording_and_a_higher_epoch(database: Database) -> None:
    hall, mine = await live_hall(database), await worker(database)
    assert await claimed(database, hall.room_id, mine) == Placement(hall.recording_id, 1, 1)
    async with database.transaction() as session:
        recording = await session.get_one(Recording, hall.recording_id)
        room = await session.get_one(Room, hall.room_id)
    assert (recording.epoch, recording.worker_id) == (1, mine)
    assert recording.status is RecordingStatus.LIVE
    assert recording.live_at == room.live_at
    assert room.epoch == 1


async def test_the_same_worker_takes_its_room_back_unchanged(database: Database) -> None:
    hall, mine = await live_hall(database), await worker(database)
    first = await claimed(database, hall.room_id, mine)
    assert await claimed(database, hall.room_id, mine) == first


async def test_of_two_workers_at_once_one_gets_the_room(database: Database) -> None:
    hall = await live_hall(database)
    workers = [await worker(database) for _ in range(2)]
    got = await asyncio.gather(*(claimed(database, hall.room_id, w) for w in workers))
    assert sorted(p is None for p in got) == [False, True]
    async with database.transaction() as session:
        assert (await session.get_one(Room, hall.room_id)).epoch == 1


async def test_rooms_of_others_are_known_as_such(database: Database) -> None:
    hall, mine, other = await live_hall(database), await worker(database), await worker(database)
    await claimed(database, hall.room_id, other)
    async with database.transaction() as session:
        assert hall.room_id in await placed_elsewhere(session, mine)
        assert hall.room_id not in await placed_elsewhere(session, other)


async def test_a_room_that_ended_unheard_is_settled_without_a_recording(
    database: Database,
) -> None:
    hall, mine = await live_hall(database), await worker(database)
    await hall.end()
    assert await claimed(database, hall.room_id, mine) is None
    async with database.transaction() as session:
        assert hall.room_id in await live_rooms(session)
        await close_settled(session, hall.room_id)
        assert hall.room_id not in await live_rooms(session)
    assert await claimed(database, uuid4(), mine) is None


async def test_a_room_that_ended_while_its_worker_was_away_is_its_own_still(
    database: Database,
) -> None:
    hall, mine = await live_hall(database), await worker(database)
    first = await claimed(database, hall.room_id, mine)
    await hall.end()
    assert await claimed(database, hall.room_id, mine) == first
    async with database.transaction() as session:
        await close_settled(session, hall.room_id)
        assert hall.room_id in await live_rooms(session)


async def test_a_stored_recording_is_claimed_by_nobody_and_its_room_closed(
    database: Database,
) -> None:
    hall, mine = await live_hall(database), await worker(database)
    await claimed(database, hall.room_id, mine)
    await hall.end()
    async with database.transaction() as session:
        recording = await session.get_one(Recording, hall.recording_id)
        recording.status = RecordingStatus.STORED
    assert await claimed(database, hall.room_id, mine) is None
    async with database.transaction() as session:
        await close_settled(session, hall.room_id)
        assert hall.room_id not in await live_rooms(session)


async def test_publishers_are_sent_to_living_workers_only(database: Database) -> None:
    hall, mine = await live_hall(database), await worker(database)
    async with database.transaction() as session:
        assert await whip_base_url(session, hall.room_id) is None
    await claimed(database, hall.room_id, mine)
    async with database.transaction() as session:
        assert await whip_base_url(session, hall.room_id) == URL
        late = sa.func.now() - ALIVE_FOR - timedelta(seconds=1)
        row = sa.update(IngestWorker).where(IngestWorker.id == mine)
        await session.execute(row.values(heartbeat_at=late))
        assert await whip_base_url(session, hall.room_id) is None
        await beat(session, mine, "http://elsewhere")
        assert await whip_base_url(session, hall.room_id) == "http://elsewhere"


def test_a_disk_keeps_its_worker(tmp_path: Path) -> None:
    first = worker_id(tmp_path)
    assert worker_id(tmp_path) == first
    assert worker_id(tmp_path) == UUID((tmp_path / "worker_id").read_text())
