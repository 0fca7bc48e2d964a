"""Who tips in bench/tips.py: clients in two processes, each of which waits for every answer."""

import asyncio
import json
import multiprocessing
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import uvloop

from bench.tips_hall import TERMS, Hall, Payer
from core.db import Database
from payouts.limits import Caps
from payouts.tip_jar import TipJar
from payouts.tip_wishes import Asked, TipWish
from rooms.models import Room
from web.processes import spare_the_collector

PROCESSES: Final = 2
CLIENTS: Final = 8
"""In each process."""

MESSAGE: Final = "That was worth coming for."
STARS: Final = 25
CAPS: Final = Caps(10**9, 10**9)
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: (\d+)")

Send = Callable[[Payer, UUID], Awaitable[None]]
"""Tips a room, and returns once that is answered."""


@dataclass(frozen=True)
class Load:
    """`web`: the base URL of the API, or None for the service itself, in the load's process.
    `hot`: all to the first room."""

    database_url: str
    hall: Hall
    seconds: float
    web: str | None = None
    hot: bool = False


@dataclass(frozen=True)
class Done:
    tips: int
    seconds: float
    before: int
    """Tips by which connections were made, as pgbench makes its own before it counts."""


async def tip_all(load: Load) -> list[Done]:
    """What each process did."""
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[Done] = context.Queue()
    processes = [
        context.Process(target=_process, args=(load, number, told)) for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    done = [await asyncio.to_thread(told.get) for _ in processes]
    for process in processes:
        await asyncio.to_thread(process.join)
    return done


def _process(load: Load, number: int, told: "multiprocessing.Queue[Done]") -> None:
    spare_the_collector()  # as every process of Encore does
    told.put(uvloop.run(_run(load, number)))


async def _run(load: Load, number: int) -> Done:
    database = Database(load.database_url)
    if load.web is None:
        sends = [await _service(database, load.hall)] * CLIENTS
    else:
        sends = [await _http(load.web) for _ in range(CLIENTS)]
    turns = count(number, PROCESSES)
    for send in sends[:1] if load.web is None else sends:
        await send(load.hall.payers[number], load.hall.rooms[number])
    before = 1 if load.web is None else CLIENTS
    tips, began = 0, time.monotonic()

    async def client(send: Send) -> None:
        nonlocal tips
        while time.monotonic() - began < load.seconds:
            turn = next(turns)
            room = load.hall.rooms[0 if load.hot else turn % len(load.hall.rooms)]
            await send(load.hall.payers[turn % len(load.hall.payers)], room)
            tips += 1

    await asyncio.gather(*map(client, sends))
    seconds = time.monotonic() - began
    await database.close()
    return Done(tips, seconds, before)


async def _service(database: Database, hall: Hall) -> Send:
    """The tip jar of a web process, behind the request's own look at who may tip the room."""
    jar = TipJar(database, TERMS, CAPS)
    async with database.transaction() as session:
        rooms = {room_id: await session.get_one(Room, room_id) for room_id in hall.rooms}

    async def send(payer: Payer, room_id: UUID) -> None:
        wish = TipWish(uuid4().hex, STARS, MESSAGE)
        await jar.send(Asked.of(payer.principal, rooms[room_id], wish, message=MESSAGE))

    return send


async def _http(web: str) -> Send:
    """One kept connection."""
    url = urlsplit(web)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)

    async def send(payer: Payer, room_id: UUID) -> None:
        body = json.dumps({"client_key": uuid4().hex, "stars": STARS, "message": MESSAGE})
        head = (
            f"POST /v1/rooms/{room_id}/tips HTTP/1.1\r\nHost: {url.netloc}\r\n"
            f"Authorization: Bearer {payer.token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write((head + body).encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(answer)
        said = await reader.readexactly(int(length[1]) if length else 0)
        if not answer.startswith(b"HTTP/1.1 201"):
            raise AssertionError(said.decode())

    return send
