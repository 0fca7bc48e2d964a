"""The live edge: HLS of live rooms and of replays, from one process and under one path.

    /{capability}/{recording_id}/index.m3u8           see replay/playlists.py
    /{capability}/{recording_id}/r1/mix/0.m4s         see replay/recorded.py
    /{capability}/{recording_id}/r1/captions/0.vtt    see replay/cue_sheet.py
    /healthz  /metrics

A cache in front keys on the path and on the query `_HLS_skip`, and honors Cache-Control: the
path is the same for all listeners of an hour, so it asks here once a second per playlist.

`Edge` knows no server; replay/http1.py is the one that carries it.
"""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import socket
import time
from collections import Counter as Tally
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, generate_latest

from core.addresses import bound_socket
from core.db import Database
from core.errors import NotFound, Problem
from core.keys import load_secret
from core.settings import Settings
from core.storage import ObjectMissing, open_store
from ingest.folders import Folders
from replay import answers, capability, playlists
from replay.answers import Answer, Request
from replay.cue_sheet import FOLDER, CueSheet, numbers_of
from replay.http1 import Server
from replay.library import Library, SpoolGoneError, has_begun, has_sound
from replay.recorded import WHOLE, Place, Recorded, only_compacted

log = logging.getLogger(__name__)

FIRST_SEGMENT_WAIT_S: Final = 3.0
CUES_WAIT_S: Final = 0.1
MAX_PATH: Final = 300
MAX_ADMITTED: Final = 4096
LOOPBACK: Final = ("127.0.0.1", "::1")
BACKLOG: Final = 4096
_SKIP_QUERIES: Final = (b"_HLS_skip=YES", b"_HLS_skip=v2")

REQUESTS = Counter("encore_edge_requests", "Answers by kind and status.", ("kind", "status"))
SENT_BYTES = Counter("encore_edge_sent_bytes", "Bytes of bodies.")
RECORDINGS = Gauge("encore_edge_recordings", "Recordings that are known.")
CACHE_BYTES = Gauge("encore_edge_cache_bytes", "Segments in memory.")


class NoSuchPath(NotFound):
    code = "no_such_path"
    title = "Nothing is served under this path"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a path names: one file of a playlist's folder, or the three parts of a segment's."""

    recording_id: UUID
    names: list[str]

    @property
    def is_playlist(self) -> bool:
        return len(self.names) == 1

    @property
    def is_captions(self) -> bool:
        """Whether it holds what was said: a segment of the subtitles."""
        return not self.is_playlist and self.names[1] == FOLDER

    @property
    def is_of_cues(self) -> bool:
        """Whether the answer depends on the recording's subtitles."""
        if self.is_playlist:
            return playlists.shows_captions(self.names[0])
        return self.is_captions

    @property
    def is_compacted(self) -> bool:
        """Whether it exists only after compaction."""
        if self.is_playlist:
            return playlists.is_replay(self.names[0])
        return only_compacted(self.names[2])


