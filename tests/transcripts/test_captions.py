"""The captions process over a live journal: what it stores and tells, and when it does not."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.db import Database
from core.listen import Listener, Subscription
from ingest.folders import Folders
from ingest.models import Recording
from rooms.events import LIVE_CHANNEL
from rooms.models import Participant
from tests.ingest.speech import SPEECH, read
from tests.polling import eventually, until
from tests.transcripts.captioning import LiveRoom, cues_of, live_room
from tests.transcripts.fakes import ScriptedTranscriber
from transcripts.captions import SCAN_SECONDS, Captions
from transcripts.transcriber import Heard, Model, Pcm, TranscriberUnavailable

pytestmark = pytest.mark.slow

HELLO = SPEECH / "01-ada.opus"


WAITS_TO_STORE = sa.text(
    "select true from pg_locks where relation = 'subtitle_cue'::regclass and not granted"
)


class FakeEngine(ScriptedTranscriber):
    """Its process may be away for some questions, and is ended like the real one's."""

    def __init__(self) -> None:
        super().__init__()
        self.away = 0
        self.closed = 0
        self.heard_s: list[float] = []
        self.loaded = asyncio.Event()
        self.loaded.set()

    async def ready(self) -> Model:
        await self.loaded.wait()
        return await super().ready()

    async def caption(self, pcm: Pcm, language: str | None) -> Heard:
        if self.away:
            self.away -= 1
            raise TranscriberUnavailable("The engine died.")
        self.heard_s.append(len(pcm) / 16_000)
        await self.loaded.wait()
        return await super().caption(pcm, language)

    async def aclose(self) -> None:
        self.closed += 1


@contextlib.asynccontextmanager
async def captioning(
    room: LiveRoom,
    database: Database,
    engine: FakeEngine | None = None,
    *,
    path: Path | None = None,
) -> AsyncIterator[Path]:
    """The process, when it has taken up the room, whose journal is `path` or a new one."""
    stop = asyncio.Event()
    captions = Captions(room.folders, database, engine or FakeEngine())
    running = asyncio.create_task(captions.run(stop))
    try:
        path = path or room.open_journal()
        await eventually(lambda: room.is_registered(database))
        yield path
    finally:
        stop.set()
        await running


@contextlib.asynccontextmanager
async def listening(database: Database) -> AsyncIterator[Subscription]:
    listener = Listener(database.url, (LIVE_CHANNEL,))
    listener.start()
    await listener.connected.wait()
    async with listener.subscribe(LIVE_CHANNEL) as told:
        yield told
    await listener.stop()


async def told_to(room: LiveRoom, told: Subscription, kind: str) -> dict[str, Any]:
    """The next event of that kind in the room."""
    async with asyncio.timeout(20):
        while True:
            event = await told.get()
            if (event.get("room_id"), event.get("kind")) == (str(room.room_id), kind):
                return event


async def is_let_go(engine: FakeEngine) -> None:
    """The only room: the engine ends with it."""
    closed = engine.closed
    await until(lambda: engine.closed > closed)


async def still_keeps(engine: FakeEngine) -> None:
    """For two looks at what is over."""
    closed = engine.closed
    with pytest.raises(TimeoutError):
        await until(lambda: engine.closed > closed, within_s=2 * SCAN_SECONDS)


@pytest.fixture
async def room(database: Database, tmp_path: Path) -> LiveRoom:
    return await live_room(database, Folders(tmp_path / "data"), "Ada", "Ben")


async def test_what_is_said_is_stored_and_told(database: Database, room: LiveRoom) -> None:
    room.says("Ada", read(HELLO), 1.0)
    async with listening(database) as told, captioning(room, database) as path:
        room.write_until(path, 12)
        cues = await eventually(lambda: cues_of(database, room))
        event = await told_to(room, told, "caption")
    first = cues[0]
    assert (first.name, first.number, first.language) == ("Ada", 1, "en")
    assert first.start_ms == pytest.approx(1150, abs=250)
    assert event["data"] == {
        "id": 1,
        "participant_id": str(first.participant_id),
        "display_name": "Ada",
        "start_ms": first.start_ms,
        "end_ms": first.end_ms,
        "language": "en",
        "text": first.text,
    }


async def test_a_restarted_process_says_nothing_twice(database: Database, room: LiveRoom) -> None:
    room.says("Ada", read(HELLO), 1.0)
    room.says("Ada", read(HELLO), 9.0)
    async with captioning(room, database) as path:
        room.write_until(path, 8.5)
        first = await eventually(lambda: cues_of(database, room))
    async with captioning(room, database, path=path):
        room.write_until(path, 20)

        async def more() -> bool:
            return max(c.end_ms for c in await cues_of(database, room)) > 14_000

        await eventually(more)
    cues = await cues_of(database, room)
    assert cues[: len(first)] == first
    ends = [c.end_ms for c in cues]
    assert ends == sorted(ends)
    assert all(b.start_ms >= a.end_ms - 300 for a, b in pairwise(cues))


