"""A room in a live receiver, on its real UDP socket and HTTP port, where somebody speaks on.

Ada is on stage and talks. Eve is on stage too and means harm; Ben only listens. Whatever a test
does to the receiver, `Arena.unharmed` says whether every packet of Ada's is in the journal.
"""

import asyncio
import contextlib
import ctypes
import gc
import resource
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import uvicorn

from core.auth.room_tokens import RoomClaims, issue_room_token
from core.authorities import authorities
from core.buckets import LocalBuckets
from core.settings import Settings
from ingest.admission import Admission
from ingest.endpoint import Dropped, Endpoint
from ingest.live_room import LiveRoom
from ingest.peer import Peer
from ingest.receive import WhipHttp, WhipServer
from ingest.receiver import Receiver
from ingest.sessions import Sessions
from ingest.whip import SDP, Whip, create_whip_app
from rooms.stage import Stage
from tests.ingest.client import Client, check
from tests.ingest.offers import CHROME, FINGERPRINT
from tests.ingest.receiving import SECRET, Journal, eventually
from tests.ingest.test_live_room import ADA, BEN, open_room, speaker, stage

EVE = UUID(int=3)
ROOM = stage().room_id
TICK_SECONDS = 0.01
OWN_ADDRESSES: Final = sys.platform == "linux"
"""Whether all of 127.0.0.0/8 is this machine; on macOS 127.0.0.1 alone is."""

MAX_DATAGRAM: Final = 65_507 if sys.platform == "linux" else 9216
"""What the kernel lets a socket send (macOS: net.inet.udp.maxdgram)."""


def token(participant_id: UUID | None, *, room_id: UUID = ROOM, **changed: Any) -> str:
    claims = RoomClaims(
        platform_id=uuid4(),
        user_id=uuid4(),
        room_id=room_id,
        display_name="Somebody",
        role="speaker",
        participant_id=participant_id,
    )
    return issue_room_token(SECRET.encode(), claims, **changed).token


def resident_kb() -> int:
    """Of this process, with what C libraries hold; on macOS the most that it ever was."""
    gc.collect()
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def growth_kb(act: Callable[[], object], *, times: int) -> int:
    """How much the process has grown by doing it again `times` times, after as many before."""
    for _ in range(times):
        act()
    before = resident_kb()
    for _ in range(times):
        act()
    return resident_kb() - before


