"""The live edge: HLS of live rooms and of replays, from one process and under one path.

    /{capability}/{recording_id}/index.m3u8           see replay/playlists.py
    /{capability}/{recording_id}/r1/mix/0.m4s         see replay/recorded.py
    /healthz  /metrics

A cache in front keys on the path and on the query `_HLS_skip`, and honors Cache-Control: the
path is the same for all listeners of an hour, so it asks here once a second per playlist.

`Edge.answer` knows no server: a raw ASGI adapter under uvicorn carries it for now, an
asyncio.Protocol could.
"""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final
from uuid import UUID

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, generate_latest

from core.db import Database
from core.errors import NotFound, Problem
from core.keys import load_secret
from core.server import BoundedHttp
from core.settings import Settings
from core.storage import open_store
from ingest.folders import Folders
from replay import answers, capability, playlists
from replay.answers import Answer, Request
from replay.library import Library, SpoolGoneError
from replay.recorded import Place

log = logging.getLogger(__name__)

FIRST_SEGMENT_WAIT_S: Final = 3.0
MAX_PATH: Final = 300
MAX_ADMITTED: Final = 4096
LOOPBACK: Final = ("127.0.0.1", "::1")
STOP_SECONDS: Final = 2
KEEP_ALIVE_SECONDS: Final = 30
_SKIP_QUERIES: Final = (b"_HLS_skip=YES", b"_HLS_skip=v2")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


REQUESTS = Counter("encore_edge_requests", "Answers by kind and status.", ("kind", "status"))
SENT_BYTES = Counter("encore_edge_sent_bytes", "Bytes of bodies.")
RECORDINGS = Gauge("encore_edge_recordings", "Recordings that are known.")
CACHE_BYTES = Gauge("encore_edge_cache_bytes", "Segments in memory.")


class NoSuchPath(NotFound):
    code = "no_such_path"
    title = "Nothing is served under this path"


