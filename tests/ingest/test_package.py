"""The process as a whole: journals on the disk become stored recordings."""

import asyncio
import time
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from core.db import Database
from core.settings import Settings
from core.storage import open_store
from ingest.folders import Folders
from ingest.journal import MAGIC, pack_batch, pack_event
from ingest.manifest import Ended, ManifestReader, SegmentWritten
from ingest.marks import RecordMark, RoomEnded, to_event
from ingest.models import Recording, RecordingStatus
from ingest.package import run
from tests.ingest.journals import Voice, tone
from tests.ingest.receiving import eventually, eventually_async
from tests.ingest.recorded import placed_recording


def settings_of(postgres_url: str, tmp_path: Path) -> Settings:
    return Settings(_env_file=None, database_url=SecretStr(postgres_url), data_dir=tmp_path)


async def test_a_journal_becomes_a_stored_recording(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    settings = settings_of(postgres_url, tmp_path)
    folders = Folders(tmp_path)
    maker, (speaker,) = await placed_recording(database)
    maker.record(0, on=True)
    maker.speak(Voice(speaker, tone(3)))
    maker.end(3)
    maker.write(folders)
    stop = asyncio.Event()
    process = asyncio.create_task(run(settings, stop))

    async def stored() -> bool:
        async with database.transaction() as session:
            row = await session.get_one(Recording, UUID(maker.recording_id))
            return row.status is RecordingStatus.STORED

    await eventually_async(stored)
    await eventually(lambda: not folders.journal(maker.recording_id).exists())
    stop.set()
    await asyncio.wait_for(process, 5)
    keys = [i.key async for i in open_store(settings).list(maker.platform_id)]
    assert f"{maker.platform_id}/{maker.recording_id}/1/mix/mix-000001.m4s" in keys


@pytest.mark.slow
async def test_the_mix_goes_on_while_nothing_arrives_and_ends_at_once(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    """The receiving process writes nothing for seconds; live has silence, on time."""
    folders = Folders(tmp_path)
    live_at_us = time.time_ns() // 1000
    maker, _ = await placed_recording(database, live_at_us=live_at_us)
    folder = folders.journal(maker.recording_id)
    folder.mkdir(parents=True)
    on = pack_batch(20_000, [pack_event(to_event(RecordMark(0, on=True)))])
    path = folder / "00000001.journal"
    path.write_bytes(MAGIC + maker.opened(0.01, restart=False) + on)
    stop = asyncio.Event()
    process = asyncio.create_task(run(settings_of(postgres_url, tmp_path), stop))
    reader = ManifestReader(folders.manifest(maker.recording_id))
    found: list[float] = []

    def more() -> bool:
        found.extend(x.room_start_ms for x in reader.read() if isinstance(x, SegmentWritten))
        return len(found) >= 2

    await eventually(more)
    room_ms = (time.time_ns() // 1000 - live_at_us) // 1000
    assert room_ms > 4011 + 500

    with path.open("ab") as file:
        batch = pack_batch(room_ms * 1000, [pack_event(to_event(RoomEnded(room_ms)))])
        file.write(batch)
    ends: list[Ended] = []

    def ended() -> bool:
        ends.extend(x for x in reader.read() if isinstance(x, Ended))
        return bool(ends)

    await eventually(ended)
    assert abs(ends[0].media_samples / 48 - room_ms) <= 21
    stop.set()
    await asyncio.wait_for(process, 5)
