"""Boards of rooms as of their latest event: an audience that asks after each tip is answered from
memory until the next thing happens. One process's."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from payouts.supporters import Supporters
from rooms.models import Room

KEPT: Final = 1_000
FRESH_SECONDS: Final = 10.0
"""People change their names, or leave and are forgotten, without an event of the room."""

Key = tuple[UUID, int, bool, int]


class Boards:
    """Tips, comings and goings are events, so a board's sums are what they were as long as none
    came. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._boards: OrderedDict[Key, tuple[Supporters, float]] = OrderedDict()

    async def of(
        self, room: Room, *, present: bool, limit: int, make: Callable[[], Awaitable[Supporters]]
    ) -> Supporters:
        """`room` as it was read before `make` reads: what is newer only comes sooner."""
        key = room.id, room.event_seq, present, limit
        now = self._clock()
        board, made_at = self._boards.pop(key, (None, now))
        if board is None or now - made_at >= FRESH_SECONDS:
            board, made_at = await make(), now
        self._boards[key] = board, made_at
        if len(self._boards) > KEPT:
            self._boards.popitem(last=False)
        return board
