"""Claims of live rooms: one worker each, the same again after a restart."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from core.db import Database
from ingest.fleet import ALIVE_FOR, beat, drain, is_moving, undrain, worker_id
from ingest.models import IngestWorker, Recording, RecordingStatus
from ingest.placement import (
    LEAD_SECONDS,
    Candidate,
    Placement,
    claim,
    claim_delay,
    close_settled,
    rooms_to_receive,
    whip_base_url,
)
from rooms.models import Room
from rooms.stage import live_rooms
from tests.ingest.receiving import Hall, eventually_async, receiving, settings_for

URL = "http://worker:8002"


async def worker(database: Database) -> UUID:
    one = uuid4()
    async with database.transaction() as session:
        await beat(session, one, URL)
    return one


async def claimed(database: Database, room_id: UUID, by: UUID) -> Placement | None:
    async with database.transaction() as session:
        return await claim(session, room_id, Candidate(by))


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


async def test_a_draining_worker_keeps_its_rooms_and_claims_no_more(database: Database) -> None:
    mine, other = await worker(database), await worker(database)
    first = await live_hall(database)
    placement = await claimed(database, first.room_id, mine)
    async with database.transaction() as session:
        await drain(session, mine)
        await beat(session, mine, URL)
    second = Hall(database)
    await second.go_live(alone=False)
    assert await claimed(database, second.room_id, mine) is None
    assert await claimed(database, first.room_id, mine) == placement
    async with database.transaction() as session:
        assert await whip_base_url(session, first.room_id) == URL
    assert await claimed(database, second.room_id, other) is not None
    async with database.transaction() as session:
        await beat(session, mine, URL, starting=True)
    third = Hall(database)
    await third.go_live(alone=False)
    assert await claimed(database, third.room_id, mine) is not None
    async with database.transaction() as session:
        await drain(session, mine, move=True)
        await undrain(session, mine)
        assert not await is_moving(session, mine)
    fourth = Hall(database)
    await fourth.go_live(alone=False)
    assert await claimed(database, fourth.room_id, mine) is not None


async def test_who_has_more_live_rooms_waits_longer(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(sa.update(IngestWorker).values(draining=True))
    busy, idle, late = [await worker(database) for _ in range(3)]
    halls = [Hall(database) for _ in range(4)]
    for number, hall in enumerate(halls):
        await hall.go_live(alone=number == 0)
    for hall in halls[:2]:
        await claimed(database, hall.room_id, busy)
    await claimed(database, halls[2].room_id, late)

    async def delay(hall: Hall, by: UUID) -> float:
        async with database.transaction() as session:
            return await claim_delay(session, hall.room_id, by)

    assert await delay(halls[3], idle) == 0
    assert await delay(halls[3], late) == LEAD_SECONDS
    assert await delay(halls[3], busy) == 2 * LEAD_SECONDS
    assert await delay(halls[0], busy) == 0, "its own, after a restart"
    async with database.transaction() as session:
        row = sa.update(IngestWorker).where(IngestWorker.id == idle)
        long_ago = sa.func.now() - ALIVE_FOR - timedelta(seconds=1)
        await session.execute(row.values(heartbeat_at=long_ago))
    assert await delay(halls[3], busy) == LEAD_SECONDS, "nobody waits for the dead"
    async with database.transaction() as session:
        await drain(session, late)
    assert await delay(halls[3], busy) == 0
    await halls[1].end()
    await halls[2].end()
    assert await delay(halls[3], busy) == 0


@pytest.mark.slow
async def test_the_less_busy_of_two_processes_takes_the_next_room(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    """And one that is told to stop drains first."""
    first, second = Hall(database), Hall(database)
    await first.go_live()
    async with receiving(settings_for(postgres_url, tmp_path / "b")):
        async with receiving(settings_for(postgres_url, tmp_path / "a")):
            owner = await owner_of(first)
            await second.go_live(alone=False)
            assert await owner_of(second) != owner
        stopped = worker_id(tmp_path / "a")
        async with database.transaction() as session:
            assert (await session.get_one(IngestWorker, stopped)).draining
            assert not (await session.get_one(IngestWorker, worker_id(tmp_path / "b"))).draining


async def owner_of(hall: Hall) -> UUID:
    async def probe() -> UUID | None:
        async with hall.database.transaction() as session:
            query = sa.select(Recording.worker_id).where(Recording.room_id == hall.room_id)
            return await session.scalar(query)

    found = await eventually_async(probe)
    assert found is not None
    return found


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
        assert hall.room_id not in await rooms_to_receive(session, Candidate(mine))
        assert hall.room_id in await rooms_to_receive(session, Candidate(other))


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
