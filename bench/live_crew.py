"""The processes of listeners, told what to do and asked what they saw."""

import asyncio
import json
import sys
from typing import Any, Final, Self

from bench.ending import stop

PROCESSES: Final = 2


class CrewGone(Exception):  # noqa: N818 - what happened, as the caller reads it
    """A process of listeners has ended by itself."""


class Crew:
    """The processes of listeners, told what to do and asked what they saw."""

    def __init__(self) -> None:
        self._processes: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        for _ in range(PROCESSES):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bench.live_clients"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=1 << 28,
            )
            self._processes.append(process)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*map(stop, self._processes))

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    async def order(self, *orders: dict[str, Any]) -> list[dict[str, Any]]:
        """One order for each process, or one for all of them."""
        each = orders if len(orders) > 1 else orders * PROCESSES
        pairs = list(zip(self._processes, each, strict=True))
        return list(await asyncio.gather(*(_ask(process, order) for process, order in pairs)))


async def _ask(process: asyncio.subprocess.Process, order: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(json.dumps(order).encode() + b"\n")
    line = await process.stdout.readline()
    if not line:
        raise CrewGone(f"listeners ended with {await process.wait()} at {order['do']!r}")
    answer: dict[str, Any] = json.loads(line)
    return answer
