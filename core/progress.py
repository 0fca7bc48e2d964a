"""How far a long job is, for people who wait for it. Written by jobs, read by pages and the CLI."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base


class JobProgress(Base):
    """One row for one subject of one kind of job; a repeated job writes over its row."""

    __tablename__ = "job_progress"
    __table_args__ = (sa.CheckConstraint("done >= 0 and total >= done", name="done_of_total"),)

    kind: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    """The job's entrypoint, such as `replay.compact`."""

    subject: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    """What is worked on: the id of a recording, a room, a platform."""

    done: Mapped[int] = mapped_column(sa.BigInteger)
    total: Mapped[int | None] = mapped_column(sa.BigInteger)
    """In the job's own unit; null while the amount of work is unknown."""

    note: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    started_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


async def report_progress(
    session: AsyncSession,
    *,
    kind: str,
    subject: str,
    done: int,
    total: int | None = None,
    note: str = "",
) -> None:
    """Tells how far the job is. Needs a transaction of its own to be seen before the job's end."""
    values = {"done": done, "total": total, "note": note}
    statement = insert(JobProgress).values(kind=kind, subject=subject, **values)
    restarted = sa.case((statement.excluded.done == 0, sa.func.now()), else_=JobProgress.started_at)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[JobProgress.kind, JobProgress.subject],
            set_={**values, "started_at": restarted, "updated_at": sa.func.now()},
        )
    )
