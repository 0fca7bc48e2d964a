"""kill -9 of the packaging process while a room is live: nothing of it is missed or heard twice."""

import asyncio
import os
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest

from core.db import Database
from ingest.folders import Folders
from ingest.journal import MAGIC
from ingest.manifest import Ended, Line, ManifestReader
from ingest.models import Recording, RecordingStatus
from ingest.opus import RATE
from tests.ingest.journals import JournalMaker, Voice, clicks
from tests.ingest.listening import decode, onset
from tests.ingest.packaging import check_chain, segments
from tests.ingest.receiving import eventually, eventually_async
from tests.ingest.recorded import placed_recording

SECONDS = 9
MOMENTS = (1.5, 3.0, 5.0, 7.0)
PROGRAM = """
import asyncio
from core.settings import Settings
from ingest.package import run
asyncio.run(run(Settings(_env_file=None), asyncio.Event()))
"""


async def start_process(url: str, data_dir: Path) -> asyncio.subprocess.Process:
    environment = {**os.environ, "DATABASE_URL": url, "ENCORE_DATA_DIR": str(data_dir)}
    return await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, env=environment)


def append(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(data)


async def receive(maker: JournalMaker, path: Path) -> None:
    """Appends the room's batches when their time comes, its end with the last."""
    append(path, MAGIC + maker.opened(0.0, restart=False))
    for tick in range(0, (SECONDS + 1) * 20):
        at = tick * 0.05
        await asyncio.sleep(max(0, maker.live_at_us / 1e6 + at + 0.05 - time.time()))
        append(path, b"".join(maker.batches(first=at, last=at + 0.05)))
        if at + 0.05 > SECONDS:
            break


@pytest.mark.slow
async def test_killed_three_times_in_a_live_room(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    live_at_us = time.time_ns() // 1000 + 500_000
    maker, speakers = await placed_recording(database, speakers=2, live_at_us=live_at_us)
    folders = Folders(tmp_path)
    maker.record(0, on=True)
    for number, speaker in enumerate(speakers):
        signal = clicks(SECONDS, MOMENTS)
        maker.speak(Voice(speaker, signal, jitter=0.02, seed=number, level=lambda _: 30))
    maker.end(SECONDS)
    receiving = asyncio.create_task(
        receive(maker, folders.journal(maker.recording_id) / "00000001.journal")
    )
    process = await start_process(postgres_url, tmp_path)
    for pause in (2.5, 1.7, 2.2):
        await asyncio.sleep(pause)
        process.kill()
        await process.wait()
        process = await start_process(postgres_url, tmp_path)
    await receiving
    reader = ManifestReader(folders.manifest(maker.recording_id))
    lines: list[Line] = []

    def ended() -> bool:
        lines.extend(reader.read())
        return bool(lines) and isinstance(lines[-1], Ended)

    # How soon is another test's question: here new processes start meanwhile.
    await eventually(ended)

    async def stored() -> bool:
        async with database.transaction() as session:
            row = await session.get_one(Recording, UUID(maker.recording_id))
            return row.status is RecordingStatus.STORED

    await eventually_async(stored)
    process.kill()
    await process.wait()
    check_chain(lines)
    assert sum(s.samples for s in segments(lines, "mix")) == SECONDS * RATE
    for rendition in ("mix", *(f"track-{speaker}" for speaker in speakers)):
        heard = decode(folders, maker.recording_id, rendition)
        for moment in MOMENTS:
            assert 0 <= onset(heard, moment) - moment < 0.035
