"""The processes that take jobs from the queue, any number of them on any machine: `work` takes
those of the default queue, `transcribe` (workers/transcribe.py) the long ones.

A failed job is tried again when something outside was away, and held otherwise
(`pgqueuer failed`, `pgqueuer requeue`); a killed worker's jobs go to another one.
"""

import asyncio
import contextlib
import functools
import json
import logging
import time
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.core.qm import QueueManager
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.errors import FailingListenerError, RetryRequested
from pgqueuer.models import Job, Schedule
from pgqueuer.types import QueueExecutionMode
from prometheus_client import Counter, Histogram

from core.db import Database, dsn
from core.keys import load_secret
from core.logging import redact, request_id
from core.mail import open_mailer
from core.metrics_server import metrics_server
from core.settings import Settings
from core.storage import open_store
from core.webhooks.sender import Sender
from payouts.cashier import open_cashier
from transcripts.engines import Engines
from workers.jobs import CHORES, JOBS
from workers.kinds import Chore, JobKind, Queue, Tools
from workers.retry import wait_before_retry

log = logging.getLogger(__name__)

BATCH: Final = 10
AT_ONCE: Final = 40
RESTART_SECONDS: Final = 1.0
IDLE_LIMIT: Final = timedelta(minutes=1)
"""Of a transaction: the locks of a process that was stopped in its midst end with it."""

DATABASE_AWAY: Final = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)

RUNS = Counter("encore_job_runs", "Finished runs of jobs.", ("entrypoint", "outcome"))
SECONDS = Histogram("encore_job_seconds", "Length of runs.", ("entrypoint",))


class JobHeldError(Exception):
    """What pgqueuer stores with a held job: the trace, without personal data."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Times of the queue. A job without a heartbeat for `heartbeat` belongs to nobody."""

    heartbeat: timedelta = timedelta(seconds=15)
    poll: timedelta = timedelta(seconds=5)
    """Jobs are announced; polling finds those whose announcement was lost."""

    grace_s: float = 2.5
    """What a running job gets to end when the process stops; then it goes back to the queue."""


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Works on the default queue until `stop`; survives the database's absence."""
    with metrics_server(settings.metrics_host, settings.work_metrics_port):
        async with open_tools(settings) as tools:
            await work(tools, stop, patience=patience_of(settings))


def patience_of(settings: Settings) -> Patience:
    return Patience(heartbeat=timedelta(seconds=settings.job_takeover_seconds))


def kinds_of(queue: Queue) -> list[JobKind]:
    return [kind for kind in JOBS if kind.queue is queue]


@contextlib.asynccontextmanager
async def open_tools(settings: Settings) -> AsyncIterator[Tools]:
    """What jobs need, from the settings; `database_url` must be set."""
    if settings.database_url is None:
        raise ValueError("settings.database_url must be set")
    url = settings.database_url.get_secret_value()
    database = Database(url, idle_limit=IDLE_LIMIT)
    cashier = open_cashier(settings, database)
    try:
        yield Tools(
            settings=settings,
            database=database,
            secret=load_secret(settings),
            store=open_store(settings),
            mailer=open_mailer(settings),
            sender=Sender(allow_private=settings.allow_private_webhooks),
            engine=Engines(settings),
            cashier=cashier,
        )
    finally:
        if cashier is not None:
            await cashier.gateway.close()
        await database.close()


async def work(
    tools: Tools,
    stop: asyncio.Event,
    *,
    kinds: Sequence[JobKind] | None = None,
    chores: Sequence[Chore] = CHORES,
    patience: Patience | None = None,
    at_once: int = AT_ONCE,
) -> None:
    """Takes jobs until `stop`, reconnecting whenever the database comes back.

    Those of the default queue unless `kinds` says others; never more than `at_once`.
    """
    kinds = kinds_of(Queue.DEFAULT) if kinds is None else kinds
    while not stop.is_set():
        try:
            await _take_jobs(tools, stop, kinds, chores, patience or Patience(), at_once)
        except DATABASE_AWAY as error:
            log.warning("the queue is away: %s", type(error).__name__)
        except FailingListenerError:
            # pgqueuer may probe its listener before that listens; polling found jobs meanwhile.
            log.info("no notifications arrive; listening again")
        except Exception:
            log.exception("the queue stopped")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RESTART_SECONDS)