class Edge:
    """Answers requests. `library.tail` must run beside it."""

    def __init__(self, library: Library, *, key: bytes, metrics_token: str | None = None) -> None:
        self._library = library
        self._key = key
        self._admitted: dict[tuple[str, str], tuple[UUID, float]] = {}
        self._metrics_token = metrics_token
        self._counters: dict[tuple[str, int], Counter] = {}
        RECORDINGS.set_function(lambda: len(library))
        CACHE_BYTES.set_function(lambda: library.blobs.used)

    async def answer(self, request: Request) -> Answer:
        """Never raises; refusals are problems, faults of ours are logged and answered with 500."""
        kind = "playlist" if request.path.endswith(".m3u8") else "other"
        if request.path.endswith((".m4s", ".mp4")):
            kind = "media"
        try:
            answer = await self._route(request)
        except Problem as error:
            answer = answers.problem(error)
        except Exception:
            log.exception("the edge failed on a %s request", kind)
            answer = answers.problem(Problem())
        if request.method == "HEAD":
            answer = answer.without_body()
        self._count(kind, answer)
        return answer

    def _count(self, kind: str, answer: Answer) -> None:
        counter = self._counters.get((kind, answer.status))
        if counter is None:
            counter = REQUESTS.labels(kind, answer.status)
            self._counters[kind, answer.status] = counter
        counter.inc()
        SENT_BYTES.inc(len(answer.body))

    async def _route(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return answers.preflight()
        if request.method not in ("GET", "HEAD"):
            raise answers.MethodNotAllowed(headers={"Allow": "GET, HEAD, OPTIONS"})
        if request.path == "/healthz":
            return answers.plain(b"ok\n")
        if request.path == "/metrics":
            return self._metrics(request)
        parts = request.path.split("/") if len(request.path) <= MAX_PATH else []
        if len(parts) not in (4, 6):
            raise NoSuchPath
        recording_id = self._admit(parts[1], parts[2])
        if len(parts) == 4:
            return await self._playlist(recording_id, parts[3], request)
        return await self._media(recording_id, parts[3:], request)

    def _metrics(self, request: Request) -> Answer:
        """As core/metrics.py: with the token, else for direct callers on this machine only."""
        if self._metrics_token is not None:
            wanted = f"Bearer {self._metrics_token}".encode()
            allowed = hmac.compare_digest(wanted, request.authorization)
        else:
            allowed = request.peer in LOOPBACK and not request.forwarded
        if not allowed:
            raise NoSuchPath
        return answers.plain(generate_latest(), CONTENT_TYPE_LATEST.encode())

    def _admit(self, token: str, recording: str) -> UUID:
        """The recording that the path opens. What has been checked stays known until it expires."""
        now = time.time()
        known = self._admitted.get((token, recording))
        if known is not None and now < known[1]:
            return known[0]
        recording_id = _recording_id(recording)
        expires = capability.check(self._key, token, recording_id, now=now)
        if len(self._admitted) >= MAX_ADMITTED:
            self._admitted.clear()
        self._admitted[token, recording] = recording_id, expires
        return recording_id

    async def _playlist(self, recording_id: UUID, name: str, request: Request) -> Answer:
        wait = FIRST_SEGMENT_WAIT_S if playlists.is_of_mix(name) else 0
        recorded = await self._library.find_started(recording_id, within_s=wait)
        if recorded is None:
            raise playlists.not_started()
        skip = any(part in _SKIP_QUERIES for part in request.query.split(b"&"))
        document = playlists.document(recorded, name, skip=skip, now=time.monotonic())
        return answers.playlist(document, request, ended=recorded.ended)

    async def _media(self, recording_id: UUID, names: list[str], request: Request) -> Answer:
        place = await self._place(recording_id, names)
        if unchanged := answers.media_unchanged(request, place.digest):
            return unchanged
        try:
            data = await self._library.read(place)
        except SpoolGoneError:
            await self._library.leave_spool(recording_id)
            place = await self._place(recording_id, names)
            data = await self._library.read(place)
        digest = place.digest or hashlib.sha256(data).hexdigest()
        return answers.media(data, digest, request)

    async def _place(self, recording_id: UUID, names: list[str]) -> Place:
        recorded = await self._library.find(recording_id)
        place = recorded.place(*names) if recorded is not None else None
        if place is None:
            raise playlists.NoSuchFile
        return place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. The request's body is not read: the server drops what came with it."""
        del receive
        if scope["type"] != "http":
            return
        answer = await self.answer(_request(scope))
        await send(
            {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        )
        await send({"type": "http.response.body", "body": answer.body})


_HEADERS: Final = {
    b"accept-encoding": "accept_encoding",
    b"if-none-match": "if_none_match",
    b"range": "range",
    b"if-range": "if_range",
    b"authorization": "authorization",
    b"x-forwarded-for": "forwarded",
    b"forwarded": "forwarded",
}


def _request(scope: Scope) -> Request:
    wanted = {_HEADERS[name]: value for name, value in scope["headers"] if name in _HEADERS}
    peer = scope["client"][0] if scope.get("client") else ""
    return Request(scope["method"], scope["path"], scope["query_string"], peer=peer, **wanted)


def _recording_id(text: str) -> UUID:
    """Only the canonical form: one recording has one path in every cache."""
    try:
        recording_id = UUID(text)
    except ValueError:
        raise NoSuchPath from None
    if str(recording_id) != text:
        raise NoSuchPath
    return recording_id


class _Server(uvicorn.Server):
    """Leaves the process's signals alone: the supervisor stops it through `stop`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(edge: Edge, listening: socket.socket, stop: asyncio.Event) -> None:
    """Serves on a bound socket until `stop`; open requests get two seconds to end."""
    config = uvicorn.Config(
        edge,
        http=BoundedHttp,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="edge-server")
    stopping = asyncio.create_task(stop.wait(), name="edge-stop")
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """The process: until `stop`. Raises OSError when its port is taken."""
    if settings.database_url is None:
        raise ValueError("settings.database_url must be set")
    database = Database(settings.database_url.get_secret_value(), pool_size=4)
    library = Library(Folders(settings.data_dir), database, open_store(settings))
    token = settings.metrics_token.get_secret_value() if settings.metrics_token else None
    key = capability.capability_key(load_secret(settings))
    edge = Edge(library, key=key, metrics_token=token)
    listening = socket.create_server((settings.edge_host, settings.edge_port), backlog=2048)
    tail = asyncio.create_task(library.tail(), name="edge-tail")
    log.info("edge serves HLS on port %d", listening.getsockname()[1])
    try:
        await serve(edge, listening, stop)
    finally:
        tail.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tail
        listening.close()
        await database.close()
