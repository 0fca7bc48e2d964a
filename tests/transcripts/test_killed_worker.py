"""kill -9 of the transcribing worker, again and again, and nothing of it is in the transcript.

Real processes, real Whisper, the demo's voices.
"""

import asyncio
import contextlib
import functools
import random
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.auth.models import User
from core.db import Database
from core.storage.folder import FolderStore
from demo.opus_files import read_ogg
from demo.script import load_script
from tests.factories import sign_in
from tests.polling import eventually
from tests.rooms.serving import in_process, make_app
from tests.transcripts.recordings import Recorded, add_voice, recorded_room
from tests.workers.conftest import new_database
from transcripts import runs
from transcripts.api import router
from transcripts.models import Cue, Missing, Run, RunStatus, Window

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("whisper")]

KILLS = 10
PATIENCE_S = 180.0


@dataclass
class Place:
    database: Database
    url: str
    folder: Path
    made: Recorded

    @contextlib.asynccontextmanager
    async def worker(self) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.transcripts.killable", self.url, str(self.folder)
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def request(self, model: str) -> UUID:
        """Two names of one model, so that both runs may be under way."""
        async with self.database.transaction() as session:
            run = await runs.request_run(
                session, self.made.id, model=model, own_model="bundled", requested_by=None
            )
        return run.id

    async def status(self, run_id: UUID) -> RunStatus:
        async with self.database.transaction() as session:
            return (await session.get_one(Run, run_id)).status

    async def done(self, run_id: UUID) -> bool:
        status = await self.status(run_id)
        assert status is not RunStatus.FAILED
        return status is RunStatus.DONE

    async def decoded(self, run_id: UUID) -> int:
        return sum(words is not None for *_, words, _ in await self.windows(run_id))

    async def beyond(self, run_id: UUID, before: int) -> bool:
        return await self.decoded(run_id) > before or await self.done(run_id)

    async def windows(self, run_id: UUID) -> list[tuple[object, ...]]:
        async with self.database.transaction() as session:
            rows = await session.scalars(
                sa.select(Window)
                .where(Window.run_id == run_id)
                .order_by(Window.participant_id, Window.number)
            )
            return [(w.participant_id, w.number, w.regions, w.words, w.missing) for w in rows]

    async def published(self) -> tuple[list[object], list[object]]:
        async with self.database.transaction() as session:
            cues = sa.select(Cue.participant_id, Cue.start_ms, Cue.end_ms, Cue.text, Cue.words)
            gaps = sa.select(Missing.participant_id, Missing.start_ms, Missing.end_ms)
            return (
                list(map(tuple, await session.execute(cues.order_by(Cue.start_ms, Cue.text)))),
                list(map(tuple, await session.execute(gaps.order_by(Missing.start_ms)))),
            )


@pytest.fixture
async def place(postgres_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    """Six short voices, so that there is much to be killed in."""
    store = FolderStore(tmp_path / "objects")
    turns = [turn for turn in load_script().turns if 2 < turn.duration_s < 5][:6]
    async with new_database(postgres_url) as url:
        database = Database(url)
        async with database.transaction() as session:
            made = await recorded_room(session, duration_ms=60_000)
            for number, turn in enumerate(turns):
                said = {number * 10_000: read_ogg(turn.file)}
                await add_voice(session, store, made, f"{turn.speaker} {number}", said)
        yield Place(database, url, tmp_path, made)
        await database.close()


async def test_ten_kills_change_nothing(place: Place, tmp_path: Path) -> None:
    undisturbed = await _asked_for_and_watched(place, tmp_path)
    expected, cues = await place.windows(undisturbed), await place.published()
    assert len(expected) >= 6
    killed = await place.request("bundled")
    seen = await _killed_on_the_way(place, killed)
    assert await place.windows(killed) == expected
    assert await place.published() == cues
    assert len(seen) > 2, f"the kills hit too few different moments: {seen}"


async def _asked_for_and_watched(place: Place, folder: Path) -> UUID:
    """As the host's page does by *Transcribe again*, from the button to the new version."""
    app = make_app(place.database, folder / "site")
    app.include_router(router)
    async with place.database.transaction() as session:
        host = await session.get_one(User, place.made.room.host_id)
        token = await sign_in(session, host)
    path, seen = f"/recordings/{place.made.id}/transcript", set[float]()
    async with in_process(app) as http, place.worker():
        http.headers["Authorization"] = f"Bearer {token}"
        asked = await http.post(f"{path}/runs", json={})
        assert asked.status_code == 202, asked.text

        async def published() -> bool:
            now = (await http.get(f"{path}/status")).json()
            assert now["run"]["status"] in ("waiting", "running", "done")
            seen.add(now["windows_done"] / (now["windows_total"] or 1))
            return now["version"] is not None

        await eventually(published, within_s=PATIENCE_S, every_s=0.1)
    assert {0.0, 1.0} < seen, "nothing was told between beginning and end"
    return UUID(asked.json()["id"])


async def _killed_on_the_way(place: Place, run_id: UUID) -> set[int]:
    """Kills ten workers; how much was done at each kill."""
    chance = random.Random(5)  # noqa: S311 - moments to kill at
    seen: set[int] = set()
    for number in range(KILLS):
        before = await place.decoded(run_id)
        async with place.worker() as process:
            if number % 2:
                further = functools.partial(place.beyond, run_id, before)
                await eventually(further, within_s=PATIENCE_S, every_s=0.2)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), chance.uniform(0, 1 if number % 2 else 4))
            process.kill()
            await process.wait()
        seen.add(await place.decoded(run_id))
    async with place.worker():
        await eventually(lambda: place.done(run_id), within_s=PATIENCE_S, every_s=0.2)
    return seen
