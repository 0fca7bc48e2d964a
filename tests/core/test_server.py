"""What a client may do to a server's memory and connections before it has asked for anything."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from starlette.types import Receive, Scope, Send

from core.server import MAX_HEAD_BYTES, TRANSPORT, BoundedHttp, serving

PATIENCE = 5.0
ONE_READ = 1 << 20


class Hasty(BoundedHttp):
    request_seconds = 0.15


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body's length, for `/slow` only after longer than a request may take."""
    assert scope["type"] == "http"
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["path"] == "/past":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        scope["extensions"][TRANSPORT].write(b"3\r\ntwo\r\n0\r\n\r\n")
        scope["extensions"][TRANSPORT].close()
        assert (await receive())["type"] == "http.disconnect"
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(Hasty.request_seconds * 2)
    body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    port = int(listening.getsockname()[1])
    async with serving(app, listening, http=Hasty):
        yield port


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Everything until the server ends the connection, which it must."""
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE)
    except ConnectionResetError:
        return b""


async def write_head_without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
    for _ in range(64 * ONE_READ // 1000):
        writer.write(b"X-A: " + b"a" * 1000 + b"\r\n")
        await writer.drain()


async def test_head_without_end_is_cut_off(port: int) -> None:
    _, writer = await connect(port)
    with pytest.raises(ConnectionError):
        await write_head_without_end(writer)
    writer.close()


async def test_large_head_is_refused(port: int) -> None:
    reader, writer = await connect(port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * (MAX_HEAD_BYTES + 1))
    assert (await rest(reader)).startswith(b"HTTP/1.1 400 ")
    writer.close()


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12",
        b"\r\n\r\n",
    ],
)
async def test_request_that_never_comes_ends_the_connection(port: int, begun: bytes) -> None:
    reader, writer = await connect(port)
    writer.write(begun)
    assert await rest(reader) == b""
    writer.close()


async def test_second_request_of_a_connection_has_its_own_time(port: int) -> None:
    reader, writer = await connect(port)
    for _ in range(2):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n0"), PATIENCE)
        assert answer.startswith(b"HTTP/1.1 200 ")
    writer.write(b"GET / HT")
    assert await rest(reader) == b""
    writer.close()


async def test_answers_may_take_longer_and_bodies_be_larger_than_a_head(port: int) -> None:
    reader, writer = await connect(port)
    size = MAX_HEAD_BYTES * 3
    head = f"POST /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
    writer.write(head.encode() + bytes(size))
    answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(str(size).encode())
    writer.close()


async def test_an_answer_goes_on_past_asgi(port: int) -> None:
    reader, writer = await connect(port)
    writer.write(b"GET /past HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await rest(reader)).endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    writer.close()
