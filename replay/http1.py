"""HTTP/1.1 (RFC 9112) for answers that mostly lie ready: one protocol object per connection, no
task and no timer per request.

What a client can make us hold is bounded: connections, the head and body of a request, requests
sent ahead of their answers, and the time that each of these may take. A client that does not
read its answers is not read from either.
"""

import asyncio
import contextlib
import math
import time
from collections import deque
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final, Protocol, cast
from urllib.parse import unquote

import httptools
from prometheus_client import Counter, Gauge

from core.errors import Problem, Unavailable
from replay import answers
from replay.answers import Answer, Request

MAX_BODY_BYTES: Final = 64 * 1024
"""A body means nothing here; so much of one is dropped without a word."""

MAX_AHEAD: Final = 256
"""Requests that wait on one connection for the answers before theirs."""

READ_AHEAD: Final = 16
"""With so many waiting, the connection is not read."""

TICK_SECONDS: Final = 1.0
CONNECTIONS = Gauge("encore_edge_connections", "Open connections.")
REFUSED = Counter("encore_edge_refused", "Connections ended by us, by reason.", ("reason",))

_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FIELDS: Final = {
    b"accept-encoding": "accept_encoding",
    b"if-none-match": "if_none_match",
    b"range": "range",
    b"if-range": "if_range",
    b"authorization": "authorization",
    b"x-forwarded-for": "forwarded",
    b"forwarded": "forwarded",
}


class RequestMalformed(Problem):
    status = 400
    code = "request_malformed"
    title = "This is not an HTTP/1.1 request"


class HeadTooLarge(Problem):
    status = 431
    code = "head_too_large"
    title = "The head of the request is too large"


class BodyTooLarge(Problem):
    status = 413
    code = "body_too_large"
    title = "Nothing here takes a body"


