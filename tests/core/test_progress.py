import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import uuid7
from core.progress import report_progress
from tests.progress import progress_of


async def test_progress_is_written_over(session: AsyncSession) -> None:
    subject = str(uuid7())
    assert await progress_of(session, kind="k", subject=subject) is None
    await report_progress(session, kind="k", subject=subject, done=0)
    await report_progress(session, kind="k", subject=subject, done=3, total=5, note="three")
    row = await progress_of(session, kind="k", subject=subject)
    assert row is not None
    assert (row.done, row.total, row.note) == (3, 5, "three")
    assert await progress_of(session, kind="other", subject=subject) is None


@pytest.mark.parametrize(("done", "total"), [(-1, None), (6, 5)])
async def test_more_than_all_cannot_be_done(
    session: AsyncSession, done: int, total: int | None
) -> None:
    with pytest.raises(IntegrityError):
        await report_progress(session, kind="k", subject="s", done=done, total=total)
