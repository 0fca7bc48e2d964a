"""The edge's HTTP server on raw sockets: order, bounds and ends of connections (RFC 9112)."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import httptools
import pytest

from replay.answers import Answer, Request, plain
from replay.http1 import MAX_AHEAD, MAX_BODY_BYTES, Bounds, Server
from tests.polling import until

PATIENCE = 10.0
LARGE = 8 << 20


class Echo:
    """Answers with the path; `/slow...` waits for `go`, `/large` is more than sockets hold."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked: list[Request] = []

    def ready(self, request: Request) -> Answer | None:
        self.asked.append(request)
        if request.path.startswith("/slow"):
            return None
        answer = plain(b"x" * LARGE if request.path == "/large" else request.path.encode())
        return answer.without_body() if request.method == "HEAD" else answer

    async def answer(self, request: Request) -> Answer:
        await self.go.wait()
        return plain(request.path.encode())


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def ask(self, path: str, *fields: str, method: str = "GET", version: str = "1.1") -> None:
        lines = [f"{method} {path} HTTP/{version}", "Host: edge.test", *fields, "", ""]
        self.writer.write("\r\n".join(lines).encode())

    async def answer(self, *, to_head: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Status, fields and body of the next answer."""
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.strip().split("\r\n")
            fields = dict(line.split(": ", 1) for line in lines)
            size = 0 if to_head else int(fields.get("content-length", "0"))
            return int(status.split()[1]), fields, await self.reader.readexactly(size)

    async def bodies(self, count: int) -> list[bytes]:
        return [(await self.answer())[2] for _ in range(count)]

    async def rest(self) -> bytes:
        """Everything until the server ends the connection, which it must."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


class Place:
    def __init__(self, server: Server, site: Echo, port: int) -> None:
        self.server, self.site, self.port = server, site, port
        self.clients: list[Client] = []

    async def client(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def asked(self, count: int) -> None:
        await until(lambda: len(self.site.asked) >= count)

    async def left(self) -> None:
        """No connection is open."""
        await until(lambda: not self.server.connections)


@contextlib.asynccontextmanager
async def serving(bounds: Bounds | None = None) -> AsyncIterator[Place]:
    site = Echo()
    server = Server(site, bounds or Bounds())
    loop = asyncio.get_running_loop()
    accepting = await loop.create_server(server.connection, "127.0.0.1", 0)
    ticking = asyncio.create_task(server.tick())
    place = Place(server, site, accepting.sockets[0].getsockname()[1])
    try:
        yield place
    finally:
        for client in place.clients:
            client.writer.transport.abort()
        accepting.close()
        await server.drain()
        ticking.cancel()


async def test_requests_sent_ahead_are_answered_in_their_order() -> None:
    async with serving() as place:
        client = await place.client()
        for path in ("/1", "/slow", "/2", "/slower", "/3"):
            client.ask(path)
        assert await client.bodies(1) == [b"/1"]
        place.site.go.set()
        assert await client.bodies(4) == [b"/slow", b"/2", b"/slower", b"/3"]
        client.ask("/again")
        assert await client.bodies(1) == [b"/again"]


async def test_a_request_in_single_bytes() -> None:
    async with serving() as place:
        client = await place.client()
        for byte in b"GET /a%20b?q=%20 HTTP/1.1\r\nHost: x\r\nRANGE: bytes=0-1\r\n\r\n":
            client.writer.write(bytes([byte]))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert await client.bodies(1) == [b"/a b"]
    [request] = place.site.asked
    assert (request.query, request.range, request.peer) == (b"q=%20", b"bytes=0-1", "127.0.0.1")


async def test_lists_in_several_lines_are_one_list() -> None:
    async with serving() as place:
        client = await place.client()
        client.ask("/", "Accept-Encoding: br", "Accept-Encoding: gzip;q=0.5")
        await client.answer()
    assert place.site.asked[0].accept_encoding == b"br, gzip;q=0.5"


async def test_head_has_the_length_and_no_body() -> None:
    async with serving() as place:
        client = await place.client()
        client.ask("/abc", method="HEAD")
        client.ask("/def")
        status, fields, _ = await client.answer(to_head=True)
        assert (status, fields["content-length"]) == (200, "4")
        assert fields["date"].endswith("GMT")
        assert await client.bodies(1) == [b"/def"]


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("1.1", ["Connection: close"]),
        ("1.0", []),
        ("1.0", ["Connection: keep-alive"]),
        ("1.1", ["Connection: Upgrade", "Upgrade: h2c"]),
    ],
)
async def test_after_the_last_answer_the_connection_ends(version: str, fields: list[str]) -> None:
    async with serving() as place:
        client = await place.client()
        client.ask("/1", *fields, version=version)
        client.ask("/2")
        _, answered, body = await client.answer()
        assert (answered["connection"], body) == ("close", b"/1")
        assert await client.rest() == b""


