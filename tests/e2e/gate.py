"""A TCP port that leads to another while it is open: a service that goes away and comes back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

CHUNK_BYTES = 1 << 16


class Gate:
    """Connections to `port` reach `target_port` (both on loopback) until `close`."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def open(self) -> None:
        """Listens, each time on the port of the first time."""
        self._server = await asyncio.start_server(self._lead, "127.0.0.1", self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Refuses from now on, and cuts what is under way."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            onward, back = await asyncio.open_connection("127.0.0.1", self._target_port)
            await asyncio.gather(self._copy(reader, back), self._copy(onward, writer))

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        self._open.add(target)
        try:
            with contextlib.suppress(OSError):
                while chunk := await source.read(CHUNK_BYTES):
                    target.write(chunk)
                    await target.drain()
        finally:
            self._open.discard(target)
            target.close()


@contextlib.asynccontextmanager
async def gate_to(target_port: int) -> AsyncIterator[Gate]:
    gate = Gate(target_port)
    await gate.open()
    try:
        yield gate
    finally:
        await gate.close()
