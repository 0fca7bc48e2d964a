"""5,000 listeners of a room that is two hours old, while 100 tracks record: `make bench-live`.

Each listener is an HLS player on a connection of its own (the live playlist, or one in five from
0:00 by delta updates; gzip) and a stream of the room's events. nginx serves the same files to
the same players; the event streams and the recording go on meanwhile.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final, Self

import httpx
import numpy as np
import uvloop

from bench.cpu import cpu_seconds
from bench.encore import SECRET, Hall, MediaPlane, NeverHappened, postgres
from bench.ending import stop
from bench.live_clients import TARGET_SECONDS
from bench.live_nginx import nginx, nginx_is_here
from bench.report import Cell, bench_lines, table
from bench.rounds import interleaved
from bench.speakers import Crowd, connect_all
from bench.voices import noise, voices
from bench.webrtc_client import Identity, WebRtcClient
from core.auth.room_tokens import RoomClaims, issue_room_token
from core.ids import uuid7
from core.postgres import free_port
from replay.capability import capability_key, issue
from rooms.events import announce, record_event
from rooms.lifecycle import end_room
from rooms.models import Room
from web.processes import raise_open_files

LISTENERS: Final = 5000
FROM_START_PERCENT: Final = 20
PROCESSES: Final = 2
"""Of listeners."""

HALLS: Final = 10
SPEAKERS: Final = 10
TALKING: Final = 4
AGE_SECONDS: Final = 7200
WARM_SECONDS: Final = 5
COUNTED_SECONDS: Final = 15
CONNECT_AT_ONCE: Final = 50
AGING_SECONDS: Final = 300
PROBE_EVERY: Final = 0.2
UP_SECONDS: Final = 60
STORED_SECONDS: Final = 240
TELL_EVERY: Final = 0.5
"""Seconds between ephemeral events of the room, as when speakers take turns."""

DURABLE_EVERY: Final = 4
"""One of so many of them is durable instead."""


class House(MediaPlane):
    """Everything but the jobs: the media plane, the edge and the web process."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder, set(), mixing=True)
        self.folder = folder
        self.web_port = free_port()
        self.edge_port = int(self._environment["ENCORE_EDGE_PORT"])
        self._environment |= {
            "ENCORE_WEB_PORT": str(self.web_port),
            "ENCORE_TRUSTED_PROXIES": '["127.0.0.0/8"]',
        }
        self._commands["web"] = ("web.cli", "process", "web")

    def cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(child.pid) for name, child in self._processes.items()}

    def edge_folder(self, hall: Hall) -> str:
        key = capability_key(SECRET.encode())
        token = issue(key, hall.recording_id, at=datetime.now(UTC)).token
        return f"/{token}/{hall.recording_id}/"

    async def up(self) -> None:
        """Returns when the API and HLS answer."""
        async with httpx.AsyncClient() as http, asyncio.timeout(UP_SECONDS):
            for port in (self.web_port, self.edge_port):
                await _answering(http, f"http://127.0.0.1:{port}/healthz")

    async def tokens(self, hall: Hall, count: int) -> list[str]:
        """Room tokens of people who only listen."""
        async with self._database.transaction() as session:
            room = await session.get_one(Room, hall.room_id)
        return [_listener_token(room) for _ in range(count)]

    async def end(self) -> tuple[int, int]:
        """As MediaPlane's, but a room of two hours on a busy machine may take minutes."""
        deadline = time.monotonic() + STORED_SECONDS
        async with self._database.transaction() as session:
            for hall in self._halls:
                await end_room(session, principal=hall.host, room_id=hall.room_id)
        while (found := await self._stored()) is None:
            if time.monotonic() > deadline:
                raise NeverHappened(f"the rooms are not stored after {STORED_SECONDS} s")
            await asyncio.sleep(0.5)
        return found

    async def tell(self, hall: Hall) -> None:
        """The room's events, each with the time at which its transaction is about to end."""
        for number in range(1_000_000):
            await asyncio.sleep(TELL_EVERY)
            async with self._database.transaction() as session:
                room = await session.get_one(Room, hall.room_id)
                at = {"bench_at": time.time()}
                if number % DURABLE_EVERY:
                    await announce(session, hall.room_id, "bench", at)
                else:
                    await record_event(session, room, "bench.happened", data=at)


def _listener_token(room: Room) -> str:
    claims = RoomClaims(room.platform_id, uuid7(), room.id, "Listener", "listener")
    return issue_room_token(SECRET.encode(), claims, ttl=timedelta(hours=1)).token


async def _answering(http: httpx.AsyncClient, url: str) -> None:
    while True:
        try:
            (await http.get(url)).raise_for_status()
        except httpx.HTTPError:
            await asyncio.sleep(0.1)
        else:
            return


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
        for process in self._processes:
            await stop(process)

    def cpu(self) -> float:
        return cpu_seconds(*(process.pid for process in self._processes))

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
    answer: dict[str, Any] = json.loads(line)
    return answer


