"""One LISTEN connection per process, shared by all who wait for notifications of PostgreSQL."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from core.db import dsn

log = logging.getLogger(__name__)
RECONNECT_SECONDS = 0.5
CONNECT_SECONDS = 5.0
QUIET_SECONDS = 15.0
"""After so long without an end of the connection it is asked whether it still is one."""

QUEUE_SIZE = 1000

RESYNC: dict[str, Any] = {"resync": True}
"""Sent to every subscriber after a reconnect: notifications may have been missed, read again."""


class Subscription:
    """A bounded inbox; when it overflows, the oldest messages become one RESYNC."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(QUEUE_SIZE)

    def offer(self, message: dict[str, Any]) -> None:
        if self._queue.full():
            while not self._queue.empty():
                self._queue.get_nowait()
            message = RESYNC
        self._queue.put_nowait(message)

    async def get(self) -> dict[str, Any]:
        return await self._queue.get()


class Listener:
    """Reconnects on its own; `start` returns at once, also when the database is away."""

    def __init__(self, url: str, channels: tuple[str, ...]) -> None:
        self._dsn = dsn(url)
        self._channels = channels
        self._subscriptions: dict[str, set[Subscription]] = {c: set() for c in channels}
        self._task: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="pg-listener")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @contextlib.asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[Subscription]:
        """Messages (JSON objects) of one of the channels given at construction. A notification
        that is a list of them brings each."""
        subscription = Subscription()
        self._subscriptions[channel].add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions[channel].discard(subscription)

    async def _run(self) -> None:
        first = True
        while True:
            try:
                await self._listen(resync=not first)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("listen connection lost: %s", type(error).__name__)
            except Exception:
                log.exception("listening failed")
            self.connected.clear()
            first = False
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self, *, resync: bool) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=CONNECT_SECONDS)
        closed = asyncio.Event()
        connection.add_termination_listener(lambda _: closed.set())
        try:
            for channel in self._channels:
                await connection.add_listener(channel, self._on_notify)
            self.connected.set()
            if resync:
                self._broadcast(RESYNC)
            await _until_closed(connection, closed)
        finally:
            # No farewell: a server that is away would not answer it.
            connection.terminate()

    def _on_notify(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        try:
            told = json.loads(str(payload))
        except ValueError:
            log.warning("a notification on %s is not JSON", channel)
            return
        for message in told if isinstance(told, list) else [told]:
            for subscription in self._subscriptions[channel]:
                subscription.offer(message)

    def _broadcast(self, message: dict[str, Any]) -> None:
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.offer(message)


async def _until_closed(connection: asyncpg.Connection, closed: asyncio.Event) -> None:
    """Also notices a server that went away without a word."""
    while not closed.is_set():
        try:
            await asyncio.wait_for(closed.wait(), QUIET_SECONDS)
        except TimeoutError:
            await connection.execute("select 1", timeout=CONNECT_SECONDS)
