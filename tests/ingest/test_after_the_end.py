"""The receiving process after a room's end: it finishes what is unfinished, and nothing else."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

import ingest.package
from core.db import Database
from core.settings import Settings
from demo.opus_files import encode, tone
from demo.speaker import Speaker
from ingest.folders import Folders
from ingest.journal_end import JournalEnd, read_end
from ingest.marks import RecordingOpened, RoomEnded
from ingest.models import Recording, RecordingStatus, Segment
from rooms.models import Room
from rooms.stage import live_rooms
from tests.ingest.receiving import Hall, eventually, eventually_async, receiving, settings_for


@asynccontextmanager
async def packaging(settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    process = asyncio.create_task(ingest.package.run(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(process, 5)


async def stored(hall: Hall, folders: Folders) -> None:
    """Until every row is there and the journal is gone."""

    async def probe() -> bool:
        async with hall.database.transaction() as session:
            row = await session.get(Recording, hall.recording_id, populate_existing=True)
            return row is not None and row.status is RecordingStatus.STORED

    await eventually_async(probe)
    await eventually(lambda: not folders.journal(str(hall.recording_id)).exists())


async def closed(hall: Hall) -> None:
    async def probe() -> bool:
        async with hall.database.transaction() as session:
            return hall.room_id not in await live_rooms(session)

    await eventually_async(probe)


async def forget_the_close(hall: Hall) -> None:
    """As when the receiving process died before it told the database of the journal's end."""
    async with hall.database.transaction() as session:
        room = sa.update(Room).where(Room.id == hall.room_id)
        await session.execute(room.values(recording_closed_at=None))


async def rows(hall: Hall) -> list[object]:
    async with hall.database.transaction() as session:
        recording = await session.get_one(Recording, hall.recording_id)
        segments = await session.scalar(sa.select(sa.func.count()).select_from(Segment))
        room = await session.get_one(Room, hall.room_id)
        return [recording.stored_at, recording.epoch, recording.media_samples, segments, room.epoch]


def openings(caplog: pytest.LogCaptureFixture) -> int:
    return sum(r.message.startswith("receiving room") for r in caplog.records)


@pytest.mark.slow
async def test_a_stored_room_is_never_opened_again(
    database: Database,
    postgres_url: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither while the process runs on, nor by its successor, though the room is listed."""
    caplog.set_level(logging.INFO, "ingest.stage_sync")
    settings, folders = settings_for(postgres_url, tmp_path), Folders(tmp_path)
    hall = Hall(database)
    await hall.go_live()
    async with packaging(settings):
        async with receiving(settings), Speaker() as speaker:
            ada = await hall.guest()
            await speaker.connect(await hall.whip_url(), ada.token)
            speaker.play(encode(tone(0.2)))
            await eventually(lambda: not speaker.talking)
            await hall.end()
            await stored(hall, folders)
            before = await rows(hall)
            await forget_the_close(hall)
            async with database.transaction() as session:
                notify = sa.text("select pg_notify('encore_room', :message)")
                message = f'{{"room_id": "{hall.room_id}", "seq": 99, "kind": "room.ended"}}'
                await session.execute(notify, {"message": message})
            await closed(hall)
        await forget_the_close(hall)
        async with receiving(settings):
            await closed(hall)
    assert openings(caplog) == 1
    assert not folders.journal(str(hall.recording_id)).exists()
    assert list((tmp_path / "stages").iterdir()) == []
    assert await rows(hall) == before


async def test_a_journal_that_is_stored_while_it_is_looked_at_is_not_begun_again(
    database: Database,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The claim saw a live recording; when the folder is read, the packager is through with it."""
    caplog.set_level(logging.INFO, "ingest.stage_sync")
    settings, folders = settings_for(postgres_url, tmp_path), Folders(tmp_path)
    hall = Hall(database)
    await hall.go_live()
    async with receiving(settings):
        await hall.whip_url()
        await hall.end()
        await closed(hall)
    await forget_the_close(hall)
    sync = asyncio.get_running_loop()

    async def store() -> None:
        async with database.transaction() as session:
            row = sa.update(Recording).where(Recording.id == hall.recording_id)
            await session.execute(row.values(status=RecordingStatus.STORED))

    def read_too_late(folder: Path) -> JournalEnd:
        asyncio.run_coroutine_threadsafe(store(), sync).result(5)
        shutil.rmtree(folder)
        return read_end(folder)

    monkeypatch.setattr("ingest.stage_sync.read_end", read_too_late)
    async with receiving(settings):
        await closed(hall)
    assert not folders.journal(str(hall.recording_id)).exists()
    assert openings(caplog) == 1


async def test_who_comes_back_after_the_end_writes_it(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    """The room ended while nobody received: the journal gets its end, then it is stored."""
    settings, folders = settings_for(postgres_url, tmp_path), Folders(tmp_path)
    hall = Hall(database)
    await hall.go_live()
    journal = hall.journal(tmp_path)
    async with receiving(settings):
        await eventually(journal.marks)
    length_ms = await hall.end()
    assert not any(isinstance(m, RoomEnded) for m in journal.marks())
    async with receiving(settings):
        await closed(hall)
    marks = journal.marks()
    assert [m.restart for m in marks if isinstance(m, RecordingOpened)] == [False, True]
    assert marks[-1] == RoomEnded(length_ms)
    async with packaging(settings), receiving(settings):
        await stored(hall, folders)
    assert not folders.journal(str(hall.recording_id)).exists()
