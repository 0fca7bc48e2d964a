"""The migrations make exactly the tables that the models describe."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from core.db import Base, asyncpg_url, dsn
from core.ids import uuid7
from core.migrate import UnknownSchema, is_current, upgrade

COLUMNS = """
select table_name, column_name, data_type, udt_name, is_nullable, column_default,
       character_maximum_length
from information_schema.columns
where table_schema = 'public' and table_name !~ '^(pgqueuer|alembic)'
"""
CONSTRAINTS = """
select conrelid::regclass::text, conname, pg_get_constraintdef(oid)
from pg_constraint
where connamespace = 'public'::regnamespace and conrelid::regclass::text !~ '^(pgqueuer|alembic)'
"""
INDEXES = """
select tablename, indexname, indexdef from pg_indexes
where schemaname = 'public' and tablename !~ '^(pgqueuer|alembic)'
"""
FUNCTIONS = """
select pg_get_functiondef(p.oid) from pg_proc p join pg_language l on l.oid = p.prolang
where pronamespace = 'public'::regnamespace and lanname = 'plpgsql' and proname !~ 'pgqueuer'
"""
TRIGGERS = """
select pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = tgrelid
where not tgisinternal and relname !~ '^pgqueuer'
"""


async def schema(url: str) -> set[tuple[object, ...]]:
    connection = await asyncpg.connect(dsn(url))
    try:
        rows = [
            (query, *row)
            for query in (COLUMNS, CONSTRAINTS, INDEXES, FUNCTIONS, TRIGGERS)
            for row in await connection.fetch(query)
        ]
    finally:
        await connection.close()
    return {row[1:] for row in rows}


async def create_from_models(url: str) -> None:
    engine = create_async_engine(asyncpg_url(url))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()


async def queue_tables(url: str) -> int:
    connection = await asyncpg.connect(dsn(url))
    try:
        count: int = await connection.fetchval(
            "select count(*) from pg_tables where tablename ~ '^pgqueuer'"
        )
    finally:
        await connection.close()
    return count


@pytest.mark.slow
async def test_processes_that_start_at_once_upgrade_once(empty_url: str) -> None:
    assert not await is_current(empty_url)
    await asyncio.gather(*(upgrade(empty_url) for _ in range(4)))
    assert await queue_tables(empty_url) == 4
    assert await is_current(empty_url)
    await upgrade(empty_url)
    connection = await asyncpg.connect(dsn(empty_url))
    await connection.execute("update alembic_version set version_num = 'of_another'")
    await connection.close()
    with pytest.raises(UnknownSchema, match="migrated to of_another by another version"):
        await upgrade(empty_url)


@pytest.mark.slow
async def test_migrations_make_what_the_models_say(
    empty_url: str, raw: asyncpg.Connection, postgres_url: str
) -> None:
    """Column for column, with checks, defaults, indexes, functions and triggers, which alembic
    does not compare."""
    await upgrade(empty_url)
    migrated = await schema(empty_url)
    name = f"m{uuid7().hex}"
    await raw.execute(f"create database {name}")
    modelled_url = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    try:
        await create_from_models(modelled_url)
        modelled = await schema(modelled_url)
    finally:
        await raw.execute(f"drop database {name} with (force)")
    assert migrated - modelled == set()
    assert modelled - migrated == set()
