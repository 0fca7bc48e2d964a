"""Boards of rooms as of their latest event: an audience that asks after each tip is answered from
memory until the next thing happens. One process's."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from payouts.supporters import Supporters
from rooms.models import Room

KEPT: Final = 1_000

Key = tuple[UUID, int, bool, int]


class Boards:
    """Tips, comings and goings are events, so a board is what it was as long as none came."""

    def __init__(self) -> None:
        self._boards: OrderedDict[Key, Supporters] = OrderedDict()

    async def of(
        self, room: Room, *, present: bool, limit: int, make: Callable[[], Awaitable[Supporters]]
    ) -> Supporters:
        """`room` as it was read before `make` reads: what is newer only comes sooner."""
        key = room.id, room.event_seq, present, limit
        found = self._boards.pop(key, None)
        if found is None:
            found = await make()
        self._boards[key] = found
        if len(self._boards) > KEPT:
            self._boards.popitem(last=False)
        return found
