"""One reader per room and process, shared by all streams of that room.

A notification wakes the reader; it reads the new rows once, in a short transaction, and
hands the same bytes to every stream. Tasks run only while a stream is open, and no stream
holds a database connection.

The audience is counted as open streams. Each process tells the others its own part of a
room's count, and all show the sum; the part of a process that died expires.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.exc import SQLAlchemyError

from core.db import Database
from core.listen import Listener, Subscription
from rooms.events import DURABLE_CHANNEL, LIVE_CHANNEL, announce
from rooms.listing import events_after
from rooms.models import Room, RoomEvent
from rooms.schemas import EventOut

log = logging.getLogger(__name__)

PAGE = 500
QUEUE_SIZE = 512
EPHEMERAL_ROOM = QUEUE_SIZE // 2
"""A stream this far behind gets durable events only."""

RETRY_SECONDS = 1.0
AUDIENCE_REFRESH_SECONDS = 10.0
AUDIENCE_EXPIRY_SECONDS = 30.0
AUDIENCE_PART = "audience.part"
"""Between processes only; streams get `audience`."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The times and sizes of streams."""

    heartbeat_s: float = 15.0
    recheck_s: float = 60.0
    linger_s: float = 5.0
    """Open after `room.ended`: what is recorded with the end still arrives."""

    audience_s: float = 2.0
    recent_events: int = 400
    """Kept in memory per room: most streams that resume need no query."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event, encoded once. Ephemeral ones have no `seq`."""

    text: bytes
    kind: str
    seq: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


def durable_frame(event: RoomEvent) -> Frame:
    body = EventOut.model_validate(event).model_dump_json()
    text = f"id: {event.seq}\nevent: durable\ndata: {body}\n\n"
    return Frame(text.encode(), event.kind, event.seq, event.data)


def ephemeral_frame(kind: str, data: dict[str, Any]) -> Frame:
    body = json.dumps({"kind": kind, "data": data}, separators=(",", ":"))
    return Frame(f"event: ephemeral\ndata: {body}\n\n".encode(), kind)


class Stream:
    """What one client has yet to be sent. `head`: events above it arrive by `get`."""

    def __init__(self, head: int, recent: Sequence[Frame]) -> None:
        self.head = head
        self.recent = recent
        self._queue: asyncio.Queue[Frame | None] = asyncio.Queue(QUEUE_SIZE)
        self._dropped = False

    def offer(self, frame: Frame) -> None:
        """Without waiting: a client too slow for its queue is dropped, and may resume."""
        if self._dropped or (frame.seq is None and self._queue.qsize() >= EPHEMERAL_ROOM):
            return
        if self._queue.full():
            self._dropped = True
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(None)
            return
        self._queue.put_nowait(frame)

    async def get(self, timeout_s: float) -> Frame | None:
        """Raises TimeoutError; None when the stream was dropped."""
        async with asyncio.timeout(max(0.0, timeout_s)):
            return await self._queue.get()


class RoomFeed:
    """The streams of one room in this process, and how far they have been served."""

    def __init__(self, database: Database, room_id: UUID, recent_events: int) -> None:
        self.room_id = room_id
        self.streams: set[Stream] = set()
        self.wanted = asyncio.Event()
        self.parts: dict[str, tuple[int, float]] = {}
        self.announced: tuple[int, float] = (0, 0.0)
        self._shown: Frame | None = None
        self._database = database
        self._head = 0
        self._recent: deque[Frame] = deque(maxlen=recent_events)

    async def load(self) -> None:
        """The room's latest events. Before it, a notification is only remembered."""
        async with self._database.transaction() as session:
            room = await session.get(Room, self.room_id)
            head = room.event_seq if room is not None else 0
            start = max(0, head - (self._recent.maxlen or 0))
            events = await events_after(session, self.room_id, after=start, limit=PAGE)
        self._recent.extend(durable_frame(event) for event in events)
        self._head = events[-1].seq if events else head

    def open(self) -> Stream:
        stream = Stream(self._head, tuple(self._recent))
        if self._shown is not None:
            stream.offer(self._shown)
        self.streams.add(stream)
        return stream

    async def run(self) -> None:
        while True:
            await self.wanted.wait()
            self.wanted.clear()
            try:
                await self._read()
            except (OSError, SQLAlchemyError) as error:
                log.warning("room events not read: %s", type(error).__name__)
                self.wanted.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def _read(self) -> None:
        more = True
        while more:
            async with self._database.transaction() as session:
                events = await events_after(session, self.room_id, after=self._head, limit=PAGE)
            for event in events:
                self._head = event.seq
                frame = durable_frame(event)
                self._recent.append(frame)
                self.broadcast(frame)
            more = len(events) == PAGE

    def broadcast(self, frame: Frame) -> None:
        for stream in self.streams:
            stream.offer(frame)

    def on_live(self, kind: str, data: dict[str, Any]) -> None:
        if kind == AUDIENCE_PART:
            self.parts[data["process"]] = (data["count"], time.monotonic())
        else:
            self.broadcast(ephemeral_frame(kind, data))

    def show_audience(self) -> None:
        """The sum of all processes, to all streams, when it has changed."""
        oldest = time.monotonic() - AUDIENCE_EXPIRY_SECONDS
        self.parts = {p: part for p, part in self.parts.items() if part[1] > oldest}
        count = sum(count for count, _ in self.parts.values())
        frame = ephemeral_frame("audience", {"count": count})
        if self.parts and (self._shown is None or frame.text != self._shown.text):
            self._shown = frame
            self.broadcast(frame)


