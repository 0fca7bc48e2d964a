"""The feeds of one and of several processes, without HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.db import Database
from core.errors import Unauthenticated
from core.ids import uuid7
from core.listen import Listener
from rooms.events import DURABLE_CHANNEL, LIVE_CHANNEL, record_event, tell_changed, tell_gone
from rooms.feed import FeedHub
from rooms.models import Room, RoomEvent
from rooms.stream import Pace
from tests.polling import until
from tests.rooms.conftest import make_house
from tests.rooms.tapes import Tape, ids_of, listening, texts_of

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


@pytest.fixture
def queries(database: Database) -> Iterator[list[str]]:
    """What the database is asked, by all that share its pool."""
    asked: list[str] = []

    def note(*args: Any) -> None:
        asked.append(args[2])

    engine = database.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    yield asked
    sa.event.remove(engine, "before_cursor_execute", note)


async def record(database: Database, room: Room, count: int = 1) -> None:
    for _ in range(count):
        async with database.transaction() as session:
            await record_event(session, room, "test.happened")


async def tell(database: Database, room: Room, kind: str, data: dict[str, Any]) -> None:
    async with database.transaction() as session:
        await record_event(session, room, kind, data=data)


async def test_five_hundred_streams_share_one_query(
    database: Database, room: Room, queries: list[str]
) -> None:
    async with process(database, Pace()) as hub, contextlib.AsyncExitStack() as stack:
        tapes = [await stack.enter_async_context(listening(hub, room)) for _ in range(500)]
        queries.clear()
        await record(database, room)
        seqs = {await tape.durable() for tape in tapes}
    assert seqs == {room.event_seq}
    reads = sum("FROM room_event" in query for query in queries)
    assert 1 <= reads <= 2, "the wake-up after the process's first LISTEN may read once more"


async def test_resuming_anywhere_reads_from_memory_and_store_alike(
    database: Database, room: Room
) -> None:
    await record(database, room, 10)
    last = room.event_seq
    async with process(database, Pace(recent_events=5)) as hub, listening(hub, room):
        for after in range(last):
            seen = await ids_of(hub, room, after, last)
            assert seen == list(range(after + 1, last + 1)), f"after {after}"


async def hush(database: Database, room: Room) -> None:
    async with database.transaction() as session:
        told = sa.update(RoomEvent).where(RoomEvent.room_id == room.id)
        await session.execute(told.where(RoomEvent.kind == "test.said").values(data={}))
        await tell_changed(session, [room.id])
        await record_event(session, room, "test.hushed")


async def test_words_that_were_taken_out_are_told_to_nobody_who_resumes(
    database: Database, room: Room
) -> None:
    """Whether they were read into memory as they happened, or as a page of what is older."""
    async with process(database, Pace(recent_events=4)) as hub, listening(hub, room) as tape:
        for _ in range(2):
            await tell(database, room, "test.said", {"words": "a secret"})
            await record(database, room, 3)
        while await tape.durable() < room.event_seq:
            pass
        assert (await texts_of(hub, room)).count("a secret") == 2
        await hush(database, room)
        while await tape.durable() < room.event_seq:
            pass
        seen = await texts_of(hub, room)
    assert "a secret" not in seen
    assert (seen.count("test.said"), seen.count("test.hushed")) == (2, 1)


async def test_what_was_kept_while_nobody_listened_is_read_anew(
    database: Database, room: Room
) -> None:
    async with process(database, Pace(recent_events=1)) as hub:
        await tell(database, room, "test.said", {"words": "a secret"})
        await record(database, room, 2)
        assert "a secret" in await texts_of(hub, room)
        await hush(database, room)
        assert "a secret" not in await texts_of(hub, room)


async def test_thousands_who_resume_share_the_pages(
    database: Database, room: Room, queries: list[str]
) -> None:
    """Also the page that is not full yet, and that has grown since it was read."""
    await record(database, room, 6)
    async with process(database, Pace(recent_events=2)) as hub, listening(hub, room) as tape:
        for _ in range(2):
            last = room.event_seq
            resuming = [ids_of(hub, room, n % 3, last) for n in range(300)]
            seen = await asyncio.gather(*resuming)
            assert [ids[-1] for ids in seen] == [last] * 300
            await record(database, room, 3)
            while await tape.durable() < room.event_seq:
                pass
    read = [query for query in queries if "FROM room_event" in query and "LIMIT" in query]
    assert len(read) <= 12, "one page twice; the feed's own reads"


async def test_a_client_ahead_of_the_feed_gets_nothing_twice(
    database: Database, room: Room
) -> None:
    """The state it was shown held events whose notification this process has yet to read."""
    listener = Listener(database.url, (DURABLE_CHANNEL, LIVE_CHANNEL))
    hub = FeedHub(database, listener, FAST)
    async with listening(hub, room):
        await record(database, room, 2)
        ahead = room.event_seq
        reading = asyncio.create_task(ids_of(hub, room, ahead, ahead + 1))
        await until(lambda: hub.streams == 2)
        listener.start()
        await record(database, room)
        assert await reading == [ahead + 1]
        await listener.stop()


async def test_processes_show_the_sum_of_their_audiences(database: Database, room: Room) -> None:
    async with process(database) as one, process(database) as two:
        async with listening(one, room) as first, listening(two, room) as second:
            await first.shows('"count":2}')
            await second.shows('"count":2}')
            async with listening(two, room) as third:
                await first.shows('"count":3}')
                await third.shows('"count":3}')
            await first.shows('"count":2}')
        async with listening(one, room) as alone:
            await alone.shows('"count":1}')


async def test_a_feed_survives_a_lost_listen_connection(database: Database, room: Room) -> None:
    async with process(database) as hub, listening(hub, room) as tape:
        async with database.transaction() as session:
            await session.execute(
                sa.text(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where query like 'LISTEN%' and datname = current_database()"
                )
            )
        await record(database, room, 3)
        assert [await tape.durable() for _ in range(3)] == list(
            range(room.event_seq - 2, room.event_seq + 1)
        )


async def test_who_leaves_for_good_is_sent_away_at_once(database: Database, room: Room) -> None:
    """And nobody else: they are not even asked who they are."""

    async def nobody(_: AsyncSession) -> Principal:
        raise Unauthenticated

    user_id = uuid7()
    async with (
        process(database, Pace()) as hub,
        hub.open(room.id, nobody, user_id=user_id) as stream,
        hub.open(room.id, nobody, user_id=uuid7()) as another,
    ):
        tapes = [Tape(), Tape()]
        for opened, tape in zip((stream, another), tapes, strict=True):
            opened.sent = opened.head
            opened.attach(tape)
        async with database.transaction() as session:
            await tell_gone(session, user_id)
        await tapes[0].shows('{"reason": "credential"}')
        assert [tape.ended for tape in tapes] == [True, False]


async def test_streams_opened_and_closed_together_leave_nothing(
    database: Database, room: Room
) -> None:
    async def visit(hub: FeedHub) -> None:
        async with listening(hub, room):
            await asyncio.sleep(0)

    async with process(database) as hub:
        before = asyncio.all_tasks()
        for _ in range(5):
            await asyncio.gather(*(visit(hub) for _ in range(10)))
        await until(lambda: asyncio.all_tasks() <= before)
        assert hub.streams == 0
