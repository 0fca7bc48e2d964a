"""Many recordings packaged together: one hop to a thread a round, however many rooms there are.

A hop costs more than what a room of ten has to do in a round.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final

from ingest.packager import Packager

ROUND_SECONDS: Final = 0.2
"""Two steps of a packager's cut: a room costs less in fewer, larger rounds."""

BUSY_SECONDS: Final = 0.002
"""Between rounds while some journal holds more than was read."""

_ANCHOR_NS: Final = time.time_ns() - time.monotonic_ns()

Turn = tuple[Packager, "asyncio.Future[bool]"]


def unix_us() -> int:
    """Unix time that never steps: the wall clock at the start, then the monotonic one."""
    return (_ANCHOR_NS + time.monotonic_ns()) // 1000


class Rounds:
    """`run` beside those who `step`; `lanes` threads share the rooms of a round."""

    def __init__(self, threads: Executor, lanes: int) -> None:
        self._threads = threads
        self._lanes = lanes
        self._turns: list[Turn] = []

    def step(self, packager: Packager) -> "asyncio.Future[bool]":
        """The packager's `step` in the next round, or its exception."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._turns.append((packager, future))
        return future

    async def run(self) -> None:
        """Until cancelled; whoever waits for a step then waits in vain."""
        while True:
            turns, self._turns = self._turns, []
            busy = await self._round(turns)
            await asyncio.sleep(BUSY_SECONDS if busy else ROUND_SECONDS)

    async def _round(self, turns: list[Turn]) -> bool:
        """Whether somebody's journal holds more."""
        lanes = [lane for n in range(self._lanes) if (lane := turns[n :: self._lanes])]
        loop = asyncio.get_running_loop()
        outcomes = await asyncio.gather(
            *(
                loop.run_in_executor(self._threads, _step_all, [p for p, _ in lane])
                for lane in lanes
            )
        )
        busy = False
        for lane, results in zip(lanes, outcomes, strict=True):
            for (_, future), result in zip(lane, results, strict=True):
                busy |= result is True
                _tell(future, result)
        return busy


def _tell(future: "asyncio.Future[bool]", result: bool | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _step_all(packagers: Sequence[Packager]) -> list[bool | Exception]:
    """One room's fault is its own: the others go on."""
    results: list[bool | Exception] = []
    for packager in packagers:
        try:
            results.append(packager.step(unix_us()))
        except Exception as error:  # noqa: BLE001 - raised again where the room is looked after
            results.append(error)
    return results
