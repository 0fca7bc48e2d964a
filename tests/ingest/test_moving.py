"""A room whose worker is lost, or has let go of it, goes on at exactly one other."""

import asyncio
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from core.db import Database
from ingest.fleet import SilenceWatch, UnknownWorker, beat, drain, members
from ingest.manifest import Opened
from ingest.models import IngestWorker, Recording, RecordingEpoch, RecordingStatus
from ingest.placement import (
    RECORDING_MOVED,
    Candidate,
    Placement,
    claim,
    release,
    rooms_to_receive,
    whip_base_url,
)
from ingest.rows import Fenced, add_rows
from rooms.models import Room, RoomEvent
from tests.ingest.receiving import Hall

START = datetime(2026, 11, 22, tzinfo=UTC)


async def worker(database: Database, url: str = "http://worker") -> UUID:
    one = uuid4()
    async with database.transaction() as session:
        await beat(session, one, url)
    return one


async def fall_silent(database: Database, one: UUID) -> None:
    async with database.transaction() as session:
        row = sa.update(IngestWorker).where(IngestWorker.id == one)
        await session.execute(row.values(heartbeat_at=sa.func.now() - timedelta(minutes=1)))


async def claimed(database: Database, room_id: UUID, by: Candidate) -> Placement | None:
    async with database.transaction() as session:
        return await claim(session, room_id, by)


async def placed_hall(database: Database, one: UUID, *, alone: bool = True) -> Hall:
    hall = Hall(database)
    await hall.go_live(alone=alone)
    assert await claimed(database, hall.room_id, Candidate(one)) is not None
    return hall


async def test_the_room_of_a_lost_worker_is_taken_over(database: Database) -> None:
    lost, other = await worker(database), await worker(database, "http://other")
    hall = await placed_hall(database, lost)
    await fall_silent(database, lost)
    by = Candidate(other, frozenset({lost}))
    async with database.transaction() as session:
        assert hall.room_id in await rooms_to_receive(session, by)
        assert hall.room_id not in await rooms_to_receive(session, Candidate(other))
    assert await claimed(database, hall.room_id, Candidate(other)) is None, "not seen silent"

    placement = await claimed(database, hall.room_id, by)
    assert placement is not None
    assert placement.epoch == 2
    assert placement.began_ms > 0
    assert placement.began_ms % 20 == 0
    assert await claimed(database, hall.room_id, by) == placement, "after a restart"
    async with database.transaction() as session:
        recording = await session.get_one(Recording, hall.recording_id)
        assert (recording.worker_id, recording.epoch) == (other, 2)
        assert (await session.get_one(Room, hall.room_id)).epoch == 2
        assert await whip_base_url(session, hall.room_id) == "http://other"
        kinds = sa.select(RoomEvent.kind).where(RoomEvent.room_id == hall.room_id)
        assert RECORDING_MOVED in set(await session.scalars(kinds))
    assert await claimed(database, hall.room_id, Candidate(lost)) is None, "it has woken up"


async def test_who_has_a_fresh_heartbeat_after_all_keeps_its_room(database: Database) -> None:
    mine, other = await worker(database), await worker(database)
    hall = await placed_hall(database, mine)
    by = Candidate(other, frozenset({mine}))
    assert await claimed(database, hall.room_id, by) is None


async def test_nobody_takes_over_beside_the_files_of_an_earlier_epoch(database: Database) -> None:
    lost, other = await worker(database), await worker(database)
    hall = await placed_hall(database, lost)
    await fall_silent(database, lost)
    held = Candidate(other, frozenset({lost}), (str(hall.recording_id),))
    assert await claimed(database, hall.room_id, held) is None
    async with database.transaction() as session:
        assert hall.room_id not in await rooms_to_receive(session, held)


async def test_a_fenced_worker_writes_no_row(database: Database) -> None:
    lost, other = await worker(database), await worker(database)
    hall = await placed_hall(database, lost)
    await fall_silent(database, lost)
    await claimed(database, hall.room_id, Candidate(other, frozenset({lost})))
    opened = Opened(str(hall.recording_id), str(hall.room_id), str(uuid4()), 1, 1, 0)
    async with database.transaction() as session:
        with pytest.raises(Fenced):
            await add_rows(session, opened=opened, lines=[])


async def test_a_room_that_was_let_go_is_anybodys(database: Database) -> None:
    first, other = await worker(database), await worker(database)
    hall = await placed_hall(database, first)
    async with database.transaction() as session:
        await drain(session, first, move=True)
        await release(session, hall.recording_id, epoch=1, complete_until_ms=40)
        assert await whip_base_url(session, hall.room_id) is None
    assert await claimed(database, hall.room_id, Candidate(first)) is None, "it drains"
    placement = await claimed(database, hall.room_id, Candidate(other))
    assert placement is not None
    assert placement.epoch == 2


