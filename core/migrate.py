"""The schema's way to the newest migration, and the command that writes a new one.

`python -m core.migrate revision "Add chapters"` compares the models with the migrations in a
server of its own and writes `migrations/versions/*.py`; `check` says whether one is missing.
"""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from core.db import asyncpg_url, dsn
from core.errors import Problem
from core.postgres import EmbeddedPostgres
from core.queue import install_queue

ROOT = Path(__file__).resolve().parent.parent
CONNECTION = "connection"
"""The key under which `migrations/env.py` finds the connection to use."""

LOCK = int.from_bytes(b"encore")
QUEUE_TABLES = "pgqueuer"

USAGE = 'usage: python -m core.migrate check | revision "Subject of the change"'


class UnknownSchema(Problem):
    """Another Encore migrated the database: a newer one, or one from before a release."""

    code = "unknown_schema"
    title = "The database is of another version of Encore"


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Whether alembic compares this object; pgqueuer's tables are upgraded by pgqueuer."""
    return not (kind == "table" and (name or "").startswith(QUEUE_TABLES))


def alembic_config() -> Config:
    config = Config(ROOT / "alembic.ini")
    config.set_main_option("script_location", str(ROOT / "migrations").replace("%", "%%"))
    return config


async def upgrade(url: str) -> None:
    """Brings the database to the newest migration, and pgqueuer's tables to its release.

    Processes that start at once wait for the first one, then find nothing left to do.
    Raises UnknownSchema, and changes nothing.
    """
    async with _locked(url) as connection:
        # Every start and command comes by, and what alembic loads costs half a second.
        if await _newest_run(connection) != _newest():
            await _migrate(url)
        await install_queue(connection)


async def _migrate(url: str) -> None:
    try:
        await _with_alembic(url, lambda config: command.upgrade(config, "head"))
    except CommandError as error:
        if isinstance(error.__cause__, ResolutionError):
            raise UnknownSchema(_what_to_do(error.__cause__)) from error
        raise


def _what_to_do(unknown: ResolutionError) -> str:
    return (
        f"the database was migrated to {unknown.argument} by another version of Encore: a newer"
        " one, or one from before a release. Start that version, or this one with an empty"
        " database: another DATABASE_URL, or without one another ENCORE_DATA_DIR"
    )


async def is_current(url: str) -> bool:
    """Whether the newest migration has run."""
    connection = await asyncpg.connect(dsn(url))
    try:
        return await _newest_run(connection) == _newest()
    finally:
        await connection.close()


def _newest() -> str | None:
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


async def _newest_run(connection: asyncpg.Connection) -> str | None:
    try:
        found: str | None = await connection.fetchval("select version_num from alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    return found


async def revision(url: str, message: str) -> None:
    """Writes the migration from the newest one, where `url` is, to the models; none if equal."""
    await _with_alembic(
        url,
        lambda config: command.revision(
            config, message, autogenerate=True, process_revision_directives=_leave_out_empty
        ),
    )


async def check(url: str) -> None:
    """Raises alembic's CommandError, which lists the differences."""
    await _with_alembic(url, command.check)


def _leave_out_empty(_context: object, _revision: object, directives: list[Any]) -> None:
    if directives and directives[0].upgrade_ops.is_empty():
        directives.clear()


@contextlib.asynccontextmanager
async def _locked(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Ends with the connection, so a killed process frees it."""
    connection = await asyncpg.connect(dsn(url))
    try:
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        yield connection
    finally:
        await connection.close()


async def _with_alembic(url: str, run: Callable[[Config], object]) -> None:
    config = alembic_config()

    def on(connection: Connection) -> None:
        config.attributes[CONNECTION] = connection
        run(config)

    engine = create_async_engine(asyncpg_url(url))
    try:
        async with engine.connect() as connection:
            await connection.run_sync(on)
            await connection.rollback()
    finally:
        await engine.dispose()


@contextlib.contextmanager
def _scratch_server() -> Iterator[str]:
    server = EmbeddedPostgres(Path(tempfile.gettempdir()) / f"encore-migrate-{os.getpid()}")
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(server.folder)


async def _against_scratch(act: Callable[[str], Awaitable[None]]) -> None:
    with _scratch_server() as url:
        await upgrade(url)
        await act(url)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["check"]:
            asyncio.run(_against_scratch(check))
        case ["revision", message]:
            asyncio.run(_against_scratch(lambda url: revision(url, message)))
        case _:
            sys.stderr.write(f"{USAGE}\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