class TooManyAhead(Problem):
    status = 429
    code = "too_many_ahead"
    title = "Too many requests are sent ahead of their answers"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Times in seconds. `stalled_s` passes without one byte taken by the client."""

    connections: int = 20_000
    head_bytes: int = 64 * 1024
    request_s: float = 30.0
    idle_s: float = 30.0
    stalled_s: float = 30.0
    linger_s: float = 2.0
    stop_s: float = 2.0


class Site(Protocol):
    """Who answers. Neither raises."""

    def ready(self, request: Request) -> Answer | None:
        """The answer, if it needs no waiting."""

    async def answer(self, request: Request) -> Answer:
        """The answer, after whatever it needs."""


class Server:
    """The connections of one listening socket, and the clock that they share."""

    def __init__(self, site: Site, bounds: Bounds = Bounds()) -> None:
        self.site = site
        self.bounds = bounds
        self.connections: set[Connection] = set()
        self.stopping = False
        self.now = 0.0
        self.date = b""
        self._empty = asyncio.Event()
        self._look_at_clock()

    def connection(self) -> "Connection":
        return Connection(self)

    async def tick(self) -> None:
        """Keeps the clock and ends what takes too long, until canceled."""
        while True:
            self._look_at_clock()
            CONNECTIONS.set(len(self.connections))
            for connection in list(self.connections):
                connection.check(self.now)
            await asyncio.sleep(min(TICK_SECONDS, self.bounds.request_s / 4))

    async def drain(self) -> None:
        """Answers what has been asked, for `stop_s` at most, and closes every connection."""
        self.stopping = True
        for connection in list(self.connections):
            connection.end_when_idle()
        if self.connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), self.bounds.stop_s)
        for connection in list(self.connections):
            connection.abort()

    def forget(self, connection: "Connection") -> None:
        self.connections.discard(connection)
        if self.stopping and not self.connections:
            self._empty.set()

    def _look_at_clock(self) -> None:
        self.now = time.monotonic()
        self.date = b"date: %s\r\n" % formatdate(usegmt=True).encode()


class Connection(asyncio.Protocol):
    """One client. Requests are answered in their order, also those sent ahead (9112, 9.3.2)."""

    _transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._answering: asyncio.Task[None] | None = None
        self._url = b""
        self._fields: dict[str, bytes] = {}
        self._hosts = self._head_bytes = self._body_bytes = 0
        self._peer = ""
        self._deadline = math.inf
        self._unsent = math.inf
        """Bytes that the client had yet to take when its time was last over."""
        self._writable = True
        self._reading = True
        self._in_request = False
        self._heard_all = False
        """Nothing that still comes in means anything: the last request has been read."""
        self._told_all = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        self._wait_until(self._server.bounds.request_s)
        full = len(self._server.connections) >= self._server.bounds.connections
        self._server.connections.add(self)
        if full:
            headers = {"Retry-After": "1"}
            self._refuse(Unavailable("too many connections; ask again", headers=headers))

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.forget(self)
        self._heard_all = True
        self._waiting.clear()
        if self._answering is not None:
            self._answering.cancel()

    def eof_received(self) -> bool:
        """Whoever has said all may still wait for answers."""
        self._heard_all = True
        return bool(self._waiting or self._answering) and not self._told_all

    def pause_writing(self) -> None:
        self._writable = False
        self._wait_until(self._server.bounds.stalled_s)
        self._read_if(wanted=False)

    def resume_writing(self) -> None:
        self._writable = True
        self._work()

    def data_received(self, data: bytes) -> None:
        if self._heard_all:
            return
        self._head_bytes += len(data)
        problem: Problem | None = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request before it says that it is the last
        except Problem as refusal:
            problem = refusal
        except httptools.HttpParserError as error:
            problem = _reason(error)
        if self._in_request and self._head_bytes > self._server.bounds.head_bytes:
            problem = problem or HeadTooLarge()
        self._work()
        if problem is not None and not self._told_all and not self._heard_all:
            self._refuse(problem)

    # What the parser reports.

    def on_message_begin(self) -> None:
        self._in_request = True
        self._url, self._fields = b"", {}
        self._hosts = self._body_bytes = 0
        self._wait_until(self._server.bounds.request_s)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        field = _FIELDS.get(name)
        if field is not None:
            # Several lines of one name are one list (9110, 5.3).
            before = self._fields.get(field)
            self._fields[field] = value if before is None else before + b", " + value
        elif name == b"host":
            self._hosts += 1

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        old = self._parser.get_http_version() == "1.0"
        if self._hosts != 1 and not (old and not self._hosts):
            raise RequestMalformed("send one Host field (RFC 9112, 3.2)")
        if self._parser.get_method().decode() not in _METHODS:
            self._take(last=True)

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            raise BodyTooLarge

    def on_message_complete(self) -> None:
        if not self._heard_all:
            parser = self._parser
            # An HTTP/1.0 client gets what its version promises: one answer.
            stays = parser.should_keep_alive() and not parser.should_upgrade()
            self._take(last=not stays or parser.get_http_version() != "1.1")

    def _take(self, *, last: bool) -> None:
        self._in_request = False
        self._head_bytes = 0
        self._heard_all = last
        if len(self._waiting) >= MAX_AHEAD:
            raise TooManyAhead
        path, query = _target(self._url)
        method = self._parser.get_method().decode()
        self._waiting.append((Request(method, path, query, peer=self._peer, **self._fields), last))

    # Answers.

    def _work(self) -> None:
        """Answers in order, as far as it goes without waiting."""
        waiting = self._waiting
        while waiting and self._writable and self._answering is None:
            request, last = waiting.popleft()
            answer = self._server.site.ready(request)
            if answer is None:
                self._answering = asyncio.create_task(self._answer(request, last=last))
            else:
                self._send(answer, last=last)
        self._read_if(wanted=self._writable and len(waiting) < READ_AHEAD)

    async def _answer(self, request: Request, *, last: bool) -> None:
        self._deadline = math.inf
        answer = await self._server.site.answer(request)
        self._answering = None
        self._send(answer, last=last)
        self._work()

    def _send(self, answer: Answer, *, last: bool) -> None:
        if self._told_all or self._transport.is_closing():
            return
        last = last or ((self._server.stopping or self._heard_all) and not self._waiting)
        end = b"connection: close\r\n\r\n" if last else b"\r\n"
        head = b"".join((answer.head, self._server.date, end))
        self._unsent = math.inf
        # Not writelines: asyncio's pauses nobody before Python 3.12.9 and 3.13.2 (CVE-2024-12254).
        self._transport.write(head)
        if answer.body:
            self._transport.write(answer.body)
        if last:
            self._end()
        elif not self._in_request and self._writable:
            self._wait_until(self._server.bounds.idle_s)

    def _refuse(self, problem: Problem) -> None:
        REFUSED.labels(problem.code).inc()
        self._waiting.clear()
        if self._answering is not None:  # its answer would come first, and nobody knows when
            self.abort()
            return
        self._send(answers.problem(problem), last=True)

    def _end(self) -> None:
        """Closes our half and lets the client close its own: a reset could overtake the answer
        (9112, 9.6)."""
        self._heard_all = self._told_all = True
        self._waiting.clear()
        self._read_if(wanted=True)
        self._wait_until(self._server.bounds.linger_s)
        self._transport.write_eof()

    # Time.

    def check(self, now: float) -> None:
        """Ends the connection if its time is over. A client that takes its bytes has time."""
        if now < self._deadline:
            return
        unsent = self._transport.get_write_buffer_size()
        if 0 < unsent < self._unsent:
            self._unsent = unsent
            self._wait_until(self._server.bounds.stalled_s)
            return
        if self._in_request or unsent:
            REFUSED.labels("too_slow").inc()
        if unsent or self._told_all:
            self.abort()
        else:
            self._transport.close()

    def end_when_idle(self) -> None:
        if not (self._waiting or self._answering or self._in_request or self._told_all):
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def _wait_until(self, seconds: float) -> None:
        self._deadline = self._server.now + seconds

    def _read_if(self, *, wanted: bool) -> None:
        wanted = wanted or self._told_all
        if wanted != self._reading and not self._transport.is_closing():
            self._reading = wanted
            (self._transport.resume_reading if wanted else self._transport.pause_reading)()


def _target(url: bytes) -> tuple[str, bytes]:
    """Path, percent-decoded, and query of a request target (9112, 3.2). Raises RequestMalformed."""
    if not url.startswith(b"/"):
        try:
            parsed = httptools.parse_url(url)
        except httptools.HttpParserError:
            raise RequestMalformed from None
        path, query = parsed.path or b"", parsed.query or b""
    else:
        path, _, query = url.partition(b"?")
    try:
        text = path.decode("ascii")
    except UnicodeDecodeError:
        raise RequestMalformed from None
    return (unquote(text) if "%" in text else text), query


def _reason(error: Exception) -> Problem:
    """Our own refusal, if it was raised inside of the parser, which wraps what it catches."""
    cause: BaseException | None = error.__cause__ or error.__context__
    return cause if isinstance(cause, Problem) else RequestMalformed()
