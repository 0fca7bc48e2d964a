"""A stream's outlet that keeps what is written, in place of a connection."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from rooms.feed import FeedHub
from rooms.models import Room
from rooms.sse import missed
from rooms.stream import CallerAgain, Stream


class Tape:
    """`unsent` is what the test says that the client has yet to take."""

    def __init__(self) -> None:
        self.unsent = 0
        self.ended = False
        self.aborted = False
        self.texts: asyncio.Queue[str] = asyncio.Queue()

    def write(self, data: bytes) -> None:
        size, _, rest = data.partition(b"\r\n")
        text = rest[: int(size, 16)]
        assert rest == text + b"\r\n"
        self.texts.put_nowait(text.decode())

    def end(self, data: bytes) -> None:
        assert data.endswith(b"\r\n0\r\n\r\n")
        self.write(data.removesuffix(b"0\r\n\r\n"))
        self.ended = True

    def abort(self) -> None:
        self.aborted = True

    async def next(self) -> str:
        return await asyncio.wait_for(self.texts.get(), 10)

    async def durable(self) -> int:
        """The number of the next durable event."""
        while True:
            if found := re.match("id: ([0-9]+)\n", await self.next()):
                return int(found[1])

    async def shows(self, wanted: str) -> None:
        while wanted not in await self.next():
            pass


def stranger(room: Room) -> CallerAgain:
    async def again(_: AsyncSession) -> Principal:
        return Principal(platform_id=room.platform_id)

    return again


@contextlib.asynccontextmanager
async def listening(hub: FeedHub, room: Room) -> AsyncIterator[Tape]:
    """From now on."""
    async with hub.open(room.id, stranger(room)) as stream:
        stream.sent = stream.head
        stream.attach(tape := Tape())
        yield tape


async def ids_of(hub: FeedHub, room: Room, after: int, last: int) -> list[int]:
    """What a client that has `after` is sent up to `last`."""
    async with hub.open(room.id, stranger(room)) as stream:
        stream.sent = after
        seen = await _caught_up(hub, room, stream)
        stream.attach(tape := Tape())
        while not seen or seen[-1] < last:
            seen.append(await tape.durable())
    return seen


async def texts_of(hub: FeedHub, room: Room) -> str:
    """All that a client is sent who was never there before."""
    async with hub.open(room.id, stranger(room)) as stream:
        return b"".join([text async for text in missed(hub, room.id, stream)]).decode()


async def _caught_up(hub: FeedHub, room: Room, stream: Stream) -> list[int]:
    texts = [text async for text in missed(hub, room.id, stream)]
    return [int(n) for n in re.findall(rb"^id: ([0-9]+)$", b"".join(texts), re.MULTILINE)]