class Edge:
    """Answers requests. `library.tail` must run beside it."""

    def __init__(self, library: Library, *, key: bytes, metrics_token: str | None = None) -> None:
        self._library = library
        self._key = key
        self._admitted: dict[tuple[str, str], tuple[UUID, float]] = {}
        self._metrics_token = metrics_token
        self._answered: Tally[tuple[str, int]] = Tally()
        self._sent_bytes = 0
        RECORDINGS.set_function(lambda: len(library))
        CACHE_BYTES.set_function(lambda: library.blobs.used)

    def ready(self, request: Request) -> Answer | None:
        """The answer, if it lies ready: all but the first of many that want the same bytes."""
        try:
            wanted = self._route(request)
            answer = wanted if isinstance(wanted, Answer) else self._known(wanted, request)
        except Exception as error:  # noqa: BLE001 - refusals are answers, faults are logged
            answer = _refusal(error)
        return answer and self._finished(request, answer)

    async def answer(self, request: Request) -> Answer:
        """Never raises; refusals are problems, faults of ours are logged and answered with 500."""
        try:
            wanted = self._route(request)
            answer = wanted if isinstance(wanted, Answer) else await self._found(wanted, request)
        except Exception as error:  # noqa: BLE001 - refusals are answers, faults are logged
            answer = _refusal(error)
        return self._finished(request, answer)

    def _finished(self, request: Request, answer: Answer) -> Answer:
        if request.method == "HEAD":
            answer = answer.without_body()
        self._answered[_kind(request.path), answer.status] += 1
        self._sent_bytes += len(answer.body)
        return answer

    def _route(self, request: Request) -> Answer | _Wanted:
        if request.method == "OPTIONS":
            return answers.preflight()
        if request.method not in ("GET", "HEAD"):
            raise answers.MethodNotAllowed(headers={"Allow": "GET, HEAD, OPTIONS"})
        parts = request.path.split("/") if len(request.path) <= MAX_PATH else []
        if len(parts) in (4, 6):
            return _Wanted(self._admit(parts[1], parts[2]), parts[3:])
        if request.path == "/healthz":
            return answers.plain(b"ok\n")
        if request.path == "/metrics":
            return self._metrics(request)
        raise NoSuchPath

    def _metrics(self, request: Request) -> Answer:
        """As core/metrics.py: with the token, else for direct callers on this machine only."""
        if self._metrics_token is not None:
            wanted = f"Bearer {self._metrics_token}".encode()
            allowed = hmac.compare_digest(wanted, request.authorization)
        else:
            allowed = request.peer in LOOPBACK and not request.forwarded
        if not allowed:
            raise NoSuchPath
        self._count()
        return answers.plain(generate_latest(), CONTENT_TYPE_LATEST.encode())

    def _count(self) -> None:
        """What was answered since the last time: counters are too dear for every request."""
        for (kind, status), count in self._answered.items():
            REQUESTS.labels(kind, status).inc(count)
        SENT_BYTES.inc(self._sent_bytes)
        self._answered.clear()
        self._sent_bytes = 0

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

    def _known(self, wanted: _Wanted, request: Request) -> Answer | None:
        """From memory alone."""
        recorded = self._library.known(wanted.recording_id)
        if recorded is None or (wanted.is_compacted and not recorded.compacted):
            return None
        if wanted.is_of_cues:
            usable, sheet = self._library.cues.known(wanted.recording_id)
            if not usable or not has_begun(recorded) or not _is_due(recorded, sheet, wanted):
                return None
            return self._with_cues(recorded, sheet, wanted, request)
        if wanted.is_playlist:
            return self._playlist(recorded, wanted, request) if has_begun(recorded) else None
        place = _place(recorded, wanted, request)
        if unchanged := answers.media_unchanged(request, place.digest):
            return unchanged
        data = self._library.blobs.ready(place)
        return None if data is None else _media(data, place, request)

    async def _found(self, wanted: _Wanted, request: Request) -> Answer:
        if wanted.is_compacted:
            await self._library.find_compacted(wanted.recording_id)
        if not wanted.is_playlist and not wanted.is_captions:
            return await self._read(wanted, request)
        wait = FIRST_SEGMENT_WAIT_S if playlists.is_of_mix(wanted.names[0]) else 0
        recorded = await self._library.find_started(wanted.recording_id, within_s=wait)
        if recorded is None:
            raise playlists.not_started()
        if not wanted.is_of_cues:
            return self._playlist(recorded, wanted, request)
        sheet = await self._find_cues(recorded, wanted)
        return self._with_cues(recorded, sheet, wanted, request)

    async def _find_cues(self, recorded: Recorded, wanted: _Wanted) -> CueSheet | None:
        """Waits for the first segment of the subtitles, which comes soon after the mix's."""
        deadline = time.monotonic() + FIRST_SEGMENT_WAIT_S
        while True:
            sheet = await self._library.cues.find(wanted.recording_id)
            if _is_due(recorded, sheet, wanted) or time.monotonic() > deadline:
                return sheet
            await asyncio.sleep(CUES_WAIT_S)

    def _with_cues(
        self, recorded: Recorded, sheet: CueSheet | None, wanted: _Wanted, request: Request
    ) -> Answer:
        if wanted.is_playlist:
            return self._playlist(recorded, wanted, request, sheet)
        numbers = numbers_of(wanted.names[2])
        if sheet is None or numbers is None or wanted.names[0] != f"r{recorded.revision}":
            raise playlists.NoSuchFile
        first, last = numbers
        if first < last and not playlists.lists_captions(recorded, "/".join(wanted.names)):
            raise playlists.NoSuchFile
        sheet.follow(recorded, now=time.monotonic())
        text = sheet.text(first, last)
        if text is None:
            raise playlists.NoSuchFile
        return answers.captions(text, request)

    def _playlist(
        self,
        recorded: Recorded,
        wanted: _Wanted,
        request: Request,
        sheet: CueSheet | None = None,
    ) -> Answer:
        skip = bool(request.query) and any(
            part in _SKIP_QUERIES for part in request.query.split(b"&")
        )
        document = playlists.document(
            recorded, wanted.names[0], skip=skip, now=time.monotonic(), sheet=sheet
        )
        ended = recorded.ended
        if sheet is not None and playlists.is_of_captions(wanted.names[0]):
            ended = sheet.ended
        return answers.playlist(document, request, ended=ended)

    async def _read(self, wanted: _Wanted, request: Request) -> Answer:
        recorded = await self._find(wanted)
        place = _place(recorded, wanted, request)
        if unchanged := answers.media_unchanged(request, place.digest):
            return unchanged
        try:
            data = await self._library.read(place)
        except (SpoolGoneError, ObjectMissing) as error:
            await self._look_again(wanted, recorded, error)
            moved = _place(await self._find(wanted), wanted, request)
            if moved == place:
                raise
            place, data = moved, await self._library.read(moved)
        return _media(data, place, request)

    async def _look_again(self, wanted: _Wanted, stale: Recorded, error: Exception) -> None:
        """The bytes are not where they were: they went from the disk, or into a larger object."""
        if isinstance(error, SpoolGoneError):
            await self._library.leave_spool(wanted.recording_id)
        else:
            await self._library.reread(wanted.recording_id, stale)

    async def _find(self, wanted: _Wanted) -> Recorded:
        recorded = await self._library.find(wanted.recording_id)
        if recorded is None:
            raise playlists.NoSuchFile
        return recorded


