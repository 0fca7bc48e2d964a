"""The feeds of one and of several processes, without HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.db import Database
from core.listen import Listener
from rooms.events import DURABLE_CHANNEL, LIVE_CHANNEL, record_event
from rooms.feed import FeedHub, Pace, Stream
from rooms.models import Room
from rooms.sse import Watch, event_frames
from tests.polling import until
from tests.rooms.conftest import make_house

FAST = Pace(audience_s=0.05)


@contextlib.asynccontextmanager
async def process(database: Database, pace: Pace = FAST) -> AsyncIterator[FeedHub]:
    listener = Listener(database.url, (DURABLE_CHANNEL, LIVE_CHANNEL))
    listener.start()
    await asyncio.wait_for(listener.connected.wait(), 10)
    yield FeedHub(database, listener, pace)
    await listener.stop()


@pytest.fixture
async def room(database: Database) -> Room:
    async with database.transaction() as session:
        return await (await make_house(session)).live_room()


async def record(database: Database, room: Room, count: int = 1) -> None:
    for _ in range(count):
        async with database.transaction() as session:
            await record_event(session, room, "test.happened")


async def durable(stream: Stream) -> int:
    while True:
        frame = await stream.get(10)
        assert frame is not None
        if frame.seq is not None:
            return frame.seq


async def test_five_hundred_streams_share_one_query(database: Database, room: Room) -> None:
    queries: list[str] = []

    def note(*args: Any) -> None:
        queries.append(args[2])

    async with process(database, Pace()) as hub, contextlib.AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(hub.open(room.id)) for _ in range(500)]
        engine = database.engine.sync_engine
        sa.event.listen(engine, "before_cursor_execute", note)
        try:
            await record(database, room)
            seqs = {await durable(stream) for stream in streams}
        finally:
            sa.event.remove(engine, "before_cursor_execute", note)
    assert seqs == {room.event_seq}
    reads = sum("FROM room_event" in query for query in queries)
    assert 1 <= reads <= 2, "the wake-up after the process's first LISTEN may read once more"


async def ids_of(hub: FeedHub, database: Database, room: Room, after: int, last: int) -> list[int]:
    """What a client that has `after` is sent up to `last`."""

    async def stranger(_: AsyncSession) -> Principal:
        return Principal(platform_id=room.platform_id)

    watch = Watch(database, stranger, room.id, hub.pace)
    seen: list[int] = []
    async with asyncio.timeout(10), aclosing(event_frames(hub, watch, after)) as frames:
        async for frame in frames:
            if frame.startswith(b"id:"):
                seen.append(int(frame.split(b"\n", 1)[0].removeprefix(b"id: ")))
            if (seen[-1] if seen else after) >= last:
                break
    return seen


async def test_resuming_anywhere_reads_from_memory_and_store_alike(
    database: Database, room: Room
) -> None:
    await record(database, room, 10)
    last = room.event_seq
    async with process(database, Pace(recent_events=5)) as hub, hub.open(room.id):
        for after in range(last + 1):
            seen = await ids_of(hub, database, room, after, last)
            assert seen == list(range(after + 1, last + 1)), f"after {after}"


async def test_a_client_ahead_of_the_feed_gets_nothing_twice(
    database: Database, room: Room
) -> None:
    """The state it was shown held events whose notification this process has yet to read."""
    listener = Listener(database.url, (DURABLE_CHANNEL, LIVE_CHANNEL))
    hub = FeedHub(database, listener, FAST)
    async with hub.open(room.id):
        await record(database, room, 2)
        ahead = room.event_seq
        reading = asyncio.create_task(ids_of(hub, database, room, ahead, ahead + 1))
        await until(lambda: hub.streams == 2)
        listener.start()
        await record(database, room)
        assert await reading == [ahead + 1]
        await listener.stop()


async def test_processes_show_the_sum_of_their_audiences(database: Database, room: Room) -> None:
    async with process(database) as one, process(database) as two:
        async with one.open(room.id) as first, two.open(room.id) as second:
            await shows(first, 2)
            await shows(second, 2)
            async with two.open(room.id) as third:
                await shows(first, 3)
                await shows(third, 3)
            await shows(first, 2)
        async with one.open(room.id) as alone:
            await shows(alone, 1)


async def shows(stream: Stream, count: int) -> None:
    wanted = b'"count":%d}' % count
    while True:
        frame = await stream.get(10)
        assert frame is not None
        if frame.kind == "audience" and wanted in frame.text:
            return


async def test_a_feed_survives_a_lost_listen_connection(database: Database, room: Room) -> None:
    async with process(database) as hub, hub.open(room.id) as stream:
        async with database.transaction() as session:
            await session.execute(
                sa.text(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where query like 'LISTEN%' and datname = current_database()"
                )
            )
        await record(database, room, 3)
        assert [await durable(stream) for _ in range(3)] == list(
            range(room.event_seq - 2, room.event_seq + 1)
        )


async def test_streams_opened_and_closed_together_leave_nothing(
    database: Database, room: Room
) -> None:
    async def visit(hub: FeedHub) -> None:
        async with hub.open(room.id):
            await asyncio.sleep(0)

    async with process(database) as hub:
        before = asyncio.all_tasks()
        for _ in range(5):
            await asyncio.gather(*(visit(hub) for _ in range(10)))
        await until(lambda: asyncio.all_tasks() <= before)
        assert hub.streams == 0
