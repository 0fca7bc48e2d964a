"""Encore as it serves listeners: the media plane, the edge, the web process; and ten rooms."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import sample
from typing import Final

import httpx

from bench.encore import SECRET, Hall, MediaPlane, NeverHappened
from bench.live_clients import TARGET_SECONDS
from bench.speakers import Crowd, connect_all
from bench.voices import noise, voices
from bench.webrtc_client import Identity, WebRtcClient
from core.auth.room_tokens import RoomClaims, issue_room_token
from core.ids import uuid7
from replay.capability import capability_key, issue
from rooms.events import announce, record_event
from rooms.lifecycle import end_room
from rooms.models import Room

HALLS: Final = 10
PORTS: Final = (20_000, 32_000)
SPEAKERS: Final = 10
TALKING: Final = 4
AGE_SECONDS: Final = 7200
AGING_SECONDS: Final = 120
UP_SECONDS: Final = 60
PROBE_EVERY: Final = 0.2
STORED_SECONDS: Final = 120
TELL_EVERY: Final = 0.5
"""Seconds between ephemeral events of the room, as when speakers take turns."""

DURABLE_EVERY: Final = 4
"""One of so many of them is durable instead."""


class House(MediaPlane):
    """Everything but the jobs: the media plane, the edge and the web process."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder, set(), mixing=True)
        self.folder = folder
        ingest_port, self.web_port, self.edge_port = sample(_kept_ports(), 3)
        self._environment |= {
            "ENCORE_INGEST_PORT": str(ingest_port),
            "ENCORE_WEB_PORT": str(self.web_port),
            "ENCORE_EDGE_PORT": str(self.edge_port),
            "ENCORE_TRUSTED_PROXIES": '["127.0.0.0/8"]',
        }
        self._commands["web"] = ("web.cli", "process", "web")

    @property
    def pids_by_name(self) -> dict[str, int]:
        return {name: child.pid for name, child in self._processes.items()}

    def edge_folder(self, hall: Hall) -> str:
        key = capability_key(SECRET.encode())
        token = issue(key, hall.recording_id, at=datetime.now(UTC)).token
        return f"/{token}/{hall.recording_id}/"

    async def up(self) -> None:
        """Returns when the API and HLS answer. Raises NeverHappened if a process has ended."""
        async with httpx.AsyncClient() as http, asyncio.timeout(UP_SECONDS):
            for port in (self.web_port, self.edge_port):
                await _answering(http, f"http://127.0.0.1:{port}/healthz")
        if ended := [name for name, child in self._processes.items() if child.returncode]:
            raise NeverHappened(f"{', '.join(ended)} ended at the start")

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

    async def probe(self, hall: Hall, took: list[float]) -> None:
        """Appends the seconds of each call of the API, until canceled."""
        token = (await self.tokens(hall, 1))[0]
        url = f"http://127.0.0.1:{self.web_port}/v1/rooms/{hall.room_id}"
        async with httpx.AsyncClient(timeout=30) as http:
            while True:
                since = time.monotonic()
                answer = await http.get(url, headers={"Authorization": f"Bearer {token}"})
                answer.raise_for_status()
                took.append(time.monotonic() - since)
                await asyncio.sleep(PROBE_EVERY)

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


def _kept_ports() -> list[int]:
    """Free ones that the system gives to nobody who connects: thousands do here."""
    free = []
    for port in sample(range(*PORTS), 20):
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            free.append(port)
    return free


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


async def record(house: House, crowd: Crowd, age: float, say: Callable[[str], None]) -> Hall:
    """100 tracks in ten rooms, four people talking in each; the first room is `age` seconds old."""
    first = await house.open_hall(SPEAKERS, age)
    say(f"the room is {await aged(house, first, age):.0f} s old")
    others = [await house.open_hall(SPEAKERS, 0) for _ in range(1, HALLS)]
    identity, said, quiet = Identity(), voices(), noise(10)
    for hall in (first, *others):
        clients = [WebRtcClient(identity) for _ in range(SPEAKERS)]
        await connect_all(
            [partial(house.publish, hall, client, n) for n, client in enumerate(clients)]
        )
        for place, client in enumerate(clients):
            crowd.join(client, said[place] if place < TALKING else quiet)
    say(f"{HALLS * SPEAKERS} tracks record")
    return first


async def aged(house: House, hall: Hall, age: float) -> float:
    """Seconds of the room's playlist, once it reaches the present."""
    url = f"http://127.0.0.1:{house.edge_port}{house.edge_folder(hall)}"
    deadline, seconds = time.monotonic() + AGING_SECONDS, 0.0
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        while time.monotonic() < deadline:
            text = (await http.get("index.m3u8")).text  # a problem has no EXTINF
            seconds = sum(
                float(v[8:].rstrip(",")) for v in text.splitlines() if v[:8] == "#EXTINF:"
            )
            if seconds > age - TARGET_SECONDS:
                return seconds
            await asyncio.sleep(1)
    raise NeverHappened(f"the room got no older than {seconds:.0f} s")
