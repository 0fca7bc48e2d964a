"""A platform's server: answers what it is told to, keeps what it got."""

import asyncio
import json
import ssl
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Received:
    request_line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.body)
        return loaded


@dataclass
class Receiver:
    """HTTP/1.1 on loopback. `answer` is sent for every request; empty: it never answers."""

    answer: bytes = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"
    tls: ssl.SSLContext | None = None
    received: list[Received] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}/hook?x=1"

    def status(self, code: int, *headers: str) -> None:
        lines = [f"HTTP/1.1 {code} Because", "content-length: 0", *headers]
        self.answer = ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def __aenter__(self) -> "Receiver":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            lowered = {name.lower(): value for name, value in headers.items()}
            body = await reader.readexactly(int(lowered["content-length"]))
            self.received.append(Received(head[0], lowered, body))
            writer.write(self.answer)
            await writer.drain()
            if not self.answer:
                await reader.read()  # until the caller gives up
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
