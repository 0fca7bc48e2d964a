"""Jobs are rows of pgqueuer, written in the caller's transaction: no commit, no job."""

import json
from datetime import timedelta
from typing import Any

import asyncpg
import sqlalchemy as sa
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import raw_connection


async def enqueue(
    session: AsyncSession,
    entrypoint: str,
    payload: dict[str, Any],
    *,
    dedupe_key: str | None = None,
    delay: timedelta | None = None,
) -> None:
    """Adds a job of workers/run.py to the session's transaction; `payload` must be JSON.

    While a job of the entrypoint with this `dedupe_key` waits or runs, another is not added.
    That does not make effects happen once: the job's guarded update does.
    """
    queries = Queries(AsyncpgDriver(await raw_connection(session)))
    await queries.enqueue(
        entrypoint,
        json.dumps(payload).encode(),
        execute_after=delay,
        dedupe_key=None if dedupe_key is None else f"{entrypoint}:{dedupe_key}",
        on_conflict="skip",
    )


def is_under_way(entrypoint: str, dedupe_key: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether a job of `entrypoint` that was given this key waits, for another try too, or runs."""
    job = sa.table("pgqueuer", sa.column("dedupe_key"), sa.column("status"))
    status = sa.cast(job.c.status, sa.Text)
    mine = job.c.dedupe_key == sa.literal(f"{entrypoint}:") + dedupe_key
    return sa.exists().where(mine, status.in_(("queued", "picked")))


async def install_queue(connection: asyncpg.Connection) -> None:
    """Brings pgqueuer's tables, types and triggers up to the installed release; idempotent.

    `connection` must not be inside a transaction (`alter type ... add value` forbids it).
    """
    await Queries(AsyncpgDriver(connection)).apply_upgrade()