async def test_who_has_said_all_still_gets_the_answers() -> None:
    async with serving() as place:
        client = await place.client()
        client.ask("/slow")
        client.ask("/2")
        client.writer.write_eof()
        await place.asked(1)
        place.site.go.set()
        assert await client.bodies(2) == [b"/slow", b"/2"]
        assert await client.rest() == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"400",
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000, b"431"),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n"
            + b"a" * (MAX_BODY_BYTES + 1),
            b"413",
        ),
    ],
)
async def test_what_is_no_request_of_ours_ends_the_connection(sent: bytes, status: bytes) -> None:
    async with serving() as place:
        client = await place.client()
        client.writer.write(sent)
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in head
    assert b'"status": ' + status in body
    await place.left()


async def test_other_methods_are_answered_before_their_bodies() -> None:
    async with serving() as place:
        client = await place.client()
        client.ask("/1", "Content-Length: 1000000", "Expect: 100-continue", method="POST")
        _, fields, _ = await client.answer()
        assert fields["connection"] == "close"
    assert place.site.asked[0].method == "POST"


async def test_a_body_is_dropped() -> None:
    async with serving() as place:
        client = await place.client()
        client.ask("/1", "Content-Length: 30000")
        client.writer.write(b"GET /x" * 5000)
        client.ask("/2")
        assert await client.bodies(2) == [b"/1", b"/2"]


async def test_an_absolute_target_is_its_path() -> None:
    async with serving() as place:
        client = await place.client()
        client.ask("http://edge.test/1?a=b")
        assert await client.bodies(1) == [b"/1"]
    assert place.site.asked[0].query == b"a=b"


HASTY = Bounds(request_s=0.1, idle_s=0.1, stalled_s=0.1, linger_s=0.1, stop_s=0.1)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHo"])
async def test_a_request_that_does_not_come_ends_the_connection(sent: bytes) -> None:
    async with serving(HASTY) as place:
        client = await place.client()
        client.writer.write(sent)
        assert await client.rest() == b""


async def test_an_idle_connection_ends() -> None:
    async with serving(HASTY) as place:
        client = await place.client()
        client.ask("/1")
        assert await client.bodies(1) == [b"/1"]
        assert await client.rest() == b""


async def test_one_who_does_not_read_is_neither_read_nor_kept() -> None:
    async with serving(HASTY) as place:
        client = await place.client()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(100):
            client.ask("/large")
        await place.asked(1)
        await place.left()
        assert len(place.site.asked) < 10


async def test_one_who_reads_slowly_is_kept() -> None:
    async with serving(HASTY) as place:
        client = await place.client()
        client.ask("/large", "Connection: close")
        got = 0
        while data := await client.reader.read(1 << 18):
            got += len(data)
            await asyncio.sleep(0.01)
        assert got > LARGE


async def test_too_many_requests_ahead_end_the_connection() -> None:
    async with serving() as place:
        client = await place.client()
        request = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
        client.writer.write(request % b"slow" + request % b"1" * (MAX_AHEAD + 1))
        assert await client.rest() == b""


async def test_too_many_connections_are_refused() -> None:
    async with serving(Bounds(connections=1)) as place:
        first = await place.client()
        first.ask("/1")
        assert await first.bodies(1) == [b"/1"]
        status, fields, _ = await (await place.client()).answer()
        assert (status, fields["connection"], fields["retry-after"]) == (503, "close", "1")
        first.ask("/2")
        assert await first.bodies(1) == [b"/2"]


async def test_stopping_answers_what_was_asked_and_closes_the_idle() -> None:
    async with serving() as place:
        idle, busy = await place.client(), await place.client()
        for client in (idle, busy):
            client.ask("/1")
            await client.answer()
        busy.ask("/slow")
        await place.asked(3)
        draining = asyncio.create_task(place.server.drain())
        assert await idle.rest() == b""
        place.site.go.set()
        _, fields, body = await busy.answer()
        assert (fields["connection"], body) == ("close", b"/slow")
        assert await busy.rest() == b""
        busy.writer.close()
        await asyncio.wait_for(draining, PATIENCE)


async def test_a_reset_while_an_answer_is_made() -> None:
    async with serving() as place:
        client = await place.client()
        client.ask("/slow")
        await place.asked(1)
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        client.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger
        )
        client.writer.transport.abort()
        await place.left()


def test_the_parser_reports_what_the_server_relies_on() -> None:
    """httptools wraps what a callback raises, and keeps it as the context."""

    class Callbacks:
        def on_headers_complete(self) -> None:
            raise LookupError

    parser = httptools.HttpRequestParser(Callbacks())
    with pytest.raises(httptools.HttpParserCallbackError) as raised:
        parser.feed_data(b"GET / HTTP/1.1\r\n\r\n")
    assert isinstance(raised.value.__context__, LookupError)
