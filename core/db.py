"""PostgreSQL through SQLAlchemy. Nothing outside of this module commits."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase

from core.errors import Invalid

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


PLANS: Final = (
    "set plan_cache_mode = force_generic_plan set enable_seqscan = off "
    "set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off"
)
"""Of functions that are called hundreds of times a second: each row by its index. What PostgreSQL
plans by the sizes of tables is kept by a connection while they grow, and planning an array of eight
for its length takes longer than reading eight rows."""


RAW_AT_ONCE: Final = 16
"""Connections beside the pool: each platform's tips use two, and there may be a thousand."""


class Base(DeclarativeBase):
    """All tables. Datetimes carry a time zone, UUIDs are native, JSON is jsonb."""

    metadata = sa.MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads a plain dict
        datetime: sa.DateTime(timezone=True),
        UUID: sa.Uuid(),
        dict[str, Any]: JSONB(),
        list[str]: sa.ARRAY(sa.Text()),
        bytes: sa.LargeBinary(),
    }


def text_enum(enum: type[StrEnum], name: str, *, checked: bool = True) -> sa.Enum:
    """Stored as text under a CHECK: new members are a migration of one constraint. Not `checked`
    where a function of the table looks at it (`row_check`)."""
    return sa.Enum(
        enum,
        name=name,
        native_enum=False,
        create_constraint=checked,
        values_callable=lambda e: [m.value for m in e],
    )


def row_check(table: str, parameters: str, rules: Iterable[str]) -> sa.DDL:
    """A function `{table}_holds` for the one CHECK of a table that is written to hundreds of times
    a second: PostgreSQL reads the text of each CHECK anew for every statement that writes, which
    took a seventh of a tip; a function it keeps. None of the rules may be null."""
    return sa.DDL(  # type: ignore[no-untyped-call]
        f"create or replace function {table}_holds({parameters}) returns boolean "
        "language plpgsql immutable as $$\nbegin\n    return "
        + "\n        and ".join(f"({rule})" for rule in rules)
        + ";\nend $$"
    )


def members(enum: Iterable[str]) -> str:
    """As SQL, within the parentheses of an `in`."""
    return ", ".join(f"'{member}'" for member in enum)


class DatabaseUrlInvalid(Invalid):
    code = "database_url_invalid"
    title = "The database URL is none: write postgresql://user:password@host:port/name"


def asyncpg_url(url: str) -> str:
    """`postgresql://` as people write it, spelled for SQLAlchemy's asyncpg dialect.

    Raises DatabaseUrlInvalid.
    """
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            url = "postgresql+asyncpg://" + url.removeprefix(prefix)
    try:
        sa.make_url(url)
    except (ValueError, sa.exc.ArgumentError):
        raise DatabaseUrlInvalid from None  # its text would show the password
    return url


def dsn(url: str) -> str:
    """The same URL for asyncpg itself."""
    return asyncpg_url(url).replace("postgresql+asyncpg://", "postgresql://")


def _idle(limit: timedelta) -> dict[str, str]:
    milliseconds = round(limit.total_seconds() * 1000)
    return {"idle_in_transaction_session_timeout": str(milliseconds)}


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """The pool then opens another. asyncpg knows at once that the server has closed; asking it
    (SQLAlchemy's pre-ping) would be three more round trips for each transaction."""
    if connection.driver_connection.is_closed():
        raise sa.exc.DisconnectionError


class Database:
    """One pool of connections and the transactions on it.

    `idle_limit`: the server ends a transaction in which nothing was asked for so long, and so
    the locks of a process that was stopped in its midst.
    """

    def __init__(
        self, url: str, *, pool_size: int = 8, idle_limit: timedelta | None = None
    ) -> None:
        self.url = asyncpg_url(url)
        self._options = {} if idle_limit is None else {"server_settings": _idle(idle_limit)}
        self._raw: list[asyncpg.Connection] = []
        self.raw_opened = 0
        """Connections of `raw` so far. Behind a new one may be another server, or a database that
        was put back: what was kept in memory of rows by their numbers may not hold for it."""
        self._raw_turns = asyncio.Semaphore(RAW_AT_ONCE)
        self.engine: AsyncEngine = create_async_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=4,
            connect_args=self._options,
            hide_parameters=True,  # an error's text reaches the log; bound values may be personal
        )
        sa.event.listen(self.engine.sync_engine, "checkout", _refuse_closed)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One unit of work: committed at the end, rolled back on any exception."""
        async with self._sessions() as session:
            yield session
            await session.commit()

    @asynccontextmanager
    async def raw_transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """As `transaction`, on asyncpg alone: a statement costs a quarter of what it costs
        through SQLAlchemy."""
        async with self.raw() as raw, raw.transaction():
            yield raw

    @asynccontextmanager
    async def raw(self) -> AsyncIterator[asyncpg.Connection]:
        """asyncpg alone, each statement a transaction of its own. For what happens hundreds of
        times a second, a few at once: their connections are kept beside the pool, as many as were
        ever used together."""
        async with self._raw_turns:
            raw = await self._raw_connection()
            try:
                yield raw
            finally:
                if raw.is_in_transaction():
                    raw.terminate()  # its end was not seen
                self._raw.append(raw)

    async def _raw_connection(self) -> asyncpg.Connection:
        while self._raw:
            raw = self._raw.pop()
            if not raw.is_closed():
                return raw
        raw = await asyncpg.connect(dsn(self.url), **self._options)
        self.raw_opened += 1
        return raw

    async def close(self) -> None:
        while self._raw:
            await self._raw.pop().close()
        await self.engine.dispose()


async def release(session: AsyncSession) -> None:
    """Commits what was done so far and gives the connection back, for who then waits for another
    transaction: all of the pool may be held by those who wait."""
    await session.commit()


async def raw_connection(session: AsyncSession) -> asyncpg.Connection:
    """The asyncpg connection that the session's transaction runs on.

    SQLAlchemy sends BEGIN with the first statement of its own, so one goes ahead.
    """
    connection = await session.connection()
    raw = (await connection.get_raw_connection()).driver_connection
    assert raw is not None  # noqa: S101 - the asyncpg dialect always has one
    if not raw.is_in_transaction():
        await session.execute(sa.text("select 1"))
    return raw
