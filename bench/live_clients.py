"""Listeners by the thousand in one process: HLS players on keep-alive connections, and streams of
the room's events. Started by bench/live.py, which says on stdin what to do; answers are lines of
JSON on stdout.

    {"do": "stream", ...}   opens the event streams, a few at a time; they stay
    {"do": "join", ...}     players connect and begin to play; answered once all have warmed up
    {"do": "count", ...}    tells how long answers and events took for so many seconds
    {"do": "leave"}         the players go
"""

import asyncio
import base64
import json
import random
import re
import sys
import time
import zlib
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, cast

import uvloop

TARGET_SECONDS: Final = 2.0
JOIN_AT_ONCE: Final = 25
LOOK_EVERY: Final = 0.02
"""Seconds between looks at how late this process itself is."""

EVENT_MARK: Final = b'"bench_at":'
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")
_ETAG = re.compile(rb'(?i)\r\netag: "([^"]+)"')
_NUMBER = re.compile(rb"[0-9.]+")


@dataclass
class Tally:
    """Seconds that answers took, by kind, and what went wrong."""

    took: dict[str, "array[float]"] = field(
        default_factory=lambda: {"playlist": array("d"), "segment": array("d")}
    )
    wrong: Counter[str] = field(default_factory=Counter)
    counting: bool = False
    names: dict[bytes, list[bytes]] = field(default_factory=dict)
    """The segments that a version of a playlist lists, by its ETag: read once."""

    def told(self) -> dict[str, Any]:
        took = {kind: packed(seconds) for kind, seconds in self.took.items()}
        return {"took": took, "wrong": dict(self.wrong)}

    def start(self) -> None:
        self.took = {kind: array("d") for kind in self.took}
        self.wrong.clear()
        self.counting = True


def packed(seconds: "array[float]") -> str:
    """Doubles as they lie in memory, in base64: parsing numbers would hold up who asks."""
    return base64.b64encode(seconds.tobytes()).decode()


class Player(asyncio.Protocol):
    """Polls a playlist once per target duration and gets each new segment once."""

    def __init__(self, tally: Tally, folder: str, *, from_start: bool) -> None:
        self._tally = tally
        self._folder = folder.encode()
        self._name = b"index.m3u8" if from_start else b"live.m3u8"
        self._delta = b""
        self._from_start = from_start
        self._transport: asyncio.Transport | None = None
        self._wanted: list[bytes] = []
        self._last = b""
        self._busy = False
        self._is_playlist = False
        self._asked_at = 0.0
        self._head = b""
        self._body: list[bytes] = []
        self._left = -1
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed:
            self.closed = True
            self._tally.wrong["connection lost"] += 1

    def close(self) -> None:
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def poll(self) -> None:
        if self.closed:
            return
        asyncio.get_running_loop().call_later(TARGET_SECONDS, self.poll)
        if self._busy:
            self._tally.wrong["slower than the poll"] += 1
            return
        self._ask(self._name + self._delta, playlist=True)

    def _ask(self, name: bytes, *, playlist: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._busy, self._is_playlist = True, playlist
        self._head, self._left = b"", -1
        self._body.clear()
        self._transport.write(
            b"GET %s%s HTTP/1.1\r\nHost: encore.test\r\nUser-Agent: bench\r\nAccept: */*\r\n"
            b"Accept-Encoding: gzip, deflate, br\r\nOrigin: http://player.test\r\n\r\n"
            % (self._folder, name)
        )
        self._asked_at = time.perf_counter()

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._head, 0, end + 2)
            self._left = int(length[1]) if length else 0
            data = self._head[end + 4 :]
        self._left -= len(data)
        if self._is_playlist:
            self._body.append(data)
        if self._left <= 0:
            self._done()

    def _done(self) -> None:
        tally = self._tally
        self._busy = False
        if tally.counting:
            kind = "playlist" if self._is_playlist else "segment"
            tally.took[kind].append(time.perf_counter() - self._asked_at)
        if self._head[9:12] != b"200":
            tally.wrong[f"status {self._head[9:12].decode()}"] += 1
            return
        if self._is_playlist:
            self._read_playlist()
        if self._wanted:
            self._ask(self._wanted.pop(0), playlist=False)

    def _read_playlist(self) -> None:
        found = _ETAG.search(self._head)
        etag = found[1] if found else b""
        names = self._tally.names.get(etag)
        if names is None:
            names = self._tally.names[etag] = _listed(b"".join(self._body))
        if self._from_start:
            self._delta = b"?_HLS_skip=YES"
        if not self._last:
            self._wanted = names[-1:]
        elif self._last in names:
            self._wanted = names[names.index(self._last) + 1 :]
        else:
            self._tally.wrong["segments missed"] += 1
            self._wanted = names[-1:]
        self._last = names[-1]


