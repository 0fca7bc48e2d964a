"""WHIP over HTTP: every wrong request gets a problem with a stable code, or its connection closed;
a body is refused while it comes, and never read before its sender is known to be on stage.
"""

import asyncio
import logging
import tracemalloc
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from core.buckets import REMEMBERED_KEYS
from ingest.admission import ADDRESS, CHANGES, SESSIONS
from ingest.receive import WhipHttp
from ingest.sdp import MAX_SDP_BYTES
from ingest.whip import FRAGMENT, SDP
from tests.hostile.arena import EVE, ROOM, Arena, Voice, token
from tests.ingest.offers import CHROME
from tests.ingest.receiving import eventually
from tests.ingest.test_live_room import ADA, BEN

PROBLEM = "application/problem+json"


class Wire:
    """A TCP connection on which anything may be said."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def head(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)

    async def rest(self) -> bytes:
        """What comes until the server closes."""
        return await asyncio.wait_for(self.reader.read(-1), 10)


def post_head(bearer: str, *more: str) -> bytes:
    lines = [f"POST /whip/{ROOM} HTTP/1.1", "Host: x", f"Authorization: Bearer {bearer}"]
    return "\r\n".join([*lines, f"Content-Type: {SDP}", *more, "", ""]).encode()


Connect = Callable[[], "asyncio.Future[Wire]"]


@pytest.fixture
async def wires(arena: Arena) -> AsyncIterator[Connect]:
    opened: list[Wire] = []

    async def connect() -> Wire:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", arena.port))
        opened.append(wire)
        return wire

    yield lambda: asyncio.ensure_future(connect())
    for wire in opened:
        wire.writer.transport.abort()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"/whip/{ROOM}", 405, "method_not_allowed"),
        ("PUT", f"/whip/{ROOM}", 405, "method_not_allowed"),
        ("POST", f"/whip/{ROOM}/x", 405, "method_not_allowed"),
        ("POST", "/whip/nonsense", 422, "invalid"),
        ("POST", f"/whip/{ROOM}%00", 422, "invalid"),
        ("POST", "/whip/../../etc/passwd", 404, "not_found"),
        ("DELETE", f"/whip/{ROOM}/..%2f..%2fsessions", 404, "not_found"),
        ("DELETE", f"/whip/{ROOM}/../{ROOM}", 404, "not_found"),
        ("DELETE", f"/whip/{ROOM}/.", 404, "not_found"),
        ("GET", "/metrics/../../x", 404, "not_found"),
    ],
)
async def test_wrong_methods_and_paths(
    arena: Arena, method: str, path: str, status: int, code: str
) -> None:
    answer = await arena.http.request(
        method, path, headers={"Authorization": f"Bearer {token(ADA)}"}
    )
    assert answer.headers["content-type"] == PROBLEM
    if code == "not_found":
        assert answer.json()["code"] in ("not_found", "session_not_found", "method_not_allowed")
        assert answer.status_code in (404, 405)
        return
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("given", ["", "text/plain", "application/sdp2", FRAGMENT, "a" * 99])
async def test_other_content_types_are_not_read(arena: Arena, given: str) -> None:
    answer = await arena.post(CHROME, bearer=token(ADA), **{"Content-Type": given})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_a_body_that_says_it_is_large_is_refused_unread(arena: Arena, wires: Connect) -> None:
    wire = await wires()
    await wire.say(post_head(token(ADA), "Content-Length: 99999999999999999999"))
    assert (await wire.head()).startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 "))
    wire = await wires()
    await wire.say(post_head(token(ADA), f"Content-Length: {MAX_SDP_BYTES + 1}"))
    assert (await wire.head()).startswith(b"HTTP/1.1 413 ")


async def test_a_chunked_body_without_end_is_refused_while_it_comes(
    arena: Arena, wires: Connect
) -> None:
    """8 MB are sent; what is held stays near the limit of an offer."""
    wire = await wires()
    chunk = b"4000\r\n" + b"a" * 0x4000 + b"\r\n"
    tracemalloc.start()
    try:
        await wire.say(post_head(token(ADA), "Transfer-Encoding: chunked"), *[chunk] * 512)
        head = await wire.head()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert head.startswith(b"HTTP/1.1 413 ")
    assert peak < 512 * len(chunk) / 4


async def test_a_listeners_body_is_not_read(arena: Arena, wires: Connect) -> None:
    """He is refused by what is known of him: his offer has not even come."""
    wire = await wires()
    await wire.say(post_head(token(BEN), "Content-Length: 5000"))
    assert (await wire.head()).startswith(b"HTTP/1.1 403 ")
    assert arena.refreshed == 1


async def test_a_client_that_goes_in_the_middle_of_its_body_leaves_no_traceback(
    arena: Arena, wires: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            wire = await wires()
            await wire.say(post_head(token(EVE), "Content-Length: 5000"), b"v=0")
            await eventually(lambda: arena.whip.admission is not None)
            wire.writer.transport.abort()
        assert (await arena.post(bearer=token(EVE))).status_code == 201
    assert "Traceback" not in caplog.text
    assert "Exception" not in caplog.text


async def test_a_body_that_trickles_is_cut_off(
    arena: Arena, wires: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection's time for one request is a setting of the server: here it is short."""
    monkeypatch.setattr(WhipHttp, "request_seconds", 0.3)
    wire = await wires()
    await wire.say(post_head(token(EVE), "Content-Length: 5000"), b"v=0\r\n")
    assert await wire.rest() == b""


