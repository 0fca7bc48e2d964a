"""One client's stream of a room's events.

While it catches up, what happens waits here; from then on every event is written to its
connection at once, by whoever broadcasts it: no task wakes for a stream. How much waits is
bounded: a client that is too slow loses ephemeral events first, then the connection, and may
resume after the last event it got.
"""

import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from rooms.events import EventKind
from rooms.frames import Frame, bye, chunk

MAX_WAITING: Final = 512
"""Frames, while a stream catches up."""

MAX_UNSENT: Final = 256 * 1024
"""Bytes that the client has yet to take."""

EPHEMERAL_SHARE: Final = 4
"""With more than one part in so many of either taken, ephemeral events are left out."""

CallerAgain = Callable[[AsyncSession], Awaitable[Principal]]
"""Who the stream's caller is by now. Raises Unauthenticated once the credential has ended."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The times and sizes of streams."""

    heartbeat_s: float = 15.0
    recheck_s: float = 60.0
    linger_s: float = 5.0
    """Open after `room.ended`: what is recorded with the end still arrives."""

    audience_s: float = 2.0
    recent_events: int = 400
    """Kept in memory per room: most streams that resume need no query."""


DEFAULT_PACE: Final = Pace()


class Outlet(Protocol):
    """A connection whose answer has begun; what is written is framed already."""

    @property
    def unsent(self) -> int:
        """Bytes that were written and not yet taken."""

    def write(self, data: bytes) -> None: ...

    def end(self, data: bytes) -> None:
        """Writes the last chunk and closes."""

    def abort(self) -> None:
        """Closes at once."""


class Stream:
    """`head`: events above it come by `offer`; those up to it are `recent`, or older."""

    def __init__(
        self,
        head: int,
        recent: Sequence[Frame],
        pace: Pace,
        *,
        caller: CallerAgain,
        user_id: UUID | None = None,
        hears: bool = True,
    ) -> None:
        self.head = head
        self.hears = hears
        """Whether its caller may be told what is said."""

        self.recent = recent
        self.caller = caller
        self.sent = 0
        """The last durable event that was written."""

        self.ended_at = math.inf
        self._user_id = user_id
        self._pace = pace
        self._recheck_at = time.monotonic() + pace.recheck_s
        self._bye_at = math.inf
        self._waiting: deque[tuple[Frame, bytes]] = deque()
        self._outlet: Outlet | None = None
        self._dropped = False

    def offer(self, frame: Frame, framed: bytes) -> None:
        """`framed` is the frame's text as a chunk. Without waiting."""
        if self._outlet is not None:
            self._write(self._outlet, frame, framed)
        elif len(self._waiting) >= MAX_WAITING:
            self._dropped = True
        elif frame.seq is not None or len(self._waiting) < MAX_WAITING // EPHEMERAL_SHARE:
            self._waiting.append((frame, framed))

    def attach(self, outlet: Outlet) -> None:
        """It has caught up: from here on everything goes to the connection."""
        self._outlet = outlet
        if self._dropped:
            self._drop(outlet)
        while self._waiting:
            self._write(outlet, *self._waiting.popleft())

    def _write(self, outlet: Outlet, frame: Frame, framed: bytes) -> None:
        if self.ended_at < math.inf:
            return
        if frame.seq is None:
            if outlet.unsent <= MAX_UNSENT // EPHEMERAL_SHARE:
                outlet.write(framed)
        elif frame.seq > self.sent:
            if outlet.unsent > MAX_UNSENT:
                self._drop(outlet)
                return
            outlet.write(framed)
            self.note(frame)

    def _drop(self, outlet: Outlet) -> None:
        self.ended_at = time.monotonic()
        outlet.abort()

    def note(self, frame: Frame) -> None:
        """What an event that was sent means for the stream itself."""
        self.sent = frame.seq or self.sent
        if frame.kind == EventKind.ROOM_ENDED:
            self._bye_at = time.monotonic() + self._pace.linger_s
        elif frame.kind == EventKind.ROOM_UPDATED or (
            frame.kind == EventKind.PARTICIPANT_REMOVED
            and frame.data.get("user_id") == str(self._user_id)
        ):
            self._recheck_at = 0.0

    def ask_about(self, user_id: UUID) -> None:
        """Soon, if it is their stream: something became of them."""
        if user_id == self._user_id:
            self._recheck_at = 0.0

    def is_due(self, now: float) -> bool:
        """Whether its caller's access has to be asked for again; then it is not, for a while."""
        if self._outlet is None or now < self._recheck_at:
            return False
        self._recheck_at = now + self._pace.recheck_s
        return True

    def look_at_clock(self, now: float) -> None:
        if self._outlet is None:
            return
        if now >= self._bye_at:
            self._bye_at = math.inf
            self.end("ended")
        elif now >= self.ended_at + self._pace.linger_s:
            self._outlet.abort()  # it does not take even the farewell

    def end(self, reason: str) -> None:
        if self._outlet is not None and self.ended_at == math.inf:
            self.ended_at = time.monotonic()
            self._outlet.end(chunk(bye(reason)) + b"0\r\n\r\n")
