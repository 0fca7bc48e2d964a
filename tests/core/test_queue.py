import json
from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import Platform
from core.db import Database, dsn
from core.ids import uuid7
from core.queue import enqueue, install_queue


def fresh() -> str:
    """An entrypoint that no other test uses."""
    return f"test.{uuid7().hex}"


async def jobs(raw: asyncpg.Connection, entrypoint: str) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await raw.fetch(
        "select payload, execute_after - created as delay from pgqueuer"
        " where entrypoint = $1 order by id",
        entrypoint,
    )
    return rows


async def test_a_committed_transaction_has_its_job(
    database: Database, raw: asyncpg.Connection
) -> None:
    entrypoint = fresh()
    async with database.transaction() as session:
        await enqueue(session, entrypoint, {"room": "å"})
        assert await jobs(raw, entrypoint) == []
    (job,) = await jobs(raw, entrypoint)
    assert json.loads(job["payload"]) == {"room": "å"}


@pytest.mark.parametrize("write_first", [False, True])
async def test_a_rolled_back_transaction_has_none(
    database: Database, raw: asyncpg.Connection, write_first: bool
) -> None:
    """Also when the job is the transaction's first statement, before SQLAlchemy's BEGIN."""
    entrypoint = fresh()

    async def fail() -> None:
        async with database.transaction() as session:
            if write_first:
                session.add(Platform(slug=entrypoint, name="P"))
                await session.flush()
            await enqueue(session, entrypoint, {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await jobs(raw, entrypoint) == []


async def test_a_key_in_use_adds_no_second_job_and_breaks_nothing(
    database: Database, raw: asyncpg.Connection
) -> None:
    entrypoint, other = fresh(), fresh()
    async with database.transaction() as session:
        await enqueue(session, entrypoint, {"n": 1}, dedupe_key="k")
        await enqueue(session, entrypoint, {"n": 2}, dedupe_key="k")
        await enqueue(session, other, {"n": 3}, dedupe_key="k")
    async with database.transaction() as session:
        await enqueue(session, entrypoint, {"n": 4}, dedupe_key="k")
        await enqueue(session, entrypoint, {"n": 5}, dedupe_key="l")
    assert [json.loads(j["payload"])["n"] for j in await jobs(raw, entrypoint)] == [1, 5]
    assert len(await jobs(raw, other)) == 1


async def test_a_delay_is_kept(database: Database, raw: asyncpg.Connection) -> None:
    entrypoint = fresh()
    async with database.transaction() as session:
        await enqueue(session, entrypoint, {}, delay=timedelta(minutes=5))
    (job,) = await jobs(raw, entrypoint)
    assert job["delay"] == timedelta(minutes=5)


async def test_the_job_is_seen_inside_its_transaction(session: AsyncSession) -> None:
    await enqueue(session, fresh(), {})


async def test_installing_twice_changes_nothing(database: Database) -> None:
    connection = await asyncpg.connect(dsn(database.url))
    try:
        await install_queue(connection)
        await install_queue(connection)
    finally:
        await connection.close()
