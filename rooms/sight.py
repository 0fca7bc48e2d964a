"""Whether callers may see a room, asked by thousands at once: the room's row is read for all."""

import asyncio
import time
from collections import OrderedDict
from typing import Final
from uuid import UUID

from core.auth.principal import Principal
from core.db import Database
from core.errors import NotFound, Problem
from rooms.access import Action, decide, hears
from rooms.models import Room, Visibility
from rooms.queries import room_for

FRESH_SECONDS: Final = 1.0
"""So old may the row be that new streams are judged by. Open ones are judged again by a new one
when the room changes."""

REMEMBERED_ROOMS: Final = 1000


class Sight:
    """One room. What depends on the caller alone needs no query; a group's membership does."""

    def __init__(self, database: Database, room_id: UUID) -> None:
        self._database = database
        self._room_id = room_id
        self._room: Room | None = None
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    def forget(self) -> None:
        self._read_at = float("-inf")

    async def room(self) -> Room:
        """As it was a second ago at most. Raises NotFound."""
        async with self._lock:
            now = time.monotonic()
            if now - self._read_at >= FRESH_SECONDS:
                async with self._database.transaction() as session:
                    self._room = await session.get(Room, self._room_id)
                self._read_at = now
        if self._room is None:
            raise NotFound("There is no such room.")
        return self._room

    async def see(self, principal: Principal) -> Room:
        """The room, if the caller may see it. Raises NotFound."""
        room = await self.room()
        if room.visibility is not Visibility.GROUP:
            decide(principal, Action.SEE, room, None, member=False)
            return room
        async with self._database.transaction() as session:
            room, _ = await room_for(session, principal, self._room_id, Action.SEE)
        return room

    async def hears(self, principal: Principal) -> bool:
        """`rooms.access.hears`, as of a second ago at most."""
        room = await self.room()
        if room.visibility is not Visibility.GROUP:
            return hears(principal, room, None)
        try:
            async with self._database.transaction() as session:
                room, own = await room_for(session, principal, self._room_id, Action.SEE)
        except Problem:
            return False
        return hears(principal, room, own)


class Sights:
    """Of all rooms that were asked for lately."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rooms: OrderedDict[UUID, Sight] = OrderedDict()

    def of(self, room_id: UUID) -> Sight:
        sight = self._rooms.pop(room_id, None) or Sight(self._database, room_id)
        self._rooms[room_id] = sight
        if len(self._rooms) > REMEMBERED_ROOMS:
            self._rooms.popitem(last=False)
        return sight
