"""`make fuzz`: a timed run of mutated inputs against a live receiver in which somebody speaks.

The corpus is what a client of the run itself has sent: checks, a handshake, packets, offers,
requests. A failure is an error in the log, an answer of 5xx, a packet of the speaker's that is
missing, or memory that grows with the inputs; the inputs of its round are kept in .cache/fuzz,
which tests/hostile/test_fuzz.py plays again.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pylibsrtp
from aioice import stun

from ingest.rtcp import SenderReport
from ingest.rtp import pack
from ingest.whip import FRAGMENT
from tests.hostile.arena import (
    EVE,
    MAX_DATAGRAM,
    OWN_ADDRESSES,
    ROOM,
    Arena,
    Knocker,
    Voice,
    arena_in,
    resident_kb,
    token,
)
from tests.hostile.shapes import SHAPES
from tests.ingest.client import LEVEL_ID, PAYLOAD_TYPE
from tests.ingest.offers import ICE
from tests.ingest.packing import pack_goodbye, pack_sender_report

FOUND: Final = Path(".cache/fuzz")
ROUND: Final = 200
"""Inputs after which the receiver is looked at."""
GROWTH_KB: Final = 65_536
"""How much a run may grow: what is bounded is filled once, however long it goes on."""


@dataclass(frozen=True, slots=True)
class Input:
    """`kind` says how `data` reaches the receiver: see Attacker's methods of these names."""

    kind: str
    data: bytes


class Attacker:
    """Eve with a session, and a stranger without one."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.stranger = Knocker(arena.endpoint.port, "127.0.0.66" if OWN_ADDRESSES else "127.0.0.1")
        self.eve = Voice(arena, EVE)
        self.half_open = Voice(arena, EVE)
        self.seq = 0
        self.ways: dict[str, Callable[[bytes], Awaitable[None]]] = {
            "stranger": self._stranger,
            "speaker": self._speaker,
            "handshake": self._handshake,
            "check": self._check,
            "rtp": self._rtp,
            "rtcp": self._rtcp,
            "offer": self._offer,
            "fragment": self._fragment,
            "http": self._http,
        }

    async def send(self, what: Input) -> None:
        await self._be_there()
        await self.ways[what.kind](what.data)

    async def _be_there(self) -> None:
        """Connects again after what has ended the session."""
        peers = self.arena.endpoint.peers
        if not self.eve.url or self.eve.peer not in peers:
            self.eve.socket.close()
            self.eve = Voice(self.arena, EVE)
            await self.eve.connect()

    async def _stranger(self, data: bytes) -> None:
        self.stranger.send(data[:MAX_DATAGRAM])

    async def _speaker(self, data: bytes) -> None:
        self.eve.send(data[:MAX_DATAGRAM])

    async def _handshake(self, data: bytes) -> None:
        """To a session whose client has checked, and not shaken hands."""
        if not self.half_open.url or self.half_open.peer not in self.arena.endpoint.peers:
            self.half_open.socket.close()
            self.half_open = Voice(self.arena, EVE)
            await self.half_open.open()
            await self.half_open.knock()
        self.half_open.send(data[:MAX_DATAGRAM])

    async def _check(self, attributes: bytes) -> None:
        """Authentic, whatever its attributes are."""
        known = self.eve.peer.credentials
        name = f"{known.ufrag}:{known.remote_ufrag}".encode()
        head = b"\x00\x06" + len(name).to_bytes(2, "big") + name + bytes(-len(name) % 4)
        body = head + attributes[:1200]
        body += bytes(-len(body) % 4)
        message = b"\x00\x01" + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42"
        message += hashlib.md5(attributes, usedforsecurity=False).digest()[:12] + body
        proof = stun.message_integrity(message, known.password.encode())
        whole = message + b"\x00\x08\x00\x14" + proof
        self.eve.send(whole[:2] + (len(whole) - 20).to_bytes(2, "big") + whole[4:])

    async def _rtp(self, plain: bytes) -> None:
        """Encrypted with Eve's key, where libsrtp takes it."""
        self.seq += 1
        srtp = self.eve.client._srtp
        packet = plain[:2] + (self.seq & 0xFFFF).to_bytes(2, "big") + plain[4:1400]
        if srtp is not None and len(packet) >= 12:
            self._say(lambda: bytes(srtp.protect(packet)))

    async def _rtcp(self, plain: bytes) -> None:
        if len(plain) >= 8:
            self._say(lambda: self.eve.client.rtcp(plain[:1400]))

    def _say(self, protect: Callable[[], bytes]) -> None:
        try:
            self.eve.send(protect())
        except (pylibsrtp.Error, ValueError, TypeError):
            return

    async def _offer(self, body: bytes) -> None:
        answer = await self.arena.post(body, bearer=token(EVE))
        assert answer.status_code < 500, answer.text

    async def _fragment(self, body: bytes) -> None:
        headers = {
            "Authorization": f"Bearer {token(EVE)}",
            "Content-Type": FRAGMENT,
            "If-Match": "*" if len(body) % 2 else f'"{self.eve.peer.etag}"',
        }
        answer = await self.arena.http.patch(self.eve.url, content=body, headers=headers)
        assert answer.status_code < 500, answer.text

    async def _http(self, raw: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.arena.port)
        try:
            writer.write(raw)
            writer.write_eof()
            head = await asyncio.wait_for(reader.read(64), 20)
            assert not head.startswith(b"HTTP/1.1 5"), head
        except ConnectionError:
            return
        finally:
            writer.transport.abort()

    def close(self) -> None:
        for knocker in (self.stranger, self.eve, self.half_open):
            knocker.socket.close()


