"""Two receiving machines with a disk each, one web, one database and one store, as processes."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg

from core.db import Database, dsn
from core.ids import uuid7
from core.migrate import upgrade
from ingest.folders import Folders
from ingest.models import Recording, RecordingEpoch
from tests.e2e.live_room import until
from tests.e2e.stack import free_ports

ALIVE_SECONDS = 4.0


@dataclass
class Machine:
    """Processes over one data folder."""

    data_dir: Path
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "log").open("ab") as log:
            for name in names:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, "-m", "web.cli", "process", name, "--unsupervised"],
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )

    def signal(self, number: int, *names: str) -> None:
        for name, process in self.processes.items():
            if not names or name in names:
                process.send_signal(number)

    def restart(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()
        self.start(name)

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
        """Web answers, and both workers have said that they live."""

        async def up() -> bool:
            try:
                _, writer = await asyncio.open_connection(*_address(self.web_url))
            except OSError:
                return False
            writer.close()
            return all((m.data_dir / "worker_id").exists() for m in self.machines)

        await until(up, seconds=60)

    async def recording(self, recording_id: str) -> Recording:
        async with self.database.transaction() as session:
            return await session.get_one(Recording, UUID(recording_id))

    async def epoch(self, recording_id: str, number: int) -> RecordingEpoch:
        async with self.database.transaction() as session:
            return await session.get_one(RecordingEpoch, (UUID(recording_id), number))

    async def owner(self, recording_id: str) -> Machine:
        recording = await self.recording(recording_id)
        return next(m for m in self.machines if m.worker == recording.worker_id)

    async def moved(self, recording_id: str) -> Recording:
        """The recording, once another worker has it."""

        async def look() -> Recording | None:
            found = await self.recording(recording_id)
            return found if found.epoch > 1 else None

        return await until(look, seconds=40)


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
def running_fleet(folder: Path, database: Database, url: str) -> Iterator[Fleet]:
    """Over a database with today's schema."""
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    web_port, edge_port, *ports = map(str, free_ports([tcp, tcp, tcp, tcp, udp, udp]))
    (folder / "objects").mkdir(exist_ok=True)
    unset = {k: v for k, v in os.environ.items() if not k.startswith(("ENCORE_", "DATABASE_"))}
    common = {
        **unset,
        "DATABASE_URL": url,
        "ENCORE_SECRET_KEY": "s" * 40,
        "ENCORE_STORAGE_URL": f"file://{folder / 'objects'}",
        "ENCORE_WORKER_ALIVE_SECONDS": str(ALIVE_SECONDS),
        "ENCORE_WEB_PORT": web_port,
        "ENCORE_EDGE_PORT": edge_port,
        "ENCORE_INGEST_ORIGINS": ",".join(f"http://127.0.0.1:{port}" for port in ports[:2]),
    }
    machines = [
        Machine(
            folder / name,
            {
                **common,
                "ENCORE_DATA_DIR": str(folder / name),
                "ENCORE_INGEST_PORT": ports[number],
                "ENCORE_INGEST_UDP_PORT": ports[number + 2],
            },
        )
        for number, name in enumerate(("a", "b"))
    ]
    web = Machine(folder / "web", {**common, "ENCORE_DATA_DIR": str(folder / "web")})
    try:
        web.start("web", "edge", "work")
        for machine in machines:
            machine.start("receive", "package")
        yield Fleet(web, machines, f"http://127.0.0.1:{web_port}", database)
    finally:
        for machine in (*machines, web):
            machine.signal(signal.SIGKILL)
            for process in machine.processes.values():
                process.wait()
