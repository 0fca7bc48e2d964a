import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from core.keys import load_secret
from core.mail import send_mail
from core.queue import enqueue
from core.settings import Settings
from tests.polling import eventually
from workers.kinds import Chore, JobKind, Tools
from workers.run import Patience, run, work

QUICK = Patience(heartbeat=timedelta(seconds=1), poll=timedelta(milliseconds=200), grace_s=0.1)


class Steps:
    """A job body that tells when it begins, and ends when it may."""

    def __init__(self) -> None:
        self.begun: list[dict[str, Any]] = []
        self.may_end = asyncio.Event()

    async def __call__(self, _tools: Tools, payload: dict[str, Any]) -> None:
        self.begun.append(payload)
        await self.may_end.wait()

    async def has_begun(self) -> int:
        return len(self.begun)


@contextlib.asynccontextmanager
async def working(
    tools: Tools, kinds: Sequence[JobKind], chores: Sequence[Chore] = ()
) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(work(tools, stop, kinds=kinds, chores=chores, patience=QUICK))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def add(tools: Tools, entrypoint: str, **payload: Any) -> None:
    async with tools.database.transaction() as session:
        await enqueue(session, entrypoint, payload)


async def statuses(queue: asyncpg.Connection) -> list[str]:
    return [row["status"] for row in await queue.fetch("select status::text from pgqueuer")]


async def test_the_process_works_and_ends_when_told(
    settings: Settings, tools: Tools, queue: asyncpg.Connection
) -> None:
    stop = asyncio.Event()
    process = asyncio.create_task(run(settings, stop))
    async with tools.database.transaction() as session:
        secret = load_secret(settings)
        await send_mail(session, secret=secret, to="ada@example.org", subject="Hello", text="World")
    outbox = settings.data_dir / "outbox"
    await eventually(lambda: asyncio.to_thread(lambda: list(outbox.glob("*.eml"))))
    began = time.monotonic()
    stop.set()
    await process
    assert time.monotonic() - began < 5
    assert await statuses(queue) == []


async def test_a_job_that_does_not_end_is_given_back(
    tools: Tools, queue: asyncpg.Connection
) -> None:
    steps = Steps()
    kinds = [JobKind("test.steps", steps, at_once=2)]
    await add(tools, "test.steps", n=1)
    async with working(tools, kinds):
        await eventually(steps.has_begun)
    assert await statuses(queue) == ["queued"]
    steps.may_end.set()
    async with working(tools, kinds):
        await eventually(lambda: is_empty(queue))
    assert steps.begun == [{"n": 1}, {"n": 1}]


async def is_empty(queue: asyncpg.Connection) -> bool:
    return await statuses(queue) == []


async def test_no_more_run_at_once_than_the_kind_allows(
    tools: Tools, queue: asyncpg.Connection
) -> None:
    steps = Steps()
    kinds = [JobKind("test.steps", steps, at_once=2)]
    for number in range(5):
        await add(tools, "test.steps", n=number)
    async with working(tools, kinds), working(tools, kinds):
        await eventually(lambda: _picked(queue, 2))
        await eventually(steps.has_begun)
        assert len(steps.begun) <= 2
        steps.may_end.set()
        await eventually(lambda: is_empty(queue))
    assert sorted(p["n"] for p in steps.begun) == list(range(5))


async def _picked(queue: asyncpg.Connection, count: int) -> bool:
    return (await statuses(queue)).count("picked") == count


@pytest.mark.slow
async def test_a_cut_connection_is_made_again(tools: Tools, queue: asyncpg.Connection) -> None:
    steps = Steps()
    steps.may_end.set()
    async with working(tools, [JobKind("test.steps", steps, at_once=2)]):
        await add(tools, "test.steps", n=1)
        await eventually(steps.has_begun)
        await queue.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        await eventually(lambda: _added(tools, n=2))
        await eventually(lambda: _begun(steps, {"n": 2}))


async def _added(tools: Tools, **payload: int) -> bool:
    """False where a pool did not know yet that its connection had been cut."""
    try:
        await add(tools, "test.steps", **payload)
    except DBAPIError:
        return False
    return True


async def _begun(steps: Steps, payload: dict[str, Any]) -> bool:
    return payload in steps.begun


@pytest.mark.slow
async def test_the_job_of_a_killed_worker_goes_to_another(
    tools: Tools, worker_url: str, queue: asyncpg.Connection, tmp_path: Path
) -> None:
    await add(tools, "test.endless", n=1)
    killed = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.workers.killable",
        worker_url,
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
    )
    assert killed.stdout is not None
    assert await asyncio.wait_for(killed.stdout.readline(), 20) == b"taken\n"
    killed.kill()
    await killed.wait()
    steps = Steps()
    steps.may_end.set()
    async with working(tools, [JobKind("test.endless", steps, at_once=1)]):
        await eventually(lambda: is_empty(queue), within_s=20)
    assert steps.begun == [{"n": 1}]


@pytest.mark.slow
async def test_a_chore_runs_by_the_clock_on_one_worker(tools: Tools) -> None:
    runs: list[float] = []

    async def chore(_tools: Tools) -> None:
        runs.append(time.monotonic())

    async def ran_twice() -> bool:
        return len(runs) >= 2

    every_second = [Chore("test.chore", "* * * * * *", chore)]
    async with working(tools, [], every_second), working(tools, [], every_second):
        await eventually(ran_twice)
    assert all(b - a > 0.5 for a, b in itertools.pairwise(runs))