@dataclass
class Run:
    """What one round of one server showed."""

    took: dict[str, list[float]] = field(default_factory=lambda: {"playlist": [], "segment": []})
    events: list[float] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)
    cpu: dict[str, float] = field(default_factory=dict)
    """Percent of a core."""

    @property
    def all(self) -> list[float]:
        return self.took["playlist"] + self.took["segment"]

    @property
    def requests_per_second(self) -> float:
        return len(self.all) / COUNTED_SECONDS

    def percentile_ms(self, which: float) -> float:
        return float(np.percentile(self.all, which)) * 1000

    def event_ms(self, which: float) -> float:
        return float(np.percentile(self.events, which)) * 1000

    def cpu_per_request(self, server: str) -> float:
        """Microseconds of a core."""
        return self.cpu[server] / 100 / self.requests_per_second * 1e6


@dataclass
class Scene:
    """The room, its listeners, and who serves them."""

    house: House
    crew: Crew
    hall: Hall
    nginx_pid: int | None = None
    nginx_port: int = 0

    async def play(self, server: str) -> Run:
        """The same players, at the edge or at nginx."""
        folder = self.house.edge_folder(self.hall) if server == "edge" else "/"
        order = {
            "do": "play",
            "host": "127.0.0.1",
            "port": self.house.edge_port if server == "edge" else self.nginx_port,
            "folder": folder,
            "players": LISTENERS // PROCESSES,
            "from_start": FROM_START_PERCENT,
            "warm_s": WARM_SECONDS,
            "seconds": COUNTED_SECONDS,
        }
        playing = asyncio.create_task(self.crew.order(order))
        await asyncio.sleep(WARM_SECONDS + 2)
        before, since = self._cpu(), time.monotonic()
        seen = await playing
        after, seconds = self._cpu(), time.monotonic() - since
        run = Run(cpu={name: (after[name] - before[name]) / seconds * 100 for name in after})
        for part in seen:
            run.wrong += Counter(part["wrong"])
            run.wrong += Counter(part["events"]["wrong"])
            run.events += part["events"]["took"]
            for kind, took in part["took"].items():
                run.took[kind] += took
        return run

    def _cpu(self) -> dict[str, float]:
        used = self.house.cpu() | {"listeners": self.crew.cpu()}
        if self.nginx_pid is not None:
            used["nginx"] = cpu_seconds(self.nginx_pid)
        return used


async def record(house: House, crowd: Crowd) -> Hall:
    """100 tracks in ten rooms, four people talking in each; the first room is two hours old."""
    first = await house.open_hall(SPEAKERS, AGE_SECONDS)
    print(f"the room is {await aged(house, first):.0f} s old", file=sys.stderr)
    others = [await house.open_hall(SPEAKERS, 0) for _ in range(1, HALLS)]
    identity, said, quiet = Identity(), voices(), noise(10)
    for hall in (first, *others):
        clients = [WebRtcClient(identity) for _ in range(SPEAKERS)]
        await connect_all(
            [partial(house.publish, hall, client, n) for n, client in enumerate(clients)]
        )
        for place, client in enumerate(clients):
            crowd.join(client, said[place] if place < TALKING else quiet)
    return first


async def aged(house: House, hall: Hall) -> float:
    """Seconds of the room's playlist, once it reaches the present."""
    url = f"http://127.0.0.1:{house.edge_port}{house.edge_folder(hall)}"
    deadline = time.monotonic() + AGING_SECONDS
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        while time.monotonic() < deadline:
            text = (await http.get("index.m3u8")).text  # a problem has no EXTINF
            seconds = sum(
                float(v[8:].rstrip(",")) for v in text.splitlines() if v[:8] == "#EXTINF:"
            )
            if seconds > AGE_SECONDS - TARGET_SECONDS:
                return seconds
            await asyncio.sleep(1)
    raise TimeoutError(f"the room got no older than {seconds:.0f} s")


async def storm(scene: Scene) -> Run:
    """All streams are opened at once, as when a machine in front of us was restarted."""
    tokens = await scene.house.tokens(scene.hall, LISTENERS)
    share = LISTENERS // PROCESSES
    orders = [
        {
            "do": "stream",
            "host": "127.0.0.1",
            "port": scene.house.web_port,
            "path": f"/v1/rooms/{scene.hall.room_id}/events",
            "tokens": tokens[at * share : (at + 1) * share],
            "process": at,
            "at_once": CONNECT_AT_ONCE,
        }
        for at in range(PROCESSES)
    ]
    run = Run()
    probing = asyncio.create_task(_probe(scene, run.events))
    before, since = scene.house.cpu(), time.monotonic()
    seen = await scene.crew.order(*orders)
    seconds = time.monotonic() - since
    used = scene.house.cpu()["web"] - before["web"]
    probing.cancel()
    await asyncio.gather(probing, return_exceptions=True)
    run.cpu = {"web": used / seconds * 100, "seconds": seconds}
    run.wrong = sum((Counter(part["wrong"]) for part in seen), Counter())
    run.took["playlist"] = [t for part in seen for t in part["took"]]
    return run


