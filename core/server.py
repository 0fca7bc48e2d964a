"""All our servers: uvicorn's, inside a process that has other things to do, and its HTTP protocol
on httptools, which bounds neither the size of a request's head nor the time to send one.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import ClassVar, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES: Final = 64 * 1024
"""Request line and header fields together; one read of the socket may come on top."""


TRANSPORT: Final = "encore.transport"
"""Among the scope's extensions: the connection, for an answer of many small pieces that begins
by ASGI (whose chunked encoding it goes on with) and is then written past it."""


class BoundedHttp(HttpToolsProtocol):
    """For `uvicorn.Config(http=...)`.

    A connection on which no whole request (head and body) comes in `request_seconds` is closed,
    one whose head grows past MAX_HEAD_BYTES answered with 400. Answers may take as long as they
    like: an event stream is no request.
    """

    request_seconds: ClassVar[float] = 30.0

    _deadline: asyncio.TimerHandle | None = None
    _in_head = True
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deadline is None:
            self._start()
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self.scope["extensions"] = {TRANSPORT: self.transport}  # type: ignore[dict-item]
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._stop()
        super().on_message_complete()

    def _start(self) -> None:
        self._deadline = self.loop.call_later(self.request_seconds, self._too_slow)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


class Server(uvicorn.Server):
    """Leaves signals to whoever runs this process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp,
    sock: socket.socket,
    *,
    http: type[BoundedHttp] = BoundedHttp,
    grace_s: int = 1,
) -> AsyncIterator[asyncio.Task[None]]:
    """Serves on `sock`, which is closed after it, as long as the block runs. What is open then is
    cut `grace_s` later. The task ends before where `app` did not start."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=grace_s,
        server_header=False,
        http=http,
        ws="none",
    )
    server = Server(config)
    running = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        while not server.started and not running.done():  # noqa: ASYNC110 - it signals nothing
            await asyncio.sleep(0.005)
        yield running
    finally:
        server.should_exit = True
        await running
