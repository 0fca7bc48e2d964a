"""One round of listeners at one server, and who used the machine meanwhile."""

import asyncio
import base64
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bench.cpu import cpu_seconds
from bench.encore import Hall
from bench.live_crew import PROCESSES, Crew
from bench.live_house import House
from bench.machine import Moment, waited_seconds

FROM_START_PERCENT: Final = 20
WARM_SECONDS: Final = 5
CONNECT_AT_ONCE: Final = 50

BENCH: Final = "speakers"
"""This process, without its children: mostly the clients that send the tracks."""

Seconds = npt.NDArray[np.float64]


def unpacked(text: str) -> Seconds:
    return np.frombuffer(base64.b64decode(text))


def milliseconds(took: Seconds, which: float) -> float:
    """A percentile; NaN of nothing."""
    return float(np.percentile(took, which)) * 1000 if took.size else float("nan")


@dataclass
class Usage:
    """Percent of a core between two looks: used, and ready to use but waiting for one."""

    cpu: dict[str, float]
    waited: dict[str, float]
    idle: float
    stolen: float


class Watch:
    """Looks at process trees by name."""

    def __init__(self, trees: Mapping[str, list[int]]) -> None:
        self._trees = trees
        self._moment = Moment.now()
        self._cpu, self._waited = self._read()

    def _read(self) -> tuple[dict[str, float], dict[str, float]]:
        cpu = {name: cpu_seconds(*pids) for name, pids in self._trees.items()}
        waited = {name: sum(map(waited_seconds, pids)) for name, pids in self._trees.items()}
        return cpu | {BENCH: time.process_time()}, waited | {BENCH: waited_seconds(os.getpid())}

    def usage(self) -> Usage:
        """Since the watch was made."""
        now = Moment.now()
        cpu, waited = self._read()
        seconds = max(now.at - self._moment.at, 1e-9)
        shares = self._moment.until(now)
        return Usage(
            {name: (cpu[name] - self._cpu[name]) / seconds * 100 for name in cpu},
            {name: (waited[name] - self._waited[name]) / seconds * 100 for name in cpu},
            shares["idle"],
            shares["stolen"],
        )


@dataclass
class Run:
    """What one round of one server showed."""

    seconds: float
    took: Seconds
    events: Seconds
    late: Seconds
    """Of the listeners' own processes: a part of all that they saw."""

    usage: Usage
    wrong: Counter[str] = field(default_factory=Counter)

    @property
    def requests_per_second(self) -> float:
        return self.took.size / self.seconds

    def cpu_per_request(self, server: str) -> float:
        """Microseconds of a core."""
        return self.usage.cpu[server] / 100 / max(self.requests_per_second, 1e-9) * 1e6


@dataclass
class Scene:
    """The room, its listeners, and who serves them."""

    house: House
    crew: Crew
    hall: Hall
    listeners: int
    seconds: float
    trees: dict[str, list[int]]
    nginx_port: int = 0

    async def play(self, server: str) -> Run:
        """The same players, at the edge or at nginx."""
        await self.crew.order(
            {
                "do": "join",
                "host": "127.0.0.1",
                "port": self.house.edge_port if server == "edge" else self.nginx_port,
                "folder": self.house.edge_folder(self.hall) if server == "edge" else "/",
                "players": self.listeners // PROCESSES,
                "from_start": FROM_START_PERCENT,
                "warm_s": WARM_SECONDS,
            }
        )
        watch = Watch(self.trees)
        counting = asyncio.create_task(self.crew.order({"do": "count", "seconds": self.seconds}))
        await asyncio.sleep(self.seconds)
        usage = watch.usage()
        seen = await counting
        await self.crew.order({"do": "leave"})
        return Run(
            seconds=self.seconds,
            took=_all(part["took"][kind] for part in seen for kind in part["took"]),
            events=_all(part["events"]["took"] for part in seen),
            late=_all(part["late"] for part in seen),
            usage=usage,
            wrong=_sum(part["wrong"] for part in seen)
            + _sum(part["events"]["wrong"] for part in seen),
        )

    async def open_streams(self) -> "Opening":
        """All streams as fast as they open, as when a machine in front of us was restarted."""
        tokens = await self.house.tokens(self.hall, self.listeners)
        share = self.listeners // PROCESSES
        orders = [
            {
                "do": "stream",
                "host": "127.0.0.1",
                "port": self.house.web_port,
                "path": f"/v1/rooms/{self.hall.room_id}/events",
                "tokens": tokens[at * share : (at + 1) * share],
                "process": at,
                "at_once": CONNECT_AT_ONCE,
            }
            for at in range(PROCESSES)
        ]
        answers: list[float] = []
        probing = asyncio.create_task(self.house.probe(self.hall, answers))
        watch, since = Watch(self.trees), time.monotonic()
        seen = await self.crew.order(*orders)
        opening = Opening(
            time.monotonic() - since,
            _all(part["took"] for part in seen),
            np.array(answers),
            watch.usage(),
            _sum(part["wrong"] for part in seen),
        )
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
        return opening


@dataclass
class Opening:
    """How all streams were opened, and how the API answered others meanwhile."""

    seconds: float
    took: Seconds
    answers: Seconds
    usage: Usage
    wrong: Counter[str]


def _all(parts: Any) -> Seconds:
    return np.concatenate([unpacked(part) for part in parts])


def _sum(parts: Any) -> Counter[str]:
    return sum((Counter(part) for part in parts), Counter())