async def _probe(scene: Scene, took: list[float]) -> None:
    """Appends the seconds of each call of the API, until canceled."""
    token = (await scene.house.tokens(scene.hall, 1))[0]
    url = f"http://127.0.0.1:{scene.house.web_port}/v1/rooms/{scene.hall.room_id}"
    async with httpx.AsyncClient(timeout=30) as http:
        while True:
            since = time.monotonic()
            (await http.get(url, headers={"Authorization": f"Bearer {token}"})).raise_for_status()
            took.append(time.monotonic() - since)
            await asyncio.sleep(PROBE_EVERY)


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[Scene, Crowd]]:
    async with AsyncExitStack() as stack:
        url, _ = await stack.enter_async_context(postgres())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="encore-bench-")))
        house = await stack.enter_async_context(House(url, folder))
        crew = await stack.enter_async_context(Crew())
        await house.up()
        crowd = Crowd()
        stack.push_async_callback(crowd.end)
        hall = await record(house, crowd)
        scene = Scene(house, crew, hall)
        if nginx_is_here():
            folder_url = f"http://127.0.0.1:{house.edge_port}{house.edge_folder(hall)}"
            spool = folder / "spool" / str(hall.recording_id)
            scene.nginx_pid, scene.nginx_port = await stack.enter_async_context(
                nginx(folder_url, spool)
            )
        yield scene, crowd


async def main() -> None:
    raise_open_files()
    async with opened() as (scene, crowd):
        stormed = await storm(scene)
        print(f"{LISTENERS} streams are open", file=sys.stderr)
        telling = asyncio.create_task(scene.house.tell(scene.hall))
        servers = ["edge"] if scene.nginx_pid is None else ["edge", "nginx"]
        runs = await interleaved({server: partial(scene.play, server) for server in servers})
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        await crowd.silence()
        _report(runs, stormed)
        await asyncio.sleep(2)
        packets = Packets(crowd.sent, *await scene.house.end())
    print(f"Packets: {packets.sent} sent, {packets.received} received, {packets.lost} lost.\n")
    print(bench_lines(_numbers(runs, packets)))


@dataclass(frozen=True)
class Packets:
    """Of all tracks."""

    sent: int
    received: int
    lost: int


def _report(runs: dict[str, list[Run]], stormed: Run) -> None:
    columns = ["", "requests/s", "p50 ms", "p99 ms", "max ms", "CPU %", "us a request", "errors"]
    print(table(columns, [_row(server, results) for server, results in runs.items()]))
    every = [run for results in runs.values() for run in results]
    names = ["receive", "package", "web", "listeners"]
    print(f"\nBeside it, with {LISTENERS} event streams and {HALLS * SPEAKERS} tracks:\n")
    print(table(["", *names], [["CPU %", *(_middle_cpu(every, name) for name in names)]]))
    print(
        f"\nEvents reached the streams after {_middle_event(every, 50):.0f} ms (p50), "
        f"{_middle_event(every, 99):.0f} ms (p99)."
        f"\n{LISTENERS} streams were opened at once in {stormed.cpu['seconds']:.1f} s, "
        f"web {stormed.cpu['web']:.0f} % of a core, "
        f"one in {stormed.percentile_ms(50):.0f} ms (p50), {stormed.percentile_ms(99):.0f} ms "
        f"(p99); the API answered in {stormed.event_ms(50):.0f} ms (p50), "
        f"{stormed.event_ms(100):.0f} ms at most; errors: {_errors([stormed])}.\n"
    )


def _numbers(runs: dict[str, list[Run]], packets: Packets) -> dict[str, float]:
    every = [run for results in runs.values() for run in results]
    numbers = {
        "live_p99_ms": _middle_took(runs["edge"], 99),
        "live_p50_ms": _middle_took(runs["edge"], 50),
        "live_events_p99_ms": _middle_event(every, 99),
        "live_packets_lost": float(packets.sent - packets.received + packets.lost),
    }
    if "nginx" in runs:
        numbers["live_cpu_vs_nginx"] = median(
            ours.cpu_per_request("edge") / theirs.cpu_per_request("nginx")
            for ours, theirs in zip(runs["edge"], runs["nginx"], strict=True)
        )
    return numbers


def _row(server: str, runs: list[Run]) -> list[Cell]:
    return [
        server,
        median(run.requests_per_second for run in runs),
        *(_middle_took(runs, which) for which in (50, 99, 100)),
        _middle_cpu(runs, server),
        median(run.cpu_per_request(server) for run in runs),
        _errors(runs),
    ]


def _middle_took(runs: list[Run], which: float) -> float:
    return median(run.percentile_ms(which) for run in runs)


def _middle_event(runs: list[Run], which: float) -> float:
    return median(run.event_ms(which) for run in runs)


def _middle_cpu(runs: list[Run], name: str) -> float:
    return median(run.cpu[name] for run in runs)


def _errors(runs: list[Run]) -> str:
    wrong: Counter[str] = sum((run.wrong for run in runs), Counter())
    return ", ".join(f"{count} {what}" for what, count in wrong.items()) or "none"


if __name__ == "__main__":
    uvloop.run(main())
