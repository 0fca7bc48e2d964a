"""The receiving process: UDP from speakers, WHIP, and the journals of the rooms it has."""

import asyncio
import contextlib
import fcntl
import functools
import logging
import resource
import socket
from collections.abc import Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

import uvicorn

import core.metrics
from core.addresses import bound_socket, http_url
from core.db import Database
from core.errors import Unavailable
from core.keys import load_secret
from core.listen import Listener
from core.server import BoundedHttp, Server
from core.settings import Settings
from ingest.admission import Admission
from ingest.fleet import worker_id
from ingest.membership import Membership
from ingest.public_address import public_addresses
from ingest.receive_metrics import ReceiveMetrics
from ingest.receiver import Receiver
from ingest.sessions import Sessions
from ingest.speaking import SpeakingAnnouncer
from ingest.stage_sync import StageSync
from ingest.turn import ice_servers
from ingest.whip import Whip, create_whip_app
from rooms.events import DURABLE_CHANNEL

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
MAX_CONNECTIONS: Final = 2000
"""To WHIP, or half of what this process may open: journals need file handles too."""


class DataDirInUse(Unavailable):
    code = "data_dir_in_use"
    title = "Another receiving process works on this data folder"


@contextlib.contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Holds the folder for this process; the lock ends with it, however it ends.

    Raises DataDirInUse.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "receive.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataDirInUse(f"Another receiving process works on {data_dir}.") from None
        yield


class WhipHttp(BoundedHttp):
    """WHIP's requests are short: more connections than this at once mean harm."""

    _soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    max_connections: ClassVar[int] = max(16, min(MAX_CONNECTIONS, _soft // 2))

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            transport.abort()


class WhipServer(Server):
    async def serve_until_cancelled(self, sock: socket.socket) -> None:
        serving = asyncio.create_task(self.serve(sockets=[sock]))
        try:
            await asyncio.shield(serving)
        finally:
            self.should_exit = self.force_exit = True
            await serving


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Receives until `stop`; sessions stay resumable for the next process on this folder."""
    with only_one(settings.data_dir):
        database = Database(_database_url(settings), pool_size=4, idle_limit=_promise(settings))
        listener = Listener(_database_url(settings), (DURABLE_CHANNEL,))
        listener.start()
        try:
            await _serve(settings, stop, database, listener)
        finally:
            await listener.stop()
            await database.close()


def _promise(settings: Settings) -> timedelta:
    """How old this worker's heartbeat may get before others take its rooms over."""
    return timedelta(seconds=settings.worker_alive_seconds)


def _database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise Unavailable("ENCORE_DATABASE_URL is not set.")
    return settings.database_url.get_secret_value()


async def _serve(
    settings: Settings, stop: asyncio.Event, database: Database, listener: Listener
) -> None:
    sessions = Sessions(settings.data_dir / "sessions")
    with contextlib.ExitStack() as opened:
        http = opened.enter_context(_http_socket(settings))
        port: int = http.getsockname()[1]
        whip_url = (settings.ingest_url or http_url(settings.ingest_host, port)).rstrip("/")
        receiver = Receiver(
            settings.ingest_udp_host,
            settings.ingest_udp_port,
            await public_addresses(settings),
            sessions,
        )
        opened.callback(receiver.close)
        sync = StageSync(
            database,
            listener,
            receiver,
            data_dir=settings.data_dir,
            membership=Membership(worker_id(settings.data_dir), whip_url, _promise(settings)),
        )
        secret = load_secret(settings)
        relays = functools.partial(ice_servers, settings)
        whip = Whip(receiver, sync.refresh, secret, whip_url, Admission(settings), relays)
        app = create_whip_app(whip)
        core.metrics.instrument(app, process="receive")
        config = uvicorn.Config(
            app, http=WhipHttp, log_config=None, access_log=False, lifespan="off"
        )
        work = [
            _receive(receiver, sync),
            _look_after(receiver, sessions),
            SpeakingAnnouncer(receiver, database).run(),
            WhipServer(config).serve_until_cancelled(http),
        ]
        await _until(_told_to_stop(stop, sync), work)
        sessions.save_moved(receiver.endpoint.peers)


async def _receive(receiver: Receiver, sync: StageSync) -> None:
    """Rooms first, then the sessions in them, then packets: nothing arrives too early."""
    await sync.start()
    receiver.start()
    log.info("receiving on UDP port %d", receiver.endpoint.port)
    await sync.run()


async def _told_to_stop(stop: asyncio.Event, sync: StageSync) -> None:
    """First the others learn that this worker takes no more rooms."""
    await stop.wait()
    await sync.drain()


async def _until(stop: Coroutine[Any, Any, None], work: list[Coroutine[Any, Any, None]]) -> None:
    """Runs all of `work` until `stop` is over, or one fails, whose exception is raised."""
    stopped = asyncio.create_task(stop)
    tasks = [asyncio.create_task(w) for w in work]
    done, _ = await asyncio.wait((stopped, *tasks), return_when=asyncio.FIRST_COMPLETED)
    for task in (stopped, *tasks):
        task.cancel()
    await asyncio.gather(stopped, *tasks, return_exceptions=True)
    for task in done - {stopped}:
        task.result()


def _http_socket(settings: Settings) -> socket.socket:
    sock = bound_socket(settings.ingest_host, settings.ingest_port, socket.SOCK_STREAM)
    # Whoever finds the worker's row is let in, if only when the rooms are open.
    sock.listen(1024)
    return sock


async def _look_after(receiver: Receiver, sessions: Sessions) -> None:
    """Once a second: session files follow their streams, metrics follow the counters."""
    metrics = ReceiveMetrics()
    while True:
        sessions.save_moved(receiver.endpoint.peers)
        metrics.observe(receiver)
        await asyncio.sleep(LOOK_SECONDS)