async def test_a_room_that_was_let_go_comes_back_where_nobody_else_is(database: Database) -> None:
    first = await worker(database)
    hall = await placed_hall(database, first)
    async with database.transaction() as session:
        await release(session, hall.recording_id, epoch=1, complete_until_ms=40)
    placement = await claimed(database, hall.room_id, Candidate(first))
    assert placement is not None
    assert placement.epoch == 2


async def test_what_is_stored_is_taken_over_by_nobody(database: Database) -> None:
    lost, other = await worker(database), await worker(database)
    hall = await placed_hall(database, lost)
    await hall.end()
    await fall_silent(database, lost)
    async with database.transaction() as session:
        recording = await session.get_one(Recording, hall.recording_id)
        recording.status = RecordingStatus.STORED
    by = Candidate(other, frozenset({lost}))
    assert await claimed(database, hall.room_id, by) is None


async def test_an_ended_room_whose_worker_is_lost_is_finished_by_another(
    database: Database,
) -> None:
    lost, other = await worker(database), await worker(database)
    hall = await placed_hall(database, lost)
    await hall.end()
    await fall_silent(database, lost)
    placement = await claimed(database, hall.room_id, Candidate(other, frozenset({lost})))
    assert placement is not None
    async with database.transaction() as session:
        kinds = sa.select(RoomEvent.kind).where(RoomEvent.room_id == hall.room_id)
        assert RECORDING_MOVED not in set(await session.scalars(kinds)), "nobody publishes"


@pytest.mark.slow
async def test_of_many_processes_one_gets_each_room(database: Database, postgres_url: str) -> None:
    """Some are new, some were left behind by a worker that is lost."""
    lost = await worker(database)
    halls = [await placed_hall(database, lost, alone=n == 0) for n in range(10)]
    await fall_silent(database, lost)
    for _ in range(10):
        hall = Hall(database)
        await hall.go_live(alone=False)
        halls.append(hall)
    rooms = [str(hall.room_id) for hall in halls]
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.ingest.claiming", postgres_url),
            *(str(uuid4()), str(lost), *rooms),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        await process.stdout.readline()
    outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    placements = Counter(line for out, _ in outputs for line in out.decode().split("\n") if line)
    assert set(placements.values()) == {1}
    expected = {f"{room} {2 if n < 10 else 1}" for n, room in enumerate(rooms)}
    assert set(placements) == expected
    async with database.transaction() as session:
        query = sa.select(sa.func.count()).where(
            RecordingEpoch.recording_id.in_([h.recording_id for h in halls])
        )
        assert await session.scalar(query) == 30


class TestSilence:
    def test_who_says_nothing_for_as_long_as_it_promised_is_silent(self) -> None:
        watch, one, other = SilenceWatch(), uuid4(), uuid4()
        found = []
        for second in range(20):
            beats = {one: (START, 15.0), other: (START + timedelta(seconds=second), 15.0)}
            found.append(watch.look(beats, float(second)))
        assert found[14] == set()
        assert found[15] == {one}

    def test_an_old_heartbeat_alone_says_nothing(self) -> None:
        assert SilenceWatch().look({uuid4(): (START, 1.0)}, 1e9) == set()

    def test_time_in_which_the_watcher_stood_still_counts_little(self) -> None:
        watch, one = SilenceWatch(longest_step=4), uuid4()
        watch.look({one: (START, 15.0)}, 0)
        assert watch.look({one: (START, 15.0)}, 1000) == set()

    def test_after_an_outage_everybody_gets_their_time(self) -> None:
        watch, one = SilenceWatch(), uuid4()
        for second in range(14):
            watch.look({one: (START, 15.0)}, float(second))
        watch.forget()
        for second in range(20, 34):
            assert watch.look({one: (START, 15.0)}, float(second)) == set()


async def test_the_fleet_is_listed_with_its_load(database: Database) -> None:
    busy, other = await worker(database), await worker(database)
    await placed_hall(database, busy)
    async with database.transaction() as session:
        await beat(session, busy, "http://busy", sessions=50)
        await beat(session, other, "http://other", sessions=5)
        await drain(session, other)
        found = {m.worker.id: m for m in await members(session)}
    assert (found[busy].rooms, found[busy].load, found[busy].alive) == (1, 3.0, True)
    assert found[other].load == pytest.approx(0.2)
    assert found[other].worker.draining
    assert not found[other].worker.moving


async def test_nobody_drains_a_worker_that_is_not_there(database: Database) -> None:
    async with database.transaction() as session:
        with pytest.raises(UnknownWorker):
            await drain(session, uuid4())