async def corpus(attacker: Attacker) -> dict[str, list[bytes]]:
    """What real clients say, by the way it is sent."""
    await attacker._be_there()
    eve = attacker.eve
    hello = Voice(attacker.arena, EVE)
    flight = hello.client.step([])
    hello.socket.close()
    eve.client._ssl.send(b"data")
    records = eve.client._outgoing()
    rtp = [
        pack(
            payload_type=PAYLOAD_TYPE,
            seq=1,
            timestamp=n * 960,
            ssrc=n,
            payload=bytes(n),
            extensions=extensions,
        )
        for n in range(1, 30, 7)
        for extensions in (None, {LEVEL_ID: b"\x20"}, {LEVEL_ID: b"\x7f", 4: b"0"})
    ]
    report = pack_sender_report(SenderReport(77, 1 << 40, 960, 3, 9))
    rtcp = [report, report + pack_goodbye([1, 2]), b"\x81\xc9\x00\x07" + bytes(28)]
    checks = [eve.check(), eve.check(nominate=False)]
    attributes = [c[20 + 4 + 24 : -32] for c in checks] + [b"", b"\x80\x22\x00\x04abcd"]
    datagrams = [*checks, *flight, *records, eve.client.rtp(1, ssrc=5), eve.client.rtcp(report)]
    offers = [s.encode() for s in SHAPES.values()]
    head = f"POST /whip/{ROOM} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token(EVE)}\r\n"
    body = f"Content-Type: application/sdp\r\nContent-Length: {len(offers[0])}\r\n\r\n"
    return {
        "stranger": datagrams,
        "speaker": datagrams,
        "handshake": [*flight, *records],
        "check": attributes,
        "rtp": rtp,
        "rtcp": rtcp,
        "offer": offers,
        "fragment": [ICE.encode(), ICE.encode() + b"a=end-of-candidates\r\n"],
        "http": [head.encode() + body.encode() + offers[0], b"OPTIONS /whip/x HTTP/1.1\r\n\r\n"],
    }


WEIGHTS: Final = {"stranger": 8, "speaker": 8, "handshake": 6, "check": 6, "rtp": 8, "rtcp": 8}
"""Datagrams cost little: many of them. The other ways have one share each."""