async def test_chunks_that_lie_are_refused(arena: Arena, wires: Connect) -> None:
    for lie in (
        b"zz\r\nv=0\r\n",
        b"-5\r\n",
        b"fffffffffffffffff\r\n",
        b"5\r\nv=0\r\n0\r\n\r\n\r\n",
    ):
        wire = await wires()
        await wire.say(post_head(token(EVE), "Transfer-Encoding: chunked"), lie)
        assert (await wire.head()).startswith(b"HTTP/1.1 400 ")


async def test_heads_that_lie_or_never_end_are_refused(arena: Arena, wires: Connect) -> None:
    for lie in (
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST /whip/x HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000,
    ):
        wire = await wires()
        await wire.say(lie)
        assert (await wire.head()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("bearer", [":", "x", "a.b.c", "..", "x" * 20_000, "é" * 9, "e30.e30.e30"])
async def test_what_is_no_token_is_unauthenticated(arena: Arena, bearer: str) -> None:
    headers = {b"Authorization": f"Bearer {bearer}".encode("latin-1"), b"Content-Type": b"x"}
    answer = await arena.http.post(f"/whip/{ROOM}", content=CHROME, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["code"] in ("room_token_invalid", "unauthenticated")


async def test_sessions_are_asked_for_so_often_and_then_later(arena: Arena) -> None:
    """Per participant: the others in the room go on as before."""
    arena.stop_the_clock_of_limits()
    for _ in range(SESSIONS.burst - 1):
        arena.whip.admission.buckets.take(SESSIONS, str(EVE))
    assert (await arena.post(bearer=token(EVE))).status_code == 201
    refused = await arena.post(bearer=token(EVE))
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "2"
    assert refused.headers["access-control-allow-origin"] == "*"
    assert (await arena.post(bearer=token(ADA))).status_code == 201


async def test_changes_of_a_session_are_bounded_too(arena: Arena, eve: Voice) -> None:
    arena.stop_the_clock_of_limits()
    for _ in range(CHANGES.burst - 1):
        arena.whip.admission.buckets.take(CHANGES, str(EVE))
    headers = {"Authorization": f"Bearer {token(EVE)}", "Content-Type": FRAGMENT}
    assert (await arena.http.patch(eve.url, content="", headers=headers)).status_code == 428
    assert (await arena.http.patch(eve.url, content="", headers=headers)).status_code == 429


async def test_many_people_of_one_address_are_bounded(arena: Arena) -> None:
    """Behind a trusted proxy the address is the one that it names."""
    here = {"X-Forwarded-For": "203.0.113.9"}
    arena.stop_the_clock_of_limits()
    for _ in range(ADDRESS.burst):
        arena.whip.admission.buckets.take(ADDRESS, "203.0.113.9")
    refused = await arena.post(bearer=token(EVE), **here)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    elsewhere = await arena.post(bearer=token(EVE), **{"X-Forwarded-For": "203.0.113.10"})
    assert elsewhere.status_code == 201
    assert (await arena.post(bearer="forged", **here)).status_code == 401, "costs no attempt"


async def test_what_is_remembered_of_participants_is_bounded(arena: Arena) -> None:
    admission = arena.whip.admission
    for _ in range(REMEMBERED_KEYS + 100):
        admission.buckets.take(SESSIONS, str(uuid4()))
    assert len(admission.buckets) == REMEMBERED_KEYS


async def test_session_ids_cannot_be_guessed_or_told_apart(arena: Arena, eve: Voice) -> None:
    """One that exists and one that does not answer alike to whoever has no right to it."""
    ada = arena.ada.url
    for bearer, code in ((token(EVE), "session_not_found"), ("forged", "room_token_invalid")):
        headers = {"Authorization": f"Bearer {bearer}"}
        answers = [
            await arena.http.delete(url, headers=headers)
            for url in (ada, ada[:-1] + ("A" if ada[-1] != "A" else "B"), ada + "x" * 500)
        ]
        assert {a.json()["code"] for a in answers} == {code}
    assert len(arena.ada.peer.session_id) >= 22, "128 random bits"
    assert arena.ada.peer in arena.endpoint.peers


async def test_connections_beyond_the_bound_are_closed(
    arena: Arena, wires: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WhipHttp, "max_connections", 20)
    held = [await wires() for _ in range(60)]
    closed = [asyncio.ensure_future(w.reader.read(1)) for w in held]
    await eventually(lambda: sum(c.done() for c in closed) >= 40)
    assert sum(c.done() for c in closed) < 60
    for waiting in closed:
        waiting.cancel()
    await asyncio.gather(*closed, return_exceptions=True)
