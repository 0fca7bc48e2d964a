import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import Platform
from core.db import DatabaseUrlInvalid, asyncpg_url


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
