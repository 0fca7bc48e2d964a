import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import Platform
from core.db import RAW_AT_ONCE, Database, DatabaseUrlInvalid, asyncpg_url


async def test_a_row_is_written_and_read(session: AsyncSession) -> None:
    session.add(Platform(slug="written-and-read", name="P"))
    await session.flush()
    query = select(Platform.name).where(Platform.slug == "written-and-read")
    assert await session.scalar(query) == "P"


@pytest.mark.parametrize("url", ["postgresql://x:secret@127.0.0.1:abc/z", "no url"])
def test_what_is_no_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(DatabaseUrlInvalid) as refused:
        asyncpg_url(url)
    assert "secret" not in str(refused.value)


async def test_connections_beside_the_pool_are_few_however_many_wait(postgres_url: str) -> None:
    database = Database(postgres_url)
    used: set[int] = set()

    async def work() -> None:
        async with database.raw_transaction() as raw:
            used.add(await raw.fetchval("select pg_backend_pid()"))

    await asyncio.gather(*(work() for _ in range(4 * RAW_AT_ONCE)))
    await database.close()
    assert len(used) <= RAW_AT_ONCE