def _listed(body: bytes) -> list[bytes]:
    """The last segments that a playlist names; gzip as it came."""
    text = zlib.decompress(body, 31) if body[:2] == b"\x1f\x8b" else body
    return [line for line in text.splitlines()[-400:] if line.endswith(b".m4s")]


class Audience(asyncio.Protocol):
    """One stream of the room's events."""

    def __init__(self, house: "Listeners", token: str, address: str) -> None:
        self._house = house
        self._request = (
            f"GET {house.path} HTTP/1.1\r\nHost: encore.test\r\nAccept: text/event-stream\r\n"
            f"Authorization: Bearer {token}\r\nX-Forwarded-For: {address}\r\n\r\n"
        ).encode()
        self._asked_at = 0.0
        self.open = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)
        self._asked_at = time.perf_counter()

    def data_received(self, data: bytes) -> None:
        if not self.open.done():
            self._house.opened.append(time.perf_counter() - self._asked_at)
            if data[9:12] != b"200":
                self._house.wrong[f"status {data[9:12].decode()}"] += 1
            self.open.set_result(None)
        self._house.frames += data.count(b"data: ")
        at = data.find(EVENT_MARK)
        if at >= 0:
            sent = _NUMBER.match(data, at + len(EVENT_MARK))
            if sent is not None:
                self._house.took.append(time.time() - float(sent[0]))
        if b"event: bye" in data:
            self._house.wrong["bye"] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._house.wrong["stream lost"] += 1
        if not self.open.done():
            self.open.set_result(None)


@dataclass
class Listeners:
    """What all streams of this process have seen."""

    path: str
    opened: "array[float]" = field(default_factory=lambda: array("d"))
    took: "array[float]" = field(default_factory=lambda: array("d"))
    wrong: Counter[str] = field(default_factory=Counter)
    frames: int = 0

    def told(self) -> dict[str, Any]:
        answer = {"took": packed(self.took), "wrong": dict(self.wrong), "frames": self.frames}
        self.took = array("d")
        self.wrong.clear()
        self.frames = 0
        return answer


async def stream(order: dict[str, Any]) -> Listeners:
    """Opens the streams, `at_once` at a time, and leaves them open."""
    house = Listeners(order["path"])
    loop = asyncio.get_running_loop()
    turns = asyncio.Semaphore(order["at_once"])

    async def one(number: int, token: str) -> None:
        address = f"10.{order['process']}.{number >> 8}.{number & 255}"
        async with turns:
            _, audience = await loop.create_connection(
                lambda: Audience(house, token, address), order["host"], order["port"]
            )
            await audience.open

    await asyncio.gather(*(one(number, token) for number, token in enumerate(order["tokens"])))
    return house


@dataclass
class Band:
    """The players of this process, while they play."""

    tally: Tally = field(default_factory=Tally)
    players: list[Player] = field(default_factory=list)

    async def join(self, order: dict[str, Any]) -> None:
        """Connects a few at a time; each begins to poll at a phase of its own."""
        loop = asyncio.get_running_loop()
        turns = asyncio.Semaphore(JOIN_AT_ONCE)

        async def one(number: int) -> None:
            first = number % 100 < order["from_start"]
            player = Player(self.tally, order["folder"], from_start=first)
            async with turns:
                await loop.create_connection(lambda: player, order["host"], order["port"])
            self.players.append(player)
            loop.call_later(random.random() * TARGET_SECONDS, player.poll)  # noqa: S311 - phase

        await asyncio.gather(*(one(number) for number in range(order["players"])))
        await asyncio.sleep(order["warm_s"])

    async def leave(self) -> None:
        for player in self.players:
            player.close()
        self.players.clear()
        self.tally = Tally()
        await asyncio.sleep(0.2)


async def count(order: dict[str, Any], band: Band, house: Listeners) -> dict[str, Any]:
    """What `seconds` brought; `late` is this process's own delay, a part of all that it saw."""
    late = array("d")
    loop = asyncio.get_running_loop()
    band.tally.start()
    house.told()
    end = loop.time() + order["seconds"]
    while (now := loop.time()) < end:
        await asyncio.sleep(LOOK_EVERY)
        late.append(loop.time() - now - LOOK_EVERY)
    band.tally.counting = False
    return band.tally.told() | {"events": house.told(), "late": packed(late)}


async def main() -> None:
    loop = asyncio.get_running_loop()
    house, band = Listeners(""), Band()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        answer: dict[str, Any] = {}
        match order["do"]:
            case "stream":
                house = await stream(order)
                answer = {"took": packed(house.opened), "wrong": dict(house.wrong)}
                house.wrong.clear()
            case "join":
                await band.join(order)
                answer = {"wrong": dict(band.tally.wrong)}
            case "count":
                answer = await count(order, band, house)
            case "leave":
                await band.leave()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
