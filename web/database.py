"""The database of an installation, up to date: the embedded one, or that of DATABASE_URL."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import asyncpg
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.errors import Problem
from core.installation import check_installation, check_store
from core.migrate import upgrade
from core.postgres import EmbeddedPostgres
from core.settings import Settings
from core.storage import ObjectStore, StoreUnavailable, open_store
from payouts.books import open_books
from web.shared import DatabaseUrlMissing

log = logging.getLogger(__name__)

DATABASE_WATCH_SECONDS = 0.5

Result = TypeVar("Result")
Work = Callable[[Database, ObjectStore], Awaitable[Result]]


class DatabaseUnreachable(Problem):
    status = 503
    code = "database_unreachable"
    title = "The database does not answer"


async def same_installation(settings: Settings) -> None:
    """Raises OtherSecret, OtherStore, WrongMode, WrongCurrency; the first start registers what it
    has."""
    async with connected(settings) as database:
        await check_installation(settings, database)
        async with database.transaction() as session:
            await open_books(session, settings)


@contextlib.asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Database]:
    """A pool for a moment. Raises DatabaseUrlMissing."""
    if settings.database_url is None:
        raise DatabaseUrlMissing
    database = Database(settings.database_url.get_secret_value(), pool_size=1)
    try:
        yield database
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def with_database(
    settings: Settings, *, embed: bool, owned: bool = False
) -> AsyncIterator[Settings]:
    """Settings with a database that answers and has today's schema.

    An embedded server that ran before goes on running afterwards, unless it is `owned`: left
    over from a supervisor that was killed.
    """
    server: EmbeddedPostgres | None = None
    keeper: asyncio.Task[None] | None = None
    if settings.database_url is None and embed:
        embedded = EmbeddedPostgres(settings.data_dir / "postgres")
        server = embedded if owned or embedded.running_port() is None else None
        url = await asyncio.to_thread(embedded.start)
        settings = settings.model_copy(update={"database_url": SecretStr(url)})
        keeper = asyncio.create_task(_keep_database(embedded)) if owned else None
    if settings.database_url is None:
        raise DatabaseUrlMissing
    try:
        await _upgrade(settings.database_url.get_secret_value())
        yield settings
    finally:
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait({keeper})
        if server is not None:
            await asyncio.to_thread(server.stop)


async def _upgrade(url: str) -> None:
    try:
        await upgrade(url)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnreachable(f"DATABASE_URL: {type(error).__name__}: {error}") from error


async def _keep_database(server: EmbeddedPostgres) -> None:
    """Starts a server that was killed again; it keeps its port, so that pools find it."""
    while True:
        await asyncio.sleep(DATABASE_WATCH_SECONDS)
        if server.running_port() is None:
            log.error("the embedded PostgreSQL has ended; starting it again")
            try:
                await asyncio.to_thread(server.start)
            except (Problem, OSError) as error:
                log.error("it did not start: %s", error)


def over_the_database(work: Work[Result]) -> Result:
    """For commands: over DATABASE_URL, or over the embedded database, running or not.

    Raises OtherStore: what lies elsewhere must not be called missing.
    """

    async def run() -> Result:
        async with (
            with_database(Settings(), embed=True) as settings,
            connected(settings) as database,
        ):
            try:
                await check_store(settings, database)
                return await work(database, open_store(settings))
            except StoreUnavailable as away:
                raise StoreUnavailable(f"{settings.object_store_url}: {away.detail}") from away

    return asyncio.run(run())


def in_transaction(work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
    """For commands that need no objects; what `work` did is committed."""

    async def run() -> Result:
        async with (
            with_database(Settings(), embed=True) as settings,
            connected(settings) as database,
            database.transaction() as session,
        ):
            return await work(session)

    return asyncio.run(run())