async def drain(tools: Tools, *, kinds: Sequence[JobKind] = JOBS) -> None:
    """Runs every job that waits, and those they add, then returns. For tests and scripts."""
    async with _pool(tools) as pool:
        queue = _queue(tools, pool, asyncio.Event(), kinds, (), Patience(), AT_ONCE)
        await queue.qm.run(
            batch_size=BATCH,
            mode=QueueExecutionMode.drain,
            dequeue_timeout=timedelta(milliseconds=100),
        )


async def _take_jobs(
    tools: Tools,
    stop: asyncio.Event,
    kinds: Sequence[JobKind],
    chores: Sequence[Chore],
    patience: Patience,
    at_once: int,
) -> None:
    async with _pool(tools) as pool:
        queue = _queue(tools, pool, stop, kinds, chores, patience, at_once)
        batch = min(BATCH, at_once)
        stopping = asyncio.create_task(_forward(stop, queue.shutdown))
        try:
            await queue.run(
                batch_size=batch,
                max_concurrent_tasks=max(at_once, 2 * batch),
                dequeue_timeout=patience.poll,
                heartbeat_timeout=patience.heartbeat,
                shutdown_on_listener_failure=True,
            )
        finally:
            stopping.cancel()


@contextlib.asynccontextmanager
async def _pool(tools: Tools) -> AsyncIterator[asyncpg.Pool]:
    pool = await asyncpg.create_pool(dsn(tools.database.url), min_size=2, max_size=6)
    try:
        yield pool
    finally:
        # `close` would wait for connections that a dead server never gives back.
        pool.terminate()


async def _forward(stop: asyncio.Event, shutdown: asyncio.Event) -> None:
    await stop.wait()
    shutdown.set()


class _SoMany(QueueManager):
    """Takes no job that it would keep waiting, which its own limit, of two at least, cannot say:
    another machine may have nothing to do."""

    at_once = AT_ONCE

    async def fetch_jobs(
        self,
        batch_size: int,
        global_concurrency_limit: int | None,
        heartbeat_timeout: timedelta,
    ) -> AsyncGenerator[Job, None]:
        del global_concurrency_limit
        async for job in super().fetch_jobs(batch_size, self.at_once, heartbeat_timeout):
            yield job


def _queue(
    tools: Tools,
    pool: asyncpg.Pool,
    stop: asyncio.Event,
    kinds: Sequence[JobKind],
    chores: Sequence[Chore],
    patience: Patience,
    at_once: int,
) -> PgQueuer:
    queue = PgQueuer(AsyncpgPoolDriver(pool))
    queue.qm = _SoMany(queue.qm.queries, queue.channel)
    queue.qm.shutdown, queue.qm.at_once = queue.shutdown, at_once
    for kind in kinds:
        register = queue.entrypoint(
            kind.entrypoint, concurrency_limit=kind.at_once or 0, on_failure="hold"
        )
        register(functools.partial(_run_job, tools, stop, kind, patience.grace_s))
    for chore in chores:
        queue.schedule(chore.name, chore.cron)(functools.partial(_run_chore, tools, chore))
    return queue


async def _run_job(
    tools: Tools, stop: asyncio.Event, kind: JobKind, grace_s: float, job: Job
) -> None:
    token = request_id.set(f"job-{job.id}")
    began = time.perf_counter()
    outcome = "held"
    try:
        body = kind.body(tools, json.loads(job.payload or b"{}"))
        await _run_unless_stopped(body, stop, grace_s)
        outcome = "done"
    except RetryRequested:
        outcome = "returned"
        raise
    except Exception as error:
        wait = wait_before_retry(error, job.attempts)
        if wait is None:
            raise JobHeldError(redact("".join(traceback.format_exception(error)))) from None
        outcome = "retried"
        log.warning("%s failed (%s), again in %s", kind.entrypoint, type(error).__name__, wait)
        raise RetryRequested(wait, type(error).__name__) from error
    finally:
        RUNS.labels(kind.entrypoint, outcome).inc()
        SECONDS.labels(kind.entrypoint).observe(time.perf_counter() - began)
        request_id.reset(token)


async def _run_unless_stopped(body: Awaitable[None], stop: asyncio.Event, grace_s: float) -> None:
    """Gives the job back when the process stops and it does not end in time."""
    running = asyncio.ensure_future(body)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await asyncio.wait({running}, timeout=grace_s)
        if not running.done():
            raise RetryRequested(timedelta(0), "the worker stops")
        running.result()
    finally:
        stopping.cancel()
        running.cancel()


async def _run_chore(tools: Tools, chore: Chore, _schedule: Schedule) -> None:
    began = time.perf_counter()
    await chore.body(tools)
    log.debug("%s took %.0f ms", chore.name, (time.perf_counter() - began) * 1000)