class FeedHub:
    """All feeds of one process."""

    def __init__(self, database: Database, listener: Listener, pace: Pace = Pace()) -> None:
        self.pace = pace
        self._database = database
        self._listener = listener
        self._process = uuid4().hex
        self._feeds: dict[UUID, RoomFeed] = {}
        self._feed_tasks: dict[UUID, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._changing = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def open(self, room_id: UUID) -> AsyncIterator[Stream]:
        """A stream of a room that the caller may see (this asks nobody)."""
        async with self._changing:
            feed = self._feeds.get(room_id) or await self._start(room_id)
            stream = feed.open()
        try:
            yield stream
        finally:
            feed.streams.discard(stream)
            if not feed.streams:
                await asyncio.shield(self._stop_idle(feed))

    @property
    def streams(self) -> int:
        """Open in this process, over all rooms."""
        return sum(len(feed.streams) for feed in self._feeds.values())

    async def _start(self, room_id: UUID) -> RoomFeed:
        feed = RoomFeed(self._database, room_id, self.pace.recent_events)
        # Registered before it reads, so that no notification falls in between.
        self._feeds[room_id] = feed
        try:
            if not self._tasks:
                await self._start_tasks()
            await feed.load()
        except BaseException:
            del self._feeds[room_id]
            await self._stop_unused_tasks()
            raise
        self._feed_tasks[room_id] = asyncio.create_task(feed.run(), name="room-feed")
        return feed

    async def _start_tasks(self) -> None:
        subscribed = [asyncio.Event(), asyncio.Event()]
        self._tasks = [
            asyncio.create_task(self._pump(DURABLE_CHANNEL, self._on_durable, subscribed[0])),
            asyncio.create_task(self._pump(LIVE_CHANNEL, self._on_live, subscribed[1])),
            asyncio.create_task(self._wake_once_connected()),
            asyncio.create_task(self._count()),
        ]
        for event in subscribed:
            await event.wait()

    async def _stop_idle(self, feed: RoomFeed) -> None:
        async with self._changing:
            if feed.streams or self._feeds.get(feed.room_id) is not feed:
                return
            del self._feeds[feed.room_id]
            await _cancel([self._feed_tasks.pop(feed.room_id)])
            if feed.announced[0]:
                await self._tell({feed.room_id: 0})
            await self._stop_unused_tasks()

    async def _stop_unused_tasks(self) -> None:
        if not self._feeds:
            tasks, self._tasks = self._tasks, []
            await _cancel(tasks)

    async def _pump(
        self,
        channel: str,
        handle: Callable[[dict[str, Any]], None],
        subscribed: asyncio.Event,
    ) -> None:
        async with self._listener.subscribe(channel) as subscription:
            subscribed.set()
            await _drain(subscription, handle)

    def _on_durable(self, message: dict[str, Any]) -> None:
        if "room_id" not in message:
            self._wake_all()
        elif feed := self._feeds.get(UUID(message["room_id"])):
            feed.wanted.set()

    def _on_live(self, message: dict[str, Any]) -> None:
        if "room_id" in message and (feed := self._feeds.get(UUID(message["room_id"]))):
            feed.on_live(message["kind"], message["data"])

    def _wake_all(self) -> None:
        for feed in self._feeds.values():
            feed.wanted.set()

    async def _wake_once_connected(self) -> None:
        """What was notified before the process's first LISTEN is read too."""
        await self._listener.connected.wait()
        self._wake_all()

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(self.pace.audience_s)
            now = time.monotonic()
            await self._tell(
                {
                    room_id: len(feed.streams)
                    for room_id, feed in self._feeds.items()
                    if len(feed.streams) != feed.announced[0]
                    or now - feed.announced[1] > AUDIENCE_REFRESH_SECONDS
                }
            )
            for feed in self._feeds.values():
                feed.show_audience()

    async def _tell(self, counts: dict[UUID, int]) -> None:
        if not counts:
            return
        try:
            async with self._database.transaction() as session:
                for room_id, count in counts.items():
                    part = {"process": self._process, "count": count}
                    await announce(session, room_id, AUDIENCE_PART, part)
        except (OSError, SQLAlchemyError) as error:
            log.warning("audience not announced: %s", type(error).__name__)
            return
        for room_id, count in counts.items():
            if feed := self._feeds.get(room_id):
                feed.announced = (count, time.monotonic())


async def _drain(subscription: Subscription, handle: Callable[[dict[str, Any]], None]) -> None:
    while True:
        handle(await subscription.get())


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
