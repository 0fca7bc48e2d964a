from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import Platform


async def test_a_row_is_written_and_read(session: AsyncSession) -> None:
    session.add(Platform(slug="p", name="P"))
    await session.flush()
    assert await session.scalar(select(func.count()).select_from(Platform)) == 1
