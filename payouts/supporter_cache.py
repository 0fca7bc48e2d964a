"""Lists of supporters kept in memory, so that an audience that reloads one after each tip costs one
query. Every process has its own cache."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from payouts.supporters import Supporters
from rooms.models import Room

MAX_LISTS: Final = 1_000
MAX_AGE_SECONDS: Final = 10.0
"""Names change, and people leave and are anonymized, without an event of the room."""

Key = tuple[UUID, int, bool, int]


class SupporterCache:
    """Keeps a room's lists until its next event: every tip and every coming or going is one.

    `clock` returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lists: OrderedDict[Key, tuple[Supporters, float]] = OrderedDict()

    async def of(
        self, room: Room, *, present: bool, limit: int, make: Callable[[], Awaitable[Supporters]]
    ) -> Supporters:
        """`room` must be read before `make` reads: then a list is at most newer than its key."""
        key = room.id, room.event_seq, present, limit
        now = self._clock()
        found, made_at = self._lists.pop(key, (None, now))
        if found is None or now - made_at >= MAX_AGE_SECONDS:
            found, made_at = await make(), now
        self._lists[key] = found, made_at
        if len(self._lists) > MAX_LISTS:
            self._lists.popitem(last=False)
        return found
