"""Work that is cheaper together: what waits while others are worked on goes as one batch."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")


class Batches(Generic[Ask, Answer]):
    """Batches of one process. An ask that finds nobody at work goes at once, alone: none waits
    for a batch to become larger.

    `work` answers each ask of a batch, in their order; it must not matter whether it is told of
    one twice. What it raises for a batch is the answer to none: each is then asked alone.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Ask]], Awaitable[Sequence[Answer | Exception]]],
        *,
        at_once: int,
        most: int,
    ) -> None:
        self._work, self._at_once, self._most = work, at_once, most
        self._waiting: deque[tuple[Ask, asyncio.Future[Answer]]] = deque()
        self._tasks: set[asyncio.Task[None] | None] = set()

    async def ask(self, ask: Ask) -> Answer:
        """Raises what `work` answered or raised."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((ask, answer))
        if len(self._tasks) < self._at_once:
            task = asyncio.create_task(self._run(), name="batches")
            self._tasks.add(task)
        return await answer

    async def _run(self) -> None:
        """One of `at_once`; it ends when nothing waits."""
        batch: list[tuple[Ask, asyncio.Future[Answer]]] = []
        try:
            while self._waiting:
                count = min(self._most, len(self._waiting))
                batch = [self._waiting.popleft() for _ in range(count)]
                await self._answer(batch)
        except asyncio.CancelledError:  # the process ends, and nobody else would answer
            for _, waits in (*batch, *self._waiting):
                waits.cancel()
            self._waiting.clear()
            raise
        finally:
            self._tasks -= {asyncio.current_task()}

    async def _answer(self, batch: Sequence[tuple[Ask, asyncio.Future[Answer]]]) -> None:
        if not await self._answered(batch):
            for one in batch:
                await self._answered([one])

    async def _answered(self, batch: Sequence[tuple[Ask, asyncio.Future[Answer]]]) -> bool:
        """Whether `work` had answers; where it raised for a single one, that is its answer."""
        asks = [ask for ask, _ in batch]
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._work(asks)
        except Exception as error:  # noqa: BLE001 - it is the answer
            if len(batch) > 1:
                return False
            answers = [error]
        for (_, waits), answer in zip(batch, answers, strict=True):
            if waits.done():
                continue  # who asked has gone
            if isinstance(answer, Exception):
                waits.set_exception(answer)
            else:
                waits.set_result(answer)
        return True
