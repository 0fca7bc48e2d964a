"""One embedded PostgreSQL per test run; a database of its own, made from a template, per worker."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import settings
from sqlalchemy.ext.asyncio import AsyncSession

import core.auth.models
import core.installation
import core.progress
import core.webhooks.models  # noqa: F401
import ingest.models  # noqa: F401
import payouts.claim_models
import payouts.gateway_models
import payouts.models
import payouts.stripe_facts
import payouts.tip_models  # noqa: F401
import replay.subtitles  # noqa: F401
import rooms.models  # noqa: F401
import transcripts.index_models
import transcripts.models  # noqa: F401
from core.db import Base, Database, dsn
from core.ids import uuid7
from core.postgres import EmbeddedPostgres
from core.queue import install_queue
from tests.payouts.judging import (  # noqa: F401 - hooks
    pytest_configure,
    pytest_sessionfinish,
    pytest_terminal_summary,
)

pytest_plugins = ["tests.skipped"]

# A busy machine may take any time for one example; times are measured in bench/.
settings.register_profile("encore", deadline=None)
settings.load_profile("encore")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that needs the shared Encore or a browser runs on one worker: one of each is started."""
    for item in items:
        asked = getattr(item, "fixturenames", ())
        if {"stack", "chromium"} & set(asked) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("stack"))


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that lives as long as this test worker, or a database of its own on the server of
    `ENCORE_TEST_DATABASE_URL`."""
    if url := os.environ.get("ENCORE_TEST_DATABASE_URL"):
        name = f"test{uuid7().hex}"
        _tell(url, f"create database {name}")
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        _tell(url, f"drop database {name} with (force)")
        return
    server = EmbeddedPostgres(Path("/tmp") / f"encore-test-{os.getpid()}")  # noqa: S108
    try:
        url = server.start()
        # Killed servers lose nothing by it; what a power cut costs is shown by others.
        for setting in ("fsync", "full_page_writes"):
            _tell(url, f"alter system set {setting} = off")
        _tell(url, "select pg_reload_conf()")
        yield url
    finally:
        server.stop()
        shutil.rmtree(server.folder)


def _tell(url: str, statement: str) -> None:
    """Beside the loop of the tests, which may run or not."""

    async def tell() -> None:
        connection = await asyncpg.connect(dsn(url))
        await connection.execute(statement)
        await connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, tell()).result()


@pytest.fixture(scope="session")
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """All tables, empty; for tests that must commit. Such a test makes its own platform."""
    database = Database(postgres_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    queue = await asyncpg.connect(dsn(postgres_url))
    await install_queue(queue)
    await queue.close()
    yield database
    await database.close()


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    """One transaction that is rolled back: what a service test runs in."""
    async with database.engine.connect() as connection:
        transaction = await connection.begin()
        async with AsyncSession(bind=connection, expire_on_commit=False) as session:
            yield session
        await transaction.rollback()


@pytest.fixture
async def raw(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn(postgres_url))
    yield connection
    await connection.close()


@pytest.fixture
async def empty_url(postgres_url: str, raw: asyncpg.Connection) -> AsyncIterator[str]:
    """A database of its own in the run's server."""
    name = f"m{uuid7().hex}"
    await raw.execute(f"create database {name}")
    yield urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    await raw.execute(f"drop database {name} with (force)")