class Knocker:
    """A socket of its own, on a loopback address of its own if told, towards one UDP port."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.socket.getsockname()
        return host, port

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.socket.send(datagram)

    def received(self) -> list[bytes]:
        found: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.socket.recv(2048))
        return found


class Voice(Knocker):
    """A client of one WHIP session, from its offer to encrypted packets."""

    def __init__(self, arena: "Arena", participant_id: UUID) -> None:
        super().__init__(arena.endpoint.port)
        self.arena = arena
        self.participant_id = participant_id
        self.client = Client()
        self.url = ""
        self.peer: Peer
        self.said = 0

    async def open(self, *, bearer: str | None = None, setup: str = "actpass") -> None:
        offer = CHROME.replace(FINGERPRINT, self.client.fingerprints["sha-256"])
        offer = offer.replace("a=setup:actpass", f"a=setup:{setup}")
        answer = await self.arena.post(offer, bearer=bearer or token(self.participant_id))
        assert answer.status_code == 201, answer.text
        self.url = answer.headers["location"]
        found = self.arena.endpoint.peer(self.url.rpartition("/")[2])
        assert found is not None
        self.peer = found

    def check(self, **changed: Any) -> bytes:
        known = self.peer.credentials
        return check(known.ufrag, known.password, **changed)

    async def knock(self) -> None:
        self.send(self.check())
        await eventually(self.received)

    async def expect_flight(self) -> None:
        """Of handshake records, from the receiver."""
        await eventually(lambda: any(d[0] == 22 for d in self.received()))

    async def shake_hands(self) -> None:
        self.send(*self.client.step([]))

        def step() -> bool:
            self.send(*self.client.step([d for d in self.received() if d[0] >= 20]))
            return self.client.established and self.peer.established

        await eventually(step)

    async def connect(self, *, bearer: str | None = None) -> None:
        await self.open(bearer=bearer)
        await self.knock()
        await self.shake_hands()

    def say(self) -> None:
        self.said += 1
        payload = b"%08d" % self.said
        self.send(self.client.rtp(self.said, ssrc=int(self.participant_id), payload=payload))


class Arena:
    """See above. `dropped` counts what the receiver refused since the arena was opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = stage(speaker(ADA), speaker(EVE), speaker(BEN, on_stage=False))
        sessions = Sessions(folder / "sessions")
        self.receiver = Receiver("127.0.0.1", 0, [("127.0.0.1", 0)], sessions)
        self.room: LiveRoom = open_room(folder / "journal", self.now)
        self.receiver.rooms[ROOM] = self.room
        self.journal = Journal(folder / "journal")
        self.refreshed = 0
        self.settings = Settings(_env_file=None, trusted_proxies=(ip_network("127.0.0.0/8"),))
        self._limits_at = time.monotonic()
        self._limits_step: float | None = None
        admission = Admission(self.settings, LocalBuckets(self._limits_clock))
        self.whip = Whip(self.receiver, self._refresh, SECRET.encode(), "", admission)
        self.port = 0

    @property
    def endpoint(self) -> Endpoint:
        return self.receiver.endpoint

    @property
    def dropped(self) -> dict[Dropped, int]:
        return dict(self.endpoint.dropped)

    async def _refresh(self, _: UUID) -> None:
        self.refreshed += 1

    def stop_the_clock_of_limits(self) -> None:
        """On a busy machine attempts would come back while a test makes them."""
        self._limits_at, self._limits_step = time.monotonic(), 0.0

    def lift_limits(self) -> None:
        """Every attempt is a minute later than the one before, as far as limits can tell."""
        self._limits_step = 60.0

    def _limits_clock(self) -> float:
        if self._limits_step is None:
            return time.monotonic()
        self._limits_at += self._limits_step
        return self._limits_at

    def change(self, now: Stage) -> None:
        """What StageSync does when the database says so."""
        self.endpoint.drain()
        self.room.apply(now)
        self.receiver.enforce(self.room)

    async def post(
        self, offer: str | bytes = CHROME, *, bearer: str, **headers: str
    ) -> httpx.Response:
        given = {"Authorization": f"Bearer {bearer}", "Content-Type": SDP, **headers}
        return await self.http.post(f"/whip/{ROOM}", content=offer, headers=given)

    async def drained(self, datagrams: int) -> None:
        await eventually(lambda: self.endpoint.datagrams >= datagrams)

    async def take(self, sender: Knocker, *datagrams: bytes) -> None:
        """Sends them in portions that the socket's buffer holds, and waits until they were read."""
        for begin in range(0, len(datagrams), 100):
            portion = datagrams[begin : begin + 100]
            expected = self.endpoint.datagrams + len(portion)
            sender.send(*portion)
            await self.drained(expected)

    async def open(self, stack: contextlib.AsyncExitStack) -> None:
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        self.port = bound.getsockname()[1]
        app = create_whip_app(self.whip)
        config = uvicorn.Config(
            app, http=WhipHttp, log_config=None, access_log=False, lifespan="off"
        )
        server = WhipServer(config)
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        await eventually(lambda: server.started)
        self.http = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{self.port}", timeout=30, verify=authorities()
            )
        )
        self.endpoint.start()

        async def end() -> None:
            server.should_exit = server.force_exit = True
            await serving
            self.receiver.close()

        stack.push_async_callback(end)
        self.ada = Voice(self, ADA)
        await self.ada.connect()
        self._talking = asyncio.create_task(self._talk())
        stack.push_async_callback(self._hush)

    async def _talk(self) -> None:
        """A packet each tick, and a check now and then, as clients do."""
        while True:
            self.ada.say()
            if self.ada.said % 100 == 0:
                self.ada.send(self.ada.check())
            await asyncio.sleep(TICK_SECONDS)

    async def _hush(self) -> None:
        self._talking.cancel()
        await asyncio.gather(self._talking, return_exceptions=True)
        for sock in (self.ada.socket,):
            sock.close()

    async def unharmed(self) -> None:
        """Every packet that Ada has said is in the journal once, and what she says next as well."""
        said = self.ada.said + 5
        await eventually(lambda: self.ada.said >= said)
        wanted = [b"%08d" % n for n in range(1, said + 1)]
        await eventually(lambda: len(self._heard()) >= said)
        assert self._heard()[:said] == wanted

    def _heard(self) -> list[bytes]:
        return [p.payload for p in self.journal.said(ADA)]


@contextlib.asynccontextmanager
async def arena_in(folder: Path) -> AsyncIterator[Arena]:
    arena = Arena(folder)
    async with contextlib.AsyncExitStack() as stack:
        await arena.open(stack)
        yield arena
        await arena.unharmed()
