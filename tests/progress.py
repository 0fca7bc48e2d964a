"""What long jobs have told."""

from sqlalchemy.ext.asyncio import AsyncSession

from core.progress import JobProgress


async def progress_of(session: AsyncSession, *, kind: str, subject: str) -> JobProgress | None:
    """Last, or None when the job has not begun."""
    return await session.get(JobProgress, (kind, subject), populate_existing=True)
