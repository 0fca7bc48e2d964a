"""The transcribe process: so many runs at once, and what keeps one from being made is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from core.errors import Problem
from core.settings import Settings
from core.storage.folder import FolderStore
from demo.script import load_script
from tests.polling import eventually
from tests.transcripts.fakes import ScriptedTranscriber
from tests.transcripts.recordings import record_script
from tests.workers.test_run import QUICK, Steps, add, statuses
from transcripts import runs
from transcripts.engines import Engine, Engines, places
from transcripts.hub import ModelNotFetched, ModelUnknown
from transcripts.installed_models import ModelMissing
from transcripts.models import Run, RunStatus
from transcripts.transcriber import Decoding, Heard, Pcm
from workers.jobs import JOBS, fail_given_up_runs, make_transcript
from workers.kinds import JobKind, Queue, Tools
from workers.retry import ATTEMPTS
from workers.run import drain, kinds_of, work


async def test_no_job_is_taken_to_wait(tools: Tools, queue: asyncpg.Connection) -> None:
    """With one place each, two machines work on two jobs, and the third is nobody's yet."""
    steps = Steps()
    kinds = [JobKind("test.long", steps, at_once=None)]
    for number in range(3):
        await add(tools, "test.long", n=number)
    stop = asyncio.Event()
    machines = [
        asyncio.create_task(work(tools, stop, kinds=kinds, chores=(), patience=QUICK, at_once=1))
        for _ in range(2)
    ]

    async def both_have_one() -> bool:
        return len(steps.begun) == 2

    await eventually(both_have_one)
    assert sorted(await statuses(queue)) == ["picked", "picked", "queued"]
    steps.may_end.set()
    await eventually(lambda: is_empty(queue))
    stop.set()
    await asyncio.gather(*machines)
    assert sorted(job["n"] for job in steps.begun) == [0, 1, 2]


async def is_empty(queue: asyncpg.Connection) -> bool:
    return await statuses(queue) == []


def test_queues_share_no_job() -> None:
    default, transcribe = kinds_of(Queue.DEFAULT), kinds_of(Queue.TRANSCRIBE)
    assert {kind.entrypoint for kind in transcribe} == {runs.MAKE_JOB}
    assert len(default) + len(transcribe) == len(JOBS)


def test_a_place_for_each_gpu(tmp_path: Path) -> None:
    def settings(**values: object) -> Settings:
        return Settings(_env_file=None, data_dir=tmp_path, **values)  # type: ignore[arg-type]

    assert places(settings()) == ["auto"]
    assert places(settings(transcribe_at_once=2)) == ["auto", "auto"]
    several = settings(transcribe_gpus="cuda:0, cuda:1", transcribe_at_once=2)
    assert sorted(places(several)) == ["cuda:0", "cuda:0", "cuda:1", "cuda:1"]
    with pytest.raises(ValueError, match="not of the form"):
        settings(transcribe_gpus="0,1")


async def requested(tools: Tools) -> Run:
    """A run over four seconds of the demo."""
    assert isinstance(tools.store, FolderStore)
    async with tools.database.transaction() as session:
        made = await record_script(session, tools.store, load_script(), until_s=4.0)
        return await runs.request_run(
            session, made.id, model="bundled", own_model="bundled", requested_by=None
        )


async def found(tools: Tools, run: Run) -> Run:
    async with tools.database.transaction() as session:
        return await session.get_one(Run, run.id)


def refusing(problem: Problem) -> Engine:
    @asynccontextmanager
    async def engine(_model: str | None) -> AsyncIterator[ScriptedTranscriber]:
        raise problem
        yield

    return engine


async def test_what_may_pass_is_told_and_tried_again(tools: Tools) -> None:
    run = await requested(tools)
    payload = {"run_id": str(run.id)}
    with pytest.raises(ModelMissing):
        await make_transcript(replace(tools, engine=refusing(ModelMissing())), payload)
    waiting = await found(tools, run)
    assert (waiting.status, waiting.error_code) == (RunStatus.RUNNING, "model_missing")
    await make_transcript(tools, payload)
    done = await found(tools, run)
    assert (done.status, done.error_code) == (RunStatus.DONE, None)