def mutate(draw: random.Random, data: bytes) -> bytes:
    """One to eight changes: bits, bytes, lengths, pieces cut, doubled, moved, or made long."""
    body = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        at, size = draw.randrange(len(body) + 1), draw.choice((1, 2, 4, 16, 100))
        kind = draw.randrange(6)
        if kind == 0 and at < len(body):
            body[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            body[at : at + size] = draw.randbytes(size)
        elif kind == 2:
            del body[at : at + size]
        elif kind == 3:
            body[at:at] = body[max(0, at - size) : at]
        elif kind == 4:
            body[at : at + 2] = draw.choice((b"\x00\x00", b"\xff\xff", b"\x7f\xff", b"\r\n"))
        elif draw.random() < 0.2:
            body[at:at] = body[at : at + 1] * draw.choice((100, 2000, 70_000))
    return bytes(body)


def inputs(draw: random.Random, seeds: dict[str, list[bytes]]) -> Iterator[Input]:
    kinds = list(seeds)
    weights = [WEIGHTS.get(kind, 1) for kind in kinds]
    while True:
        (kind,) = draw.choices(kinds, weights)
        yield Input(kind, mutate(draw, draw.choice(seeds[kind])))


class Watch(logging.Handler):
    """Errors and tracebacks that the receiver logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.faults: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.faults.append(logging.Formatter().format(record))


@asynccontextmanager
async def attacked(folder: Path) -> AsyncIterator[tuple[Attacker, Watch]]:
    watch = Watch()
    logging.getLogger().addHandler(watch)
    try:
        async with arena_in(folder) as arena:
            arena.lift_limits()
            attacker = Attacker(arena)
            try:
                yield attacker, watch
            finally:
                attacker.close()
    finally:
        logging.getLogger().removeHandler(watch)


async def play(attacker: Attacker, watch: Watch, some: list[Input]) -> str:
    """What went wrong, or nothing."""
    try:
        for what in some:
            await attacker.send(what)
        await attacker.arena.unharmed()
    except AssertionError as error:
        return f"{error or 'a packet of the speaker is missing'}"
    return "\n".join(watch.faults)


def keep(some: list[Input], why: str) -> Path:
    FOUND.mkdir(parents=True, exist_ok=True)
    rows = [{"kind": i.kind, "data": base64.b64encode(i.data).decode()} for i in some]
    text = json.dumps({"why": why, "inputs": rows}, indent=1)
    path = FOUND / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
    path.write_text(text)
    return path


def kept(path: Path) -> list[Input]:
    rows = json.loads(path.read_text())["inputs"]
    return [Input(row["kind"], base64.b64decode(row["data"])) for row in rows]


async def fuzz(seconds: float, seed: int, folder: Path) -> tuple[Counter[str], list[Path]]:
    """How many inputs of each kind were sent, and the files of failures."""
    draw = random.Random(seed)  # noqa: S311 - to be repeated
    sent: Counter[str] = Counter()
    deadline = time.monotonic() + seconds
    async with attacked(folder) as (attacker, watch):
        flow = inputs(draw, await corpus(attacker))
        begin_kb = 0
        while time.monotonic() < deadline:
            some = [next(flow) for _ in range(ROUND)]
            why = await play(attacker, watch, some)
            sent.update(i.kind for i in some)
            begin_kb = begin_kb or resident_kb()
            if not why and resident_kb() - begin_kb > GROWTH_KB:
                why = f"grown by {resident_kb() - begin_kb} KB"
            if why:
                return sent, [keep(some, why)]
    return sent, []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    out = sys.stdout.write
    out(f"fuzz seed {seed}\n")
    with tempfile.TemporaryDirectory() as folder:
        sent, found = asyncio.run(fuzz(given.seconds, seed, Path(folder)))
    out("| way | inputs |\n|---|---:|\n")
    for kind, number in sorted(sent.items()):
        out(f"| {kind} | {number:,} |\n")
    for path in found:
        out(f"failed: {path}: {json.loads(path.read_text())['why'][:2000]}\n")
    out(f"fuzz inputs {sent.total()}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
