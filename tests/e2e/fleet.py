"""Two receiving machines with a disk each, one web, one database and one store, as processes."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg

from core.db import Database, dsn
from core.ids import uuid7
from core.migrate import upgrade
from ingest.fleet import takers
from ingest.folders import Folders
from ingest.models import Recording, RecordingEpoch
from tests.e2e.live_room import until
from tests.e2e.stack import free_ports

ALIVE_SECONDS = 4.0
STOP_SECONDS = 60.0


@dataclass
class Machine:
    """Commands of Encore over one data folder; those of a supervisor bring their children."""

    data_dir: Path
    environment: dict[str, str]
    commands: tuple[tuple[str, ...], ...]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """What runs already goes on."""
        if self.processes:
            return
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "log").open("ab") as log:
            self.processes = [
                subprocess.Popen(
                    [sys.executable, "-m", "web.cli", *command],
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
                for command in self.commands
            ]

    def freeze(self) -> None:
        """All of it stands still, the supervisor first: it must not miss its children."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """As if somebody had cut its power, but for the disk."""
        self.freeze()
        self._signal(signal.SIGKILL)
        self._wait()
        for file in self.data_dir.glob("*.pid"):
            file.unlink()

    def stop(self) -> list[int]:
        """SIGTERM, as a deploy ends it; returns the exit codes."""
        for process in self.processes:
            process.terminate()
        return self._wait()

    def _wait(self) -> list[int]:
        codes = [process.wait(STOP_SECONDS) for process in self.processes]
        self.processes = []
        return codes

    def _signal(self, number: int) -> None:
        children = [int(file.read_text()) for file in self.data_dir.glob("*.pid")]
        for pid in (*(process.pid for process in self.processes), *children):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    @property
    def worker(self) -> UUID:
        return UUID((self.data_dir / "worker_id").read_text())

    @property
    def folders(self) -> Folders:
        return Folders(self.data_dir)

    def log(self) -> str:
        return (self.data_dir / "log").read_text(errors="replace")


@dataclass
class Fleet:
    web: Machine
    machines: list[Machine]
    web_url: str
    database: Database

    async def ready(self) -> None:
        """Starts what does not run; returns when web answers and both workers take rooms."""
        for machine in (self.web, *self.machines):
            machine.start()
        await until(self._up)

    async def _up(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(*_address(self.web_url))
        except OSError:
            return False
        writer.close()
        async with self.database.transaction() as session:
            return len(await takers(session)) == len(self.machines)

    async def recording(self, recording_id: str) -> Recording:
        async with self.database.transaction() as session:
            return await session.get_one(Recording, UUID(recording_id))

    async def epoch(self, recording_id: str, number: int) -> RecordingEpoch:
        async with self.database.transaction() as session:
            return await session.get_one(RecordingEpoch, (UUID(recording_id), number))

    async def owner(self, recording_id: str) -> Machine:
        recording = await self.recording(recording_id)
        return next(m for m in self.machines if m.worker == recording.worker_id)

    async def moved(self, recording_id: str, *, epoch: int = 2) -> Recording:
        """The recording, once another worker has it."""

        async def look() -> Recording | None:
            found = await self.recording(recording_id)
            return found if found.epoch >= epoch else None

        return await until(look)


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


@asynccontextmanager
async def fleet_database(postgres_url: str) -> AsyncIterator[tuple[Database, str]]:
    """A database with today's schema, and its address: no other test's rooms are received here."""
    name = f"fleet{uuid7().hex}"
    server = await asyncpg.connect(dsn(postgres_url))
    await server.execute(f"create database {name}")
    url = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    await upgrade(url)
    database = Database(url, pool_size=2)
    try:
        yield database, url
    finally:
        await database.close()
        await server.execute(f"drop database {name} with (force)")
        await server.close()


@contextmanager
def fleet_in(folder: Path, database: Database, url: str) -> Iterator[Fleet]:
    """Over a database with today's schema; nothing runs before `Fleet.ready`."""
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    web_port, *ports = map(str, free_ports([tcp, tcp, tcp, tcp, tcp, tcp, udp, udp]))
    (folder / "objects").mkdir()
    unset = {k: v for k, v in os.environ.items() if not k.startswith(("ENCORE_", "DATABASE_"))}
    common = {
        **unset,
        "DATABASE_URL": url,
        "ENCORE_SECRET_KEY": "s" * 40,
        "ENCORE_STORAGE_URL": f"file://{folder / 'objects'}",
        "ENCORE_WORKER_ALIVE_SECONDS": str(ALIVE_SECONDS),
        "ENCORE_CAPTIONS": "off",
        "ENCORE_WEB_PORT": web_port,
        "ENCORE_EDGE_PORT": ports[0],
        "ENCORE_INGEST_ORIGINS": ",".join(f"http://127.0.0.1:{port}" for port in ports[3:5]),
    }

    def machine(name: str, *commands: tuple[str, ...], **more: str) -> Machine:
        data_dir = folder / name
        return Machine(data_dir, {**common, "ENCORE_DATA_DIR": str(data_dir), **more}, commands)

    workers = [
        machine(
            name,
            ("ingest",),
            ENCORE_EDGE_PORT=ports[1 + number],
            ENCORE_INGEST_PORT=ports[3 + number],
            ENCORE_INGEST_UDP_PORT=ports[5 + number],
        )
        for number, name in enumerate(("a", "b"))
    ]
    alone = [("process", name, "--unsupervised") for name in ("web", "edge", "work")]
    web = machine("web", *alone)
    try:
        yield Fleet(web, workers, f"http://127.0.0.1:{web_port}", database)
    finally:
        for one in (*workers, web):
            one.kill()
