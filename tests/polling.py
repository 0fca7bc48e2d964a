"""Waiting for what another task or process does, instead of sleeping."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

T = TypeVar("T")


async def eventually(
    look: Callable[[], Awaitable[T]], *, within_s: float = 10.0, every_s: float = 0.01
) -> T:
    """The first true result of `look`. Raises TimeoutError when there is none in time."""
    async with asyncio.timeout(within_s):
        while not (found := await look()):  # noqa: ASYNC110 - others change what is looked at
            await asyncio.sleep(every_s)
    return found


async def until(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - of a server's state, which signals nothing
            await asyncio.sleep(0.01)


async def is_waited_for(raw: asyncpg.Connection) -> bool:
    """Whether another transaction waits for this one."""
    waiting: bool = await raw.fetchval(
        "select exists (select from pg_locks l where not l.granted "
        "and pg_backend_pid() = any(pg_blocking_pids(l.pid)))"
    )
    return waiting


async def waiting_in(raw: asyncpg.Connection) -> int:
    """How many transactions of this database wait for a lock."""
    await raw.execute(
        "select pg_stat_clear_snapshot()"
    )  # else a transaction sees what it first saw
    waiting: int = await raw.fetchval(
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and wait_event_type = 'Lock'"
    )
    return waiting
