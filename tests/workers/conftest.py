"""Workers take every job that waits, so they get a database that no other test writes to."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from pydantic import SecretStr

from core.db import Base, Database, dsn
from core.ids import uuid7
from core.mail import Letter, MailRefused, MailUnavailable
from core.queue import install_queue
from core.settings import Settings
from core.storage import open_store
from core.webhooks.sender import Sender
from tests.transcripts.fakes import scripted_engine
from workers.kinds import Tools


@dataclass
class Mailbox:
    """A Mailer that keeps letters, or raises what is put into `fail`."""

    letters: list[Letter] = field(default_factory=list)
    fail: list[MailRefused | MailUnavailable] = field(default_factory=list)

    async def send(self, letter: Letter) -> None:
        if self.fail:
            raise self.fail.pop(0)
        self.letters.append(letter)


@contextlib.asynccontextmanager
async def new_database(server_url: str) -> AsyncIterator[str]:
    """The URL of an empty database with all tables, dropped afterwards."""
    name = f"w{uuid7().hex}"
    admin = await asyncpg.connect(dsn(server_url))
    await admin.execute(f"create database {name}")
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    database = Database(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await database.close()
    queue = await asyncpg.connect(dsn(url))
    await install_queue(queue)
    await queue.close()
    try:
        yield url
    finally:
        await admin.execute(f"drop database {name} with (force)")
        await admin.close()


@pytest.fixture(scope="session")
async def worker_url(postgres_url: str) -> AsyncIterator[str]:
    async with new_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
async def worker_database(worker_url: str) -> AsyncIterator[Database]:
    database = Database(worker_url)
    yield database
    await database.close()


@pytest.fixture
async def queue(worker_url: str) -> AsyncIterator[asyncpg.Connection]:
    """To look at the queue's tables; they are empty at the beginning of the test."""
    connection = await asyncpg.connect(dsn(worker_url))
    await connection.execute("truncate pgqueuer, pgqueuer_log, pgqueuer_schedules")
    yield connection
    await connection.close()


@pytest.fixture
def settings(worker_url: str, tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None,
        data_dir=tmp_path,
        database_url=SecretStr(worker_url),
        allow_private_webhooks=True,
    )


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def tools(
    settings: Settings, worker_database: Database, queue: asyncpg.Connection, mailbox: Mailbox
) -> Tools:
    del queue  # only to begin with an empty one
    return Tools(
        settings=settings,
        database=worker_database,
        secret=b"a secret of this test installation, long enough",
        store=open_store(settings),
        mailer=mailbox,
        sender=Sender(allow_private=True),
        engine=scripted_engine(),
    )
