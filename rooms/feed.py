"""One reader per room and process, shared by all streams of that room.

A notification wakes the reader; it reads the new rows once, in a short transaction, and
writes the same bytes to every stream. Tasks run only while a stream is open, and no stream
holds a database connection, a task or a timer of its own.

The audience is counted as open streams. Each process tells the others its own part of a
room's count, and all show the sum; the part of a process that died expires.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.exc import SQLAlchemyError

from core.auth.principal import Principal
from core.db import Database
from core.errors import Problem
from core.listen import Listener, Subscription
from rooms.backlog import PAGE, Backlog
from rooms.events import DURABLE_CHANNEL, LIVE_CHANNEL, EventKind, announce
from rooms.frames import HEARTBEAT, Frame, chunk, durable_frame, ephemeral_frame
from rooms.listing import events_after
from rooms.models import Room
from rooms.sight import Sight, Sights
from rooms.stream import DEFAULT_PACE, CallerAgain, Pace, Stream

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
CHECKED_AT_ONCE = 50
"""Callers that are asked for in one transaction."""

RETRY_SECONDS = 1.0
AUDIENCE_REFRESH_SECONDS = 10.0
AUDIENCE_EXPIRY_SECONDS = 30.0
CHANGES = frozenset({EventKind.ROOM_UPDATED, EventKind.ROOM_ENDED, EventKind.PARTICIPANT_REMOVED})
"""After these a stream may have to end before the next tick."""

AUDIENCE_PART = "audience.part"
"""Between processes only; streams get `audience`."""


class RoomFeed:
    """The streams of one room in this process, and how far they have been served."""

    def __init__(
        self, database: Database, room_id: UUID, pace: Pace, sight: Sight, backlog: Backlog
    ) -> None:
        self.room_id = room_id
        self.checking = asyncio.Event()
        self.streams: set[Stream] = set()
        self.wanted = asyncio.Event()
        self.changes = 0
        """How often something was taken out of what is kept, or may have been: after the next
        reading, whose own events are as they are now, it is forgotten."""

        self.parts: dict[str, tuple[int, float]] = {}
        self.announced: tuple[int, float] = (0, 0.0)
        self._shown: Frame | None = None
        self._database = database
        self._pace = pace
        self._sight = sight
        self._backlog = backlog
        self._told_at = time.monotonic()
        self._forgotten = 0
        self._head = 0
        self._recent: deque[Frame] = deque(maxlen=pace.recent_events)

    async def load(self) -> None:
        """The room's latest events. Before it, a notification is only remembered."""
        async with self._database.transaction() as session:
            room = await session.get(Room, self.room_id)
            head = room.event_seq if room is not None else 0
            start = max(0, head - (self._recent.maxlen or 0))
            events = await events_after(session, self.room_id, after=start, limit=PAGE)
        self._recent.extend(durable_frame(event) for event in events)
        self._head = events[-1].seq if events else head

    def open(self, caller: CallerAgain, user_id: UUID | None, *, hears: bool) -> Stream:
        recent = tuple(self._recent)
        stream = Stream(self._head, recent, self._pace, caller=caller, user_id=user_id, hears=hears)
        if self._shown is not None:
            stream.offer(self._shown, chunk(self._shown.text))
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
        more, changes = True, self.changes
        while more:
            async with self._database.transaction() as session:
                events = await events_after(session, self.room_id, after=self._head, limit=PAGE)
            for event in events:
                self._head = event.seq
                frame = durable_frame(event)
                self._recent.append(frame)
                if frame.kind == EventKind.ROOM_UPDATED:
                    self._sight.forget()
                self.broadcast(frame)
            more = len(events) == PAGE
        if changes > self._forgotten:
            self._forgotten = changes
            self.forget()

    def forget(self) -> None:
        """Events that are kept in memory have changed: who resumes has them from the database."""
        self._recent.clear()
        self._backlog.forget(self.room_id)

    def broadcast(self, frame: Frame) -> None:
        self._told_at = time.monotonic()
        framed = {
            hears: chunk(text) for hears in (True, False) if (text := frame.told(hears=hears))
        }
        for stream in self.streams:
            if stream.hears in framed:
                stream.offer(frame, framed[stream.hears])
        if frame.kind in CHANGES:
            self.checking.set()

    async def watch(self) -> None:
        """Ends streams whose time or right is over, and lets a quiet room be heard of."""
        pace = self._pace
        tick = min(TICK_SECONDS, pace.heartbeat_s, pace.recheck_s, pace.linger_s)
        while True:
            self.checking.clear()
            now = time.monotonic()
            if now - self._told_at >= pace.heartbeat_s:
                self.broadcast(HEARTBEAT)
            due = []
            for stream in list(self.streams):
                stream.look_at_clock(now)
                if stream.is_due(now):
                    due.append(stream)
            for at in range(0, len(due), CHECKED_AT_ONCE):
                await self._check(due[at : at + CHECKED_AT_ONCE])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.checking.wait(), tick)

    async def _check(self, streams: Sequence[Stream]) -> None:
        """Credential and access are asked for again. Without the database all may stay:
        nothing new is read either."""
        try:
            for stream, principal in await self._callers(streams):
                try:
                    await self._sight.see(principal)
                    stream.hears = await self._sight.hears(principal)
                except Problem:
                    stream.end("access")
        except (OSError, SQLAlchemyError) as error:
            log.warning("streams not checked: %s", type(error).__name__)
        await asyncio.sleep(0)  # none of it may have waited

    async def _callers(self, streams: Sequence[Stream]) -> list[tuple[Stream, Principal]]:
        """Those whose credential still holds; the others are sent away."""
        callers = []
        async with self._database.transaction() as session:
            for stream in streams:
                try:
                    callers.append((stream, await stream.caller(session)))
                except Problem:
                    stream.end("credential")
        return callers

    def on_live(self, kind: str, data: dict[str, Any]) -> None:
        if kind == AUDIENCE_PART:
            self.parts[data["process"]] = (data["count"], time.monotonic())
        else:
            self.broadcast(ephemeral_frame(kind, data))

    def ask_about(self, user_id: UUID) -> None:
        for stream in self.streams:
            stream.ask_about(user_id)
        self.checking.set()

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

    def __init__(self, database: Database, listener: Listener, pace: Pace = DEFAULT_PACE) -> None:
        self.pace = pace
        self._database = database
        self._listener = listener
        self._process = uuid4().hex
        self._feeds: dict[UUID, RoomFeed] = {}
        self._feed_tasks: dict[UUID, list[asyncio.Task[None]]] = {}
        self.sights = Sights(database)
        self.backlog = Backlog(database)
        self._tasks: list[asyncio.Task[None]] = []
        self._changing = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def open(
        self,
        room_id: UUID,
        caller: CallerAgain,
        *,
        user_id: UUID | None = None,
        hears: bool = True,
    ) -> AsyncIterator[Stream]:
        """A stream of a room that the caller may see now: he is asked for again later only."""
        async with self._changing:
            feed = self._feeds.get(room_id) or await self._start(room_id)
            stream = feed.open(caller, user_id, hears=hears)
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
        sight = self.sights.of(room_id)
        feed = RoomFeed(self._database, room_id, self.pace, sight, self.backlog)
        feed.forget()  # what came while nobody here listened
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
        self._feed_tasks[room_id] = [
            asyncio.create_task(feed.run(), name="room-feed"),
            asyncio.create_task(feed.watch(), name="room-watch"),
        ]
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
            await _cancel(self._feed_tasks.pop(feed.room_id))
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
            feed.changes += "changed" in message
            feed.wanted.set()

    def _on_live(self, message: dict[str, Any]) -> None:
        if "gone" in message:
            self._ask_about(UUID(message["gone"]))
        elif "room_id" in message and (feed := self._feeds.get(UUID(message["room_id"]))):
            feed.on_live(message["kind"], message["data"])

    def _ask_about(self, user_id: UUID) -> None:
        for feed in self._feeds.values():
            feed.ask_about(user_id)

    def _wake_all(self) -> None:
        """After notifications were lost."""
        for feed in self._feeds.values():
            feed.changes += 1
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
