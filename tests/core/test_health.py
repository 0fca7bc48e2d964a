import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from core import health
from core.db import Database
from core.health import Readiness, database_check, store_check
from core.postgres import free_port
from core.storage.folder import FolderStore


async def well() -> None:
    return


async def ill() -> None:
    raise OSError("away")


class Counted:
    """A check that is slow or fails on demand."""

    def __init__(self) -> None:
        self.calls = 0
        self.release = asyncio.Event()

    async def __call__(self) -> None:
        self.calls += 1
        await self.release.wait()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(health.router)
    app.state.readiness = Readiness({"database": well, "store": ill})
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_a_living_process_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz")
    assert answer.json() == {"status": "ok"}
    assert answer.headers["cache-control"] == "no-store"


async def test_one_failing_part_makes_it_unready_and_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not_ready",
        "checks": {"database": "ok", "store": "failed"},
    }


async def test_many_callers_cause_one_check() -> None:
    check = Counted()
    check.release.set()
    readiness = Readiness({"it": check})
    reports = await asyncio.gather(*(readiness.report() for _ in range(5)))
    assert reports == [{"it": "ok"}] * 5
    await readiness.report()
    assert check.calls == 1


async def test_an_old_report_is_made_anew() -> None:
    check = Counted()
    check.release.set()
    readiness = Readiness({"it": check}, fresh_s=0)
    await readiness.report()
    await readiness.report()
    assert check.calls == 2


async def test_a_check_that_hangs_is_a_timeout_and_is_not_started_again() -> None:
    check = Counted()
    readiness = Readiness({"slow": check, "quick": well}, fresh_s=0, patience_s=0.01)
    assert await readiness.report() == {"slow": "timeout", "quick": "ok"}
    assert await readiness.report() == {"slow": "timeout", "quick": "ok"}
    assert check.calls == 1
    check.release.set()
    assert await readiness.report() == {"slow": "ok", "quick": "ok"}


async def test_database_and_store_are_asked(database: Database, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    readiness = Readiness({"database": database_check(database), "store": store_check(store)})
    assert await readiness.report() == {"database": "ok", "store": "ok"}


async def test_a_database_that_is_away_fails() -> None:
    database = Database(f"postgresql://encore:x@127.0.0.1:{free_port()}/encore")
    assert await Readiness({"database": database_check(database)}).report() == {
        "database": "failed"
    }
    await database.close()
