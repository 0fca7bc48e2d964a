"""HTTP: a room's events as they happen (server-sent events, WHATWG HTML 9.2).

Durable events carry `id: <seq>` and are resumed after it; ephemeral ones carry none and are
never resumed. Credential and access are asked again when the room or the caller's place in it
changes, and every minute.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Receive, Scope, Send

from core.auth.credentials import Credential, authenticate
from core.auth.dependencies import CallerDep, presented
from core.auth.documented import problems
from core.auth.principal import Principal
from core.errors import Invalid, NotFound, TooManyRequests, Unauthenticated
from core.http import Services, ServicesDep
from core.ratelimit import rate_limit
from core.server import TRANSPORT
from rooms.feed import FeedHub
from rooms.frames import RETRY, Frame
from rooms.limits import STREAM
from rooms.models import RoomState
from rooms.schemas import LAST_SEEN
from rooms.stream import CallerAgain, Stream

router = APIRouter(prefix="/v1")

MAX_SEQ = 2**62
SEQ = re.compile("[0-9]{1,19}")
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who watches, and how to ask again later."""

    principal: Principal
    again: CallerAgain
    hears: bool


class Connection:
    """The outlet of a stream: the connection below our servers' answer, past ASGI."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    @property
    def unsent(self) -> int:
        return self._transport.get_write_buffer_size()

    @property
    def closed(self) -> bool:
        return self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def end(self, data: bytes) -> None:
        self.write(data)
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


class EventStream(StreamingResponse):
    """Catches up as any answer does; then the room's feed writes to the connection itself, and
    the request waits for its end."""

    media_type = "text/event-stream"

    def __init__(self, hub: FeedHub, room_id: UUID, after: int, viewer: Viewer) -> None:
        super().__init__(iter(()), headers=HEADERS)
        self._hub = hub
        self._room_id = room_id
        self._after = after
        self._viewer = viewer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope["extensions"][TRANSPORT])
        begin = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        viewer = self._viewer
        async with self._hub.open(
            self._room_id, viewer.again, user_id=viewer.principal.user_id, hears=viewer.hears
        ) as stream:
            await send(begin)
            await send({"type": "http.response.body", "body": RETRY, "more_body": True})
            stream.sent = self._after
            async for text in missed(self._hub, self._room_id, stream):
                if connection.closed:
                    return
                await send({"type": "http.response.body", "body": text, "more_body": True})
            stream.attach(connection)
            while (await receive())["type"] != "http.disconnect":
                pass


async def missed(hub: FeedHub, room_id: UUID, stream: Stream) -> AsyncIterator[bytes]:
    """Events above what was sent, up to the stream's head: from memory, else in pages."""
    recent, stream.recent = stream.recent, ()
    first = (recent[0].seq if recent else None) or stream.head + 1
    upto = min(first - 1, stream.head)
    while stream.sent < upto:
        page = await hub.backlog.after(room_id, stream.sent, upto=upto)
        if not page:
            break
        yield _text(stream, page)
    yield _text(stream, recent)


def _text(stream: Stream, frames: Sequence[Frame]) -> bytes:
    """Those that the stream has not sent yet; now it has."""
    news = [frame for frame in frames if stream.sent < (frame.seq or 0) <= stream.head]
    for frame in news:
        stream.note(frame)
    return b"".join(frame.told(hears=stream.hears) for frame in news)


async def feed_hub(request: Request) -> FeedHub:
    """The process's own, made with the first stream."""
    state = request.app.state
    if not hasattr(state, "feed_hub"):
        services: Services = state.services
        state.feed_hub = FeedHub(services.database, services.listener)
    hub: FeedHub = state.feed_hub
    return hub


@router.get(
    "/rooms/{room_id}/events",
    tags=["events"],
    summary="Stream a room's events",
    dependencies=[Depends(rate_limit(STREAM))],
    response_class=EventStream,
    status_code=200,
    responses={
        200: {
            "description": "Events `durable` (with an id), `ephemeral`, and at the end `bye` "
            "with its `reason`: `ended`, the room has; `access`, you may no longer see it; "
            "`credential`, yours has ended",
            "content": {
                "text/event-stream": {
                    "example": "id: 7\nevent: durable\ndata: "
                    '{"seq":7,"room_ms":61250,"kind":"hand.raised",...}\n\n'
                }
            },
        },
        204: {"description": "The room has ended and you have all its events: don't reconnect"},
        **problems(Unauthenticated, NotFound, Invalid, TooManyRequests),
    },
)
async def events(
    request: Request,
    room_id: UUID,
    services: ServicesDep,
    principal: CallerDep,
    hub: Annotated[FeedHub, Depends(feed_hub)],
    after: Annotated[int, Query(ge=0, le=MAX_SEQ, description=LAST_SEEN)] = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """From the first event, or after `after`; a reconnecting browser's Last-Event-ID wins."""
    sight = hub.sights.of(room_id)
    room = await sight.see(principal)
    start = _position(last_event_id, after)
    if start > room.event_seq:  # newer than what is remembered of the room, or made up
        sight.forget()
        room = await sight.see(principal)
        start = min(start, room.event_seq)
    if room.state is RoomState.ENDED and start == room.event_seq:
        return Response(status_code=204)
    again = caller_again(principal, presented(request), services.secret)
    viewer = Viewer(principal, again, await sight.hears(principal))
    return EventStream(hub, room_id, start, viewer)


def _position(last_event_id: str | None, after: int) -> int:
    """An empty id is none (WHATWG HTML, 9.2.4). Raises Invalid for one that isn't ours: to begin
    anew instead would tell the client everything twice, and it would not know."""
    if not last_event_id:
        return after
    if not (SEQ.fullmatch(last_event_id) and int(last_event_id) <= MAX_SEQ):
        raise Invalid("Last-Event-ID: send the id of an event of this room, a whole number.")
    return int(last_event_id)


def caller_again(principal: Principal, credential: Credential | None, secret: bytes) -> CallerAgain:
    """`principal` as it was for a stranger; `secret` is the installation's."""

    async def again(session: AsyncSession) -> Principal:
        if credential is None:
            return principal
        return await authenticate(session, credential, secret=secret)

    return again
