"""One secret and one store for all machines of an installation, and a change on purpose."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.db import Base, Database
from core.installation import Installation, OtherSecret, OtherStore, adopt, check_installation
from core.settings import Settings


@pytest.fixture
async def fresh(empty_url: str) -> AsyncIterator[Database]:
    database = Database(empty_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield database
    await database.close()


def machine(folder: Path, *, secret: str = "s" * 32, store: str = "store") -> Settings:
    (folder / store).mkdir(exist_ok=True)
    return Settings.model_validate(
        {
            "data_dir": folder / "data",
            "secret_key": secret,
            "storage_url": f"file://{folder / store}",
        }
    )


async def test_machines_alike_are_one_installation(fresh: Database, tmp_path: Path) -> None:
    starts = [check_installation(machine(tmp_path), fresh) for _ in range(4)]
    await asyncio.gather(*starts)
    (tmp_path / "store").rename(tmp_path / "mounted-elsewhere")
    await check_installation(machine(tmp_path, store="mounted-elsewhere"), fresh)


async def test_another_secret_is_refused_until_it_is_adopted(
    fresh: Database, tmp_path: Path
) -> None:
    await check_installation(machine(tmp_path), fresh)
    other = machine(tmp_path, secret="o" * 32)
    with pytest.raises(OtherSecret, match="ENCORE_SECRET_KEY is not the one of the others"):
        await check_installation(other, fresh)
    await adopt(other, fresh)
    await check_installation(other, fresh)
    with pytest.raises(OtherSecret):
        await check_installation(machine(tmp_path), fresh)


async def test_another_store_is_refused_and_left_as_it_is(fresh: Database, tmp_path: Path) -> None:
    await check_installation(machine(tmp_path), fresh)
    other = machine(tmp_path, store="own")
    with pytest.raises(OtherStore, match="/store"):
        await check_installation(other, fresh)
    assert not (tmp_path / "own" / "installation").exists()
    await adopt(other, fresh)
    await check_installation(other, fresh)


async def test_of_two_first_starts_one_counts(fresh: Database, tmp_path: Path) -> None:
    """Nobody is accepted with what the other does not have."""
    both = [machine(tmp_path, store=name) for name in ("one", "two")]
    results = await asyncio.gather(
        *(check_installation(settings, fresh) for settings in both), return_exceptions=True
    )
    assert sorted(type(r).__name__ for r in results) == ["NoneType", "OtherStore"]


@pytest.mark.slow
async def test_a_store_that_is_away_stops_nobody(fresh: Database, tmp_path: Path) -> None:
    away = {"storage_url": "s3://bucket", "s3_endpoint_url": "http://127.0.0.1:1"}
    keys = {"s3_access_key_id": SecretStr("a"), "s3_secret_access_key": SecretStr("b")}
    alike = machine(tmp_path).model_copy(update={**away, **keys})
    await check_installation(alike, fresh)
    await check_installation(machine(tmp_path), fresh)
    await check_installation(alike, fresh)
    with pytest.raises(OtherSecret):
        await check_installation(
            alike.model_copy(update={"secret_key": SecretStr("o" * 32)}), fresh
        )


async def test_the_secret_itself_is_not_kept(fresh: Database, tmp_path: Path) -> None:
    await check_installation(machine(tmp_path), fresh)
    async with fresh.transaction() as session:
        known = await session.get_one(Installation, 1)
    assert b"sss" not in known.secret_fingerprint
