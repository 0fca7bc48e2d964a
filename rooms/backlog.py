"""Older events of rooms, by pages that all who resume share: durable events hardly ever change."""

import asyncio
from collections import OrderedDict
from uuid import UUID

from core.db import Database
from rooms.frames import Frame, durable_frame
from rooms.listing import events_after

PAGE = 500
KEPT_PAGES = 64

Key = tuple[UUID, int]


class Backlog:
    """One query for each page, however many wait for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pages: OrderedDict[Key, tuple[Frame, ...]] = OrderedDict()
        self._reading: dict[Key, asyncio.Task[tuple[Frame, ...]]] = {}

    async def after(self, room_id: UUID, seq: int, *, upto: int) -> tuple[Frame, ...]:
        """Some of the events above `seq`, in order, on the way to `upto`, which is there."""
        page = await self._page(room_id, seq // PAGE, upto)
        return tuple(frame for frame in page if frame.seq is not None and frame.seq > seq)

    async def _page(self, room_id: UUID, number: int, upto: int) -> tuple[Frame, ...]:
        """As far as `upto` at least: one that was read earlier may have grown since."""
        key = room_id, number
        page = self._pages.get(key)
        if page and (len(page) == PAGE or upto <= (page[-1].seq or 0)):
            self._pages.move_to_end(key)
            return page
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.create_task(self._read(key))
            reading.add_done_callback(lambda task: self._end_reading(key, task))
        return await asyncio.shield(reading)

    def _end_reading(self, key: Key, task: asyncio.Task[tuple[Frame, ...]]) -> None:
        if self._reading.get(key) is task:
            del self._reading[key]

    async def _read(self, key: Key) -> tuple[Frame, ...]:
        room_id, number = key
        async with self._database.transaction() as session:
            events = await events_after(session, room_id, after=number * PAGE, limit=PAGE)
        page = tuple(durable_frame(event) for event in events)
        if self._reading.get(key) is asyncio.current_task():  # nothing was forgotten meanwhile
            self._pages[key] = page
            if len(self._pages) > KEPT_PAGES:
                self._pages.popitem(last=False)
        return page

    def forget(self, room_id: UUID) -> None:
        """Something in them has been taken out; what is being read now may have it still."""
        for key in [key for key in (*self._pages, *self._reading) if key[0] == room_id]:
            self._pages.pop(key, None)
            self._reading.pop(key, None)
