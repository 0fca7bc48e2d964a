"""Run by alembic. The one place that imports every package's tables."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

import core.auth.models
import core.installation
import core.progress
import core.webhooks.models  # noqa: F401
import ingest.models  # noqa: F401
import payouts.claim_models
import payouts.gateway_models
import payouts.models
import payouts.stripe_facts
import payouts.tip_models  # noqa: F401
import replay.subtitles  # noqa: F401
import rooms.models  # noqa: F401
import transcripts.index_models
import transcripts.models  # noqa: F401
from core.db import Base, asyncpg_url
from core.migrate import CONNECTION, is_ours
from core.settings import get_settings


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=is_ours,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_from_the_command_line() -> None:
    """`alembic ...` in a shell, over ENCORE_DATABASE_URL."""
    url = get_settings().database_url
    if url is None:
        raise SystemExit("Set DATABASE_URL, or use `python -m core.migrate`.")
    engine = create_async_engine(asyncpg_url(url.get_secret_value()))
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


given: Any = context.config.attributes.get(CONNECTION)
if given is not None:
    run(given)
else:
    asyncio.run(run_from_the_command_line())