async def test_nothing_is_stored_of_who_took_consent_back(
    database: Database, room: LiveRoom
) -> None:
    room.says("Ada", read(HELLO), 1.0)
    room.says("Ben", read(HELLO), 2.0)
    async with database.transaction() as session:
        await session.execute(
            sa.update(Participant)
            .where(Participant.id == room.speakers["Ada"])
            .values(consented_at=None)
        )
    async with captioning(room, database) as path:
        room.write_until(path, 12)
        cues = await eventually(lambda: cues_of(database, room))
    assert {c.participant_id for c in cues} == {room.speakers["Ben"]}


async def test_what_comes_too_late_is_dropped_and_the_room_is_told(
    database: Database, room: LiveRoom
) -> None:
    room.says("Ada", read(HELLO), 1.0)
    room.says("Ada", read(HELLO), 25.0)
    async with listening(database) as told, captioning(room, database) as path:
        room.write_until(path, 34)
        event = await told_to(room, told, "captions.behind")
        cues = await eventually(lambda: cues_of(database, room))
    assert event["data"] == {"dropped": 1}
    assert min(c.start_ms for c in cues) > 24_000


async def test_a_worker_that_lost_the_room_lets_it_go(database: Database, room: LiveRoom) -> None:
    engine = FakeEngine()
    room.says("Ada", read(HELLO), 1.0)
    async with captioning(room, database, engine) as path:
        async with database.transaction() as session:
            await session.execute(
                sa.update(Recording).where(Recording.id == room.recording_id).values(epoch=2)
            )
        closed = engine.closed
        room.write_until(path, 12)
        await until(lambda: engine.closed > closed)
    assert await cues_of(database, room) == []


async def test_captions_come_back_after_the_engine_died(database: Database, room: LiveRoom) -> None:
    engine = FakeEngine()
    engine.away = 1
    room.says("Ada", read(HELLO), 1.0)
    async with captioning(room, database, engine) as path:
        room.write_until(path, 4)
        await until(lambda: not engine.away)
        room.write_until(path, 12)
        assert await eventually(lambda: cues_of(database, room))


async def test_the_engine_ends_with_the_last_room(database: Database, room: LiveRoom) -> None:
    """And that once its captions are stored, however long the database takes."""
    engine = FakeEngine()
    room.says("Ada", read(HELLO), 1.0)
    room.maker.end(9)
    async with captioning(room, database, engine) as path:
        async with database.engine.begin() as other:
            await other.execute(sa.text("lock table subtitle_cue in exclusive mode"))
            room.write_until(path, 10)
            await eventually(lambda: other.scalar(WAITS_TO_STORE))
            await still_keeps(engine)
        await is_let_go(engine)
    assert UUID(int=0) not in {c.participant_id for c in await cues_of(database, room)}
    assert (await cues_of(database, room))[-1].end_ms <= 9000


async def test_a_room_that_ends_before_it_is_prepared_has_its_captions(
    database: Database, room: LiveRoom
) -> None:
    """It may be shorter than an engine takes to load."""
    engine, stop = FakeEngine(), asyncio.Event()
    engine.loaded.clear()
    room.says("Ada", read(HELLO), 1.0)
    room.maker.end(9)
    room.write_until(room.open_journal(), 10)
    running = asyncio.create_task(Captions(room.folders, database, engine).run(stop))
    await still_keeps(engine)
    engine.loaded.set()
    assert await eventually(lambda: cues_of(database, room))
    await is_let_go(engine)
    stop.set()
    await running


async def test_the_last_words_outlive_the_journal(database: Database, room: LiveRoom) -> None:
    """It is deleted as soon as the recording is stored, which may be at once."""
    engine = FakeEngine()
    room.says("Ada", read(HELLO), 1.0)
    room.maker.end(9)
    async with captioning(room, database, engine) as path:
        engine.loaded.clear()
        room.write_until(path, 10)
        await until(lambda: bool(engine.heard_s))
        shutil.rmtree(path.parent)
        await still_keeps(engine)
        engine.loaded.set()
        assert await eventually(lambda: cues_of(database, room))
        await is_let_go(engine)


async def test_what_waits_when_the_engine_dies_is_asked_again(
    database: Database, room: LiveRoom
) -> None:
    """Also when nobody speaks again: the room is over."""
    engine = FakeEngine()
    engine.away = 1
    room.says("Ada", read(HELLO), 1.0)
    room.says("Ben", read(HELLO), 2.0)
    room.maker.end(9)
    async with captioning(room, database, engine) as path:
        room.write_until(path, 10)
        assert await eventually(lambda: cues_of(database, room))
        await is_let_go(engine)