async def test_what_will_not_pass_fails_the_run(tools: Tools) -> None:
    run = await requested(tools)

    class Broken(Problem):
        code = "broken"

    with pytest.raises(Broken):
        await make_transcript(replace(tools, engine=refusing(Broken())), {"run_id": str(run.id)})
    failed = await found(tools, run)
    assert (failed.status, failed.error_code) == (RunStatus.FAILED, "broken")
    assert failed.finished_at is not None
    # Only a person puts its job back, who has repaired what it failed of.
    await make_transcript(tools, {"run_id": str(run.id)})
    done = await found(tools, run)
    assert (done.status, done.error_code) == (RunStatus.DONE, None)


async def test_a_model_that_cannot_be_had_is_refused_or_ends_the_run(
    tools: Tools, queue: asyncpg.Connection
) -> None:
    run = await requested(tools)
    for name in ("nosuchmodel", "", "a b", "someone/"):
        async with tools.database.transaction() as session:
            with pytest.raises(ModelUnknown, match="No model is called"):
                await runs.request_run(
                    session, run.recording_id, model=name, own_model="bundled", requested_by=None
                )
    away = replace(tools, engine=refusing(ModelUnknown()))
    await drain(away, kinds=kinds_of(Queue.TRANSCRIBE))
    assert await statuses(queue) == ["failed"]
    failed = await found(tools, run)
    assert (failed.status, failed.error_code) == (RunStatus.FAILED, "model_unknown")


async def test_a_machine_that_names_no_model_may_be_told_another(tmp_path: Path) -> None:
    """All that it took meanwhile would fail at once; who asks for one by name should know."""
    engines = Engines(Settings(_env_file=None, models_dir=tmp_path, transcribe_model="nope"))
    for asked, code in ((None, "model_not_fetched"), ("nope", "model_unknown")):
        with pytest.raises(ModelNotFetched, match="No model is called nope") as refused:
            async with engines(asked):
                pass
        assert refused.value.code == code


async def test_what_does_not_pass_in_a_day_fails_the_run(
    tools: Tools, queue: asyncpg.Connection
) -> None:
    """Else it would listen for good, and nobody could ask again."""
    run = await requested(tools)
    await fail_given_up_runs(tools)
    assert (await found(tools, run)).status is RunStatus.WAITING
    await queue.execute("update pgqueuer set attempts = $1", ATTEMPTS - 1)
    away = replace(tools, engine=refusing(ModelMissing()))
    await drain(away, kinds=kinds_of(Queue.TRANSCRIBE))
    assert await statuses(queue) == ["failed"]
    await fail_given_up_runs(tools)
    failed = await found(tools, run)
    assert (failed.status, failed.error_code) == (RunStatus.FAILED, "model_missing")
    assert failed.finished_at is not None
    async with tools.database.transaction() as session:
        again = await runs.request_run(
            session, run.recording_id, model="bundled", own_model="bundled", requested_by=None
        )
    await drain(tools, kinds=kinds_of(Queue.TRANSCRIBE))
    assert (await found(tools, again)).status is RunStatus.DONE


async def test_a_run_whose_reason_nobody_could_write_down_fails_too(
    tools: Tools, queue: asyncpg.Connection
) -> None:
    """As where the database was away at the last attempt, and the first."""
    run = await requested(tools)
    await queue.execute("update pgqueuer set status = 'failed'")
    await fail_given_up_runs(tools)
    failed = await found(tools, run)
    assert (failed.status, failed.error_code) == (RunStatus.FAILED, "internal")


async def test_a_worker_that_stops_gives_its_run_back(
    tools: Tools, queue: asyncpg.Connection
) -> None:
    run = await requested(tools)
    hearing = asyncio.Event()

    class Slow(ScriptedTranscriber):
        async def hear(self, pcm: Pcm, decoding: Decoding) -> Heard:
            hearing.set()
            await asyncio.Event().wait()
            return await super().hear(pcm, decoding)

    closed: list[bool] = []

    @asynccontextmanager
    async def engine(_model: str | None) -> AsyncIterator[ScriptedTranscriber]:
        async with AsyncExitStack() as stack:
            stack.callback(closed.append, True)
            yield Slow()

    stop = asyncio.Event()
    patience = replace(QUICK, poll=timedelta(milliseconds=100))
    working = asyncio.create_task(
        work(
            replace(tools, engine=engine),
            stop,
            kinds=kinds_of(Queue.TRANSCRIBE),
            chores=(),
            patience=patience,
            at_once=1,
        )
    )
    await asyncio.wait_for(hearing.wait(), 10)
    stop.set()
    await working
    assert await statuses(queue) == ["queued"]
    assert closed == [True]
    assert (await found(tools, run)).status is RunStatus.RUNNING
