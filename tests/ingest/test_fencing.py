"""A worker that was taken over: its files are set aside, its speakers sent away, its spool gone."""

import asyncio
import time
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from core.db import Database
from core.storage import open_store
from ingest.fencing import epoch_here, set_aside
from ingest.fleet import beat
from ingest.folders import Folders
from ingest.models import IngestWorker, Recording
from ingest.package import run
from ingest.placement import Candidate, claim
from replay.library import Library
from tests.ingest.journals import JournalMaker, Voice, participant, tone
from tests.ingest.packaging import package
from tests.ingest.receiving import Hall, eventually, eventually_async, receiving, settings_for
from tests.ingest.recorded import placed_recording
from tests.ingest.test_package import settings_of

OTHER = UUID(int=0x77)


async def take_over(database: Database, room_id: UUID) -> None:
    """By a worker that is nowhere else to be seen."""
    async with database.transaction() as session:
        await beat(session, OTHER, "http://other")
        recording = sa.select(Recording.worker_id).where(Recording.room_id == room_id)
        lost = await session.scalar(recording)
        assert lost is not None
        row = sa.update(IngestWorker).where(IngestWorker.id == lost)
        yesterday = sa.func.now() - sa.text("interval '1 day'")
        await session.execute(row.values(heartbeat_at=yesterday))
        by = Candidate(OTHER, frozenset({lost}))
        assert await claim(session, room_id, by) is not None


def test_a_disk_knows_in_which_epoch_it_writes(tmp_path: Path) -> None:
    folders, maker = Folders(tmp_path), JournalMaker(epoch=3)
    assert epoch_here(folders, maker.recording_id) is None
    maker.record(0, on=True)
    maker.write(folders)
    assert epoch_here(folders, maker.recording_id) == 3
    package(folders, maker.recording_id)
    assert epoch_here(folders, maker.recording_id) == 3


def test_a_journal_that_goes_on_after_it_was_set_aside_joins_it(tmp_path: Path) -> None:
    folders, maker = Folders(tmp_path), JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), tone(3)))
    maker.write(folders)
    package(folders, maker.recording_id)
    set_aside(folders, maker.recording_id, 1)
    maker.write(folders)
    set_aside(folders, maker.recording_id, 1)
    kept = folders.fenced(1).journal(maker.recording_id)
    assert [p.name for p in sorted(kept.iterdir())] == ["00000001.journal", "00000002.journal"]
    assert not folders.held()
    assert folders.fenced_epochs() == [1]


async def test_the_packaging_process_lets_go_and_the_edge_turns_to_the_rows(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    maker, (speaker,) = await placed_recording(database, live_at_us=time.time_ns() // 1000)
    folders = Folders(tmp_path)
    maker.record(0, on=True)
    maker.speak(Voice(speaker, tone(5)))
    maker.write(folders)
    recording_id = UUID(maker.recording_id)
    stop = asyncio.Event()
    settings = settings_of(postgres_url, tmp_path)
    process = asyncio.create_task(run(settings, stop))
    library = Library(folders, database, open_store(settings))
    tail = asyncio.create_task(library.tail())

    async def served() -> bool:
        found = await library.find(recording_id)
        return found is not None and "mix" in found.renditions

    await eventually_async(served)
    await take_over(database, UUID(maker.room_id))
    await eventually(lambda: not folders.held())
    assert folders.fenced(1).journals() == [maker.recording_id]

    async def forgotten() -> bool:
        found = await library.find(recording_id)
        paths = [p for r in found.renditions.values() for p in r.places] if found else []
        return all(place.path is None for place in paths)

    await eventually_async(forgotten)
    tail.cancel()
    stop.set()
    await asyncio.wait_for(process, 15)


async def test_the_receiving_process_gives_the_room_up(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    hall = Hall(database)
    await hall.go_live()
    async with receiving(settings_for(postgres_url, tmp_path)):
        await hall.whip_url()
        journal = hall.journal(tmp_path)
        stages = tmp_path / "stages" / f"{hall.room_id}.json"
        await eventually(lambda: stages.exists() and bool(journal.batches()))
        await take_over(database, hall.room_id)
        await eventually(lambda: not stages.exists())
        async with database.transaction() as session:
            recording = await session.get_one(Recording, hall.recording_id)
            assert (recording.worker_id, recording.epoch) == (OTHER, 2)
