from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import Platform


async def test_a_row_is_written_and_read(session: AsyncSession) -> None:
    session.add(Platform(slug="written-and-read", name="P"))
    await session.flush()
    query = select(Platform.name).where(Platform.slug == "written-and-read")
    assert await session.scalar(query) == "P"