def _is_due(recorded: Recorded, sheet: CueSheet | None, wanted: _Wanted) -> bool:
    """Whether subtitles have what is wanted of them, or never will."""
    if sheet is None or not playlists.is_of_captions(wanted.names[0]):
        return True
    return not has_sound(recorded) or sheet.lists_any(recorded, now=time.monotonic())


def _refusal(error: Exception) -> Answer:
    if isinstance(error, Problem):
        return answers.problem(error)
    log.error("the edge failed on a request", exc_info=error)
    return answers.problem(Problem())


def _kind(path: str) -> str:
    if path.endswith(".m3u8"):
        return "playlist"
    if path.endswith(".vtt"):
        return "captions"
    return "media" if path.endswith((".m4s", ".mp4")) else "other"


def _place(recorded: Recorded, wanted: _Wanted, request: Request) -> Place:
    place = recorded.place(*wanted.names)
    if place is None:
        raise playlists.NoSuchFile
    return answers.part_of(place, request) if wanted.names[2] == WHOLE else place


def _media(data: bytes, place: Place, request: Request) -> Answer:
    if place.part_of:
        return answers.part(data, place, request)
    return answers.media(data, place.digest or hashlib.sha256(data).hexdigest(), request)


def _recording_id(text: str) -> UUID:
    """Only the canonical form: one recording has one path in every cache."""
    try:
        recording_id = UUID(text)
    except ValueError:
        raise NoSuchPath from None
    if str(recording_id) != text:
        raise NoSuchPath
    return recording_id


async def serve(edge: Edge, listening: socket.socket, stop: asyncio.Event) -> None:
    """Serves on a bound socket until `stop`; open requests get two seconds to end."""
    server = Server(edge)
    loop = asyncio.get_running_loop()
    accepting = await loop.create_server(server.connection, sock=listening, backlog=BACKLOG)
    ticking = asyncio.create_task(server.tick(), name="edge-clock")
    try:
        await stop.wait()
    finally:
        accepting.close()
        await server.drain()
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """The process: until `stop`. Raises OSError when its port is taken."""
    if settings.database_url is None:
        raise ValueError("settings.database_url must be set")
    database = Database(settings.database_url.get_secret_value(), pool_size=4)
    library = Library(Folders(settings.data_dir), database, open_store(settings))
    token = settings.metrics_token.get_secret_value() if settings.metrics_token else None
    key = capability.capability_key(load_secret(settings))
    edge = Edge(library, key=key, metrics_token=token)
    listening = _listen(settings.edge_host, settings.edge_port)
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


def _listen(host: str, port: int) -> socket.socket:
    sock = bound_socket(host, port, socket.SOCK_STREAM)
    sock.listen(BACKLOG)
    return sock
