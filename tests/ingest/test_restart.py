"""The receiving process as a process: killed while people speak, and started again."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from core.db import Database
from demo.speaker import Speaker
from ingest.marks import RecordingOpened
from tests.ingest.receiving import SECRET, Hall, Journal, eventually

pytestmark = pytest.mark.slow

RUN = """
import asyncio, signal
from core.settings import Settings
from ingest.receive import run

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run(Settings(_env_file=None), stop)

asyncio.run(main())
"""

Start = Callable[[], Awaitable[asyncio.subprocess.Process]]


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
async def start(postgres_url: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts the process over `tmp_path`; those still running are killed at the end."""
    env = {
        **os.environ,
        "ENCORE_DATABASE_URL": postgres_url,
        "ENCORE_DATA_DIR": str(tmp_path),
        "ENCORE_SECRET_KEY": SECRET,
        "ENCORE_INGEST_PORT": "0",
        "ENCORE_INGEST_UDP_PORT": str(free_udp_port()),
    }
    started: list[asyncio.subprocess.Process] = []

    async def start_one() -> asyncio.subprocess.Process:
        command = [sys.executable, "-c", RUN]
        process = await asyncio.create_subprocess_exec(
            *command, env=env, stderr=asyncio.subprocess.PIPE
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # Reads what is left, so that the pipe is closed with the process.
        await process.communicate()


async def heard_anew(journal: Journal, speakers: int, files: int) -> None:
    """Every speaker has a stream in the newest file."""

    def probe() -> bool:
        opened = [m for m in journal.marks() if isinstance(m, RecordingOpened)]
        streams = {p.stream for p in journal.after_restart()}
        return len(opened) == files and len(streams) == speakers

    await eventually(probe)


async def test_speakers_go_on_in_the_same_recording_after_kill_9(
    database: Database, start: Start, tmp_path: Path
) -> None:
    hall = Hall(database)
    await hall.go_live()
    guests = [await hall.guest() for _ in range(3)]
    process = await start()
    journal = hall.journal(tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        speakers = [await stack.enter_async_context(Speaker()) for _ in guests]
        url = await hall.whip_url()
        for speaker, guest in zip(speakers, guests, strict=True):
            await speaker.connect(url, guest.token)
        await eventually(lambda: all(len(journal.said(g.participant_id)) > 20 for g in guests))
        process.send_signal(signal.SIGKILL)
        await process.wait()
        before = journal.batches()
        assert before, "what had arrived is there"
        await start()
        await heard_anew(journal, speakers=3, files=2)
        sessions = [s.session_url for s in speakers]
        assert len(set(sessions)) == 3
        opened = [m for m in journal.marks() if isinstance(m, RecordingOpened)]
        assert [o.restart for o in opened] == [False, True]
        assert opened[1].last_room_us == before[-1].room_us
        assert opened[0].epoch == opened[1].epoch
        times = [b.room_us for b in journal.batches()]
        assert times == sorted(times)
        for guest in guests:
            assert len(journal.streams(guest.participant_id)) == 2


async def test_a_second_process_on_the_same_folder_is_refused(start: Start) -> None:
    first = await start()
    second = await start()
    done, _ = await asyncio.wait(
        [asyncio.create_task(p.wait()) for p in (first, second)],
        return_when=asyncio.FIRST_COMPLETED,
    )
    assert len(done) == 1
    loser = first if first.returncode is not None else second
    _, stderr = await loser.communicate()
    assert loser.returncode == 1
    assert b"Another receiving process works on" in stderr
