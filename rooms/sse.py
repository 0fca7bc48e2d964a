"""HTTP: a room's events as they happen (server-sent events, WHATWG HTML 9.2).

Durable events carry `id: <seq>` and are resumed after it; ephemeral ones carry none and are
never resumed. Credential and access are asked again when the room or the caller's place in it
changes, and every minute.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Send

from core.auth.credentials import Credential, authenticate
from core.auth.dependencies import CallerDep, presented
from core.auth.documented import problems
from core.auth.principal import Principal
from core.db import Database
from core.errors import Invalid, NotFound, Problem, TooManyRequests, Unauthenticated
from core.http import Services, ServicesDep, SessionDep
from core.ratelimit import rate_limit
from rooms.access import Action
from rooms.events import EventKind
from rooms.feed import PAGE, FeedHub, Frame, Pace, Stream, durable_frame
from rooms.limits import STREAM
from rooms.listing import events_after
from rooms.models import RoomState
from rooms.queries import room_for

router = APIRouter(prefix="/v1")

HEARTBEAT = b": still here\n\n"
RETRY = b"retry: 2000\n\n"
MAX_SEQ = 2**62
SEQ = re.compile("[0-9]{1,19}")
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStream(StreamingResponse):
    """Ends its generator with the connection, not when it is collected."""

    media_type = "text/event-stream"

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self.body_iterator):  # type: ignore[type-var] # always our generator
            await super().stream_response(send)


def feed_hub(request: Request) -> FeedHub:
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
    responses={
        200: {
            "description": "Events `durable` (with an id), `ephemeral`, and `bye` at the end",
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
    room_id: UUID,
    services: ServicesDep,
    session: SessionDep,
    principal: CallerDep,
    credential: Annotated[Credential | None, Depends(presented)],
    hub: Annotated[FeedHub, Depends(feed_hub)],
    after: Annotated[int, Query(ge=0, le=MAX_SEQ)] = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """From the first event, or after `after`; a reconnecting browser's Last-Event-ID wins."""
    room, _ = await room_for(session, principal, room_id, Action.SEE)
    start = min(_position(last_event_id, after), room.event_seq)
    if room.state is RoomState.ENDED and start == room.event_seq:
        return Response(status_code=204)
    again = caller_again(principal, credential, services.secret)
    watch = Watch(services.database, again, room_id, hub.pace, user_id=principal.user_id)
    return EventStream(event_frames(hub, watch, start), headers=HEADERS)


def _position(last_event_id: str | None, after: int) -> int:
    """An empty id is none (WHATWG HTML, 9.2.4). Raises Invalid for one that isn't ours: to begin
    anew instead would tell the client everything twice, and it would not know."""
    if not last_event_id:
        return after
    if not (SEQ.fullmatch(last_event_id) and int(last_event_id) <= MAX_SEQ):
        raise Invalid("Last-Event-ID: send the id of an event of this room, a whole number.")
    return int(last_event_id)


CallerAgain = Callable[[AsyncSession], Awaitable[Principal]]
"""Who the stream's caller is by now. Raises Unauthenticated once the credential has ended."""


def caller_again(principal: Principal, credential: Credential | None, secret: bytes) -> CallerAgain:
    """`principal` as it was for a stranger; `secret` is the installation's."""

    async def again(session: AsyncSession) -> Principal:
        if credential is None:
            return principal
        return await authenticate(session, credential, secret=secret)

    return again


class Watch:
    """Whether the caller may go on, and when the stream ends by itself."""

    def __init__(
        self,
        database: Database,
        caller: CallerAgain,
        room_id: UUID,
        pace: Pace,
        *,
        user_id: UUID | None = None,
    ) -> None:
        self.database = database
        self.room_id = room_id
        self._caller = caller
        self._user_id = user_id
        self._pace = pace
        self._recheck_at = time.monotonic() + pace.recheck_s
        self._bye_at: float | None = None

    def note(self, frame: Frame) -> None:
        if frame.kind == EventKind.ROOM_ENDED:
            self._bye_at = time.monotonic() + self._pace.linger_s
        removed = frame.kind == EventKind.PARTICIPANT_REMOVED
        mine = removed and frame.data.get("user_id") == str(self._user_id)
        if mine or frame.kind == EventKind.ROOM_UPDATED:
            self._recheck_at = 0.0

    @property
    def wait_s(self) -> float:
        ends = self._recheck_at if self._bye_at is None else min(self._recheck_at, self._bye_at)
        return min(self._pace.heartbeat_s, ends - time.monotonic())

    async def reason_to_end(self) -> str | None:
        now = time.monotonic()
        if self._bye_at is not None and now >= self._bye_at:
            return "ended"
        if now >= self._recheck_at:
            self._recheck_at = now + self._pace.recheck_s
            return None if await self._may_see() else "access"
        return None

    async def _may_see(self) -> bool:
        try:
            async with self.database.transaction() as session:
                principal = await self._caller(session)
                await room_for(session, principal, self.room_id, Action.SEE)
        except Problem:
            return False
        except (OSError, SQLAlchemyError):
            return True  # the database is away: nothing new is read either
        return True


async def event_frames(hub: FeedHub, watch: Watch, after: int) -> AsyncGenerator[bytes]:
    """The body of the stream: every event above `after` once, in order, until it must end."""
    async with hub.open(watch.room_id) as stream:
        yield RETRY
        sent = after
        async for frame in _missed(watch, stream, after):
            watch.note(frame)
            sent = frame.seq or sent
            yield frame.text
        while True:
            if reason := await watch.reason_to_end():
                yield _bye(reason)
                return
            try:
                live = await stream.get(watch.wait_s)
            except TimeoutError:
                yield HEARTBEAT
                continue
            if live is None:
                return
            if live.seq is not None and live.seq <= sent:
                continue
            watch.note(live)
            sent = live.seq or sent
            yield live.text


async def _missed(watch: Watch, stream: Stream, after: int) -> AsyncIterator[Frame]:
    """Events above `after` up to the stream's head: from memory, else in pages."""
    recent, stream.recent = stream.recent, ()
    first = recent[0].seq if recent else None
    if after < stream.head and (first is None or first > after + 1):
        upto = stream.head if first is None else first - 1
        async for frame in _stored(watch, after, upto):
            yield frame
    for frame in recent:
        if frame.seq is not None and frame.seq > after:
            yield frame


async def _stored(watch: Watch, after: int, upto: int) -> AsyncIterator[Frame]:
    while after < upto:
        async with watch.database.transaction() as session:
            limit = min(PAGE, upto - after)
            events = await events_after(session, watch.room_id, after=after, limit=limit)
        if not events:
            return
        for event in events:
            after = event.seq
            yield durable_frame(event)
        await asyncio.sleep(0)


def _bye(reason: str) -> bytes:
    return f"event: bye\ndata: {json.dumps({'reason': reason})}\n\n".encode()
