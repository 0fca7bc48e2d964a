"""Bytes that are asked for again and again, in memory up to a budget; each is loaded once."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from replay.recorded import Place

Load = Callable[[Place], Coroutine[Any, Any, bytes]]


class BlobCache:
    """Least recently used goes first. What does not fit into a quarter is not kept."""

    def __init__(self, load: Load, *, budget: int) -> None:
        self._load = load
        self._budget = budget
        self._blobs: OrderedDict[Place, bytes] = OrderedDict()
        self._loading: dict[Place, asyncio.Task[bytes]] = {}
        self.used = 0

    def ready(self, place: Place) -> bytes | None:
        blob = self._blobs.get(place)
        if blob is not None:
            self._blobs.move_to_end(place)
        return blob

    async def get(self, place: Place) -> bytes:
        """Raises what the load raises, to all who wait for it; one who leaves ends nothing."""
        if (blob := self.ready(place)) is not None:
            return blob
        task = self._loading.get(place)
        if task is None:
            task = asyncio.create_task(self._load(place))
            self._loading[place] = task
            task.add_done_callback(lambda done: self._keep(place, done))
        waiting: Awaitable[bytes] = asyncio.shield(task)
        return await waiting

    def _keep(self, place: Place, task: asyncio.Task[bytes]) -> None:
        del self._loading[place]
        if task.cancelled() or task.exception() is not None:
            return
        blob = task.result()
        if len(blob) > self._budget // 4:
            return
        self._blobs[place] = blob
        self.used += len(blob)
        while self.used > self._budget:
            _, oldest = self._blobs.popitem(last=False)
            self.used -= len(oldest)
