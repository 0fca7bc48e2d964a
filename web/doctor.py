"""`encore doctor`: is this machine fit to run Encore, and if not, what to do."""

import asyncio
import contextlib
import resource
import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import av
import av.codec
from sqlalchemy.exc import SQLAlchemyError

from core.db import Database, dsn
from core.errors import Problem
from core.installation import check_store
from core.keys import MIN_SECRET_BYTES
from core.migrate import is_current
from core.postgres import EmbeddedPostgres, PostgresFailed
from core.settings import Environment, Settings
from core.storage import open_store
from ingest.fleet import Member, members
from ingest.public_address import public_addresses
from payouts import alerts
from payouts.modes import livemode_of
from transcripts.installed_models import locate
from web.sandbox import wants_sandbox
from web.supervise import PortTaken, check_ports, runs_here

UDP_BUFFER = 4 << 20
FREE_BYTES = 2 << 30
OPEN_FILES = 1024
MIN_POSTGRES = 150000


LIVE = "live money"

NEXT_STEP = {
    "database": "no answer: check DATABASE_URL and that the server runs",
    "storage": "the object store refuses: check ENCORE_STORAGE_URL and the S3 settings",
    "workers": "cannot be read; run: encore db upgrade",
    "money": "the books cannot be read; run: encore db upgrade",
    "disk": "the data folder cannot be written: set ENCORE_DATA_DIR",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, whether it is fit, and what is so or what to do."""

    subject: str
    ok: bool
    text: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Runs every check; one that fails unexpectedly is a finding, never a trace."""
    for subject, check in CHECKS.items():
        try:
            ok, text = check(settings)
        except Problem as problem:
            ok, text = False, problem.detail
        except (OSError, ValueError, asyncpg.PostgresError, SQLAlchemyError) as error:
            reason = str(error).partition("\n")[0]
            ok, text = False, f"{NEXT_STEP.get(subject, 'it does not work')} ({reason})"
        yield Finding(subject, ok, text)


def _python(_: Settings) -> tuple[bool, str]:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return ok, version if ok else f"{version}; use Python 3.11, 3.12 or 3.13"


def _disk(settings: Settings) -> tuple[bool, str]:
    folder = settings.data_dir.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".doctor-{secrets.token_hex(4)}"
    probe.write_bytes(b"encore")
    probe.unlink()
    free = shutil.disk_usage(folder).free
    text = f"{folder} is writable, {free / (1 << 30):.1f} GiB free"
    return free >= FREE_BYTES, text if free >= FREE_BYTES else f"{text}; free at least 2 GiB"


def _database(settings: Settings) -> tuple[bool, str]:
    if settings.database_url is None:
        with _database_url(settings) as url:
            return asyncio.run(_server_version(url, "embedded"))
    url = settings.database_url.get_secret_value()
    ok, text = asyncio.run(_server_version(url, "DATABASE_URL"))
    if ok and not asyncio.run(is_current(url)):
        return False, f"{text}, but not with today's schema; run: encore db upgrade"
    return ok, text


@contextlib.contextmanager
def _database_url(settings: Settings) -> Iterator[str]:
    """An embedded server that did not run ends again."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    server = EmbeddedPostgres(settings.data_dir / "postgres")
    runs_already = server.running_port() is not None
    try:
        yield server.start()
    finally:
        if not runs_already:
            server.stop()


async def _server_version(url: str, where: str) -> tuple[bool, str]:
    connection = await asyncpg.connect(dsn(url), timeout=5)
    try:
        number = int(await connection.fetchval("show server_version_num"))
    finally:
        await connection.close()
    text = f"PostgreSQL {number // 10000}.{number % 10000} answers ({where})"
    return number >= MIN_POSTGRES, text if number >= MIN_POSTGRES else f"{text}; 15 is the oldest"


def _workers(settings: Settings) -> tuple[bool, str]:
    """Of the machines that share DATABASE_URL; one alone starts its own worker."""
    if settings.database_url is None:
        return True, "this machine's own, with encore up"
    found = asyncio.run(_members(settings.database_url.get_secret_value()))
    if not found:
        return True, "none has started yet"
    taking = sum(m.alive and not m.worker.draining for m in found)
    if taking:
        return True, f"{taking} of {sum(m.alive for m in found)} alive take rooms"
    if any(m.alive for m in found):
        return False, "all drain, so no room can be spoken in; run: encore workers undrain ID"
    return False, "none is alive; start one: encore ingest"


async def _members(url: str) -> list[Member]:
    database = Database(url)
    try:
        async with database.transaction() as session:
            return await members(session)
    finally:
        await database.close()


def _storage(settings: Settings) -> tuple[bool, str]:
    async def probe() -> None:
        store = open_store(settings)
        key = f"doctor/{secrets.token_hex(8)}"
        await store.put(key, b"encore", content_type="application/octet-stream")
        if await store.get(key, start=1, end=3) != b"nc":
            raise ValueError("a range read gave other bytes than were written")
        await store.delete(key)

    asyncio.run(probe())
    _is_the_installations(settings)
    return True, f"{settings.object_store_url} keeps, reads ranges and deletes"


def _is_the_installations(settings: Settings) -> None:
    """Raises OtherStore. What ails the database is said beside its own name."""
    ails = (PostgresFailed, OSError, asyncpg.PostgresError, SQLAlchemyError)
    with contextlib.suppress(*ails), _database_url(settings) as url:
        if asyncio.run(is_current(url)):
            asyncio.run(_check_store(settings, url))


async def _check_store(settings: Settings, url: str) -> None:
    database = Database(url)
    try:
        await check_store(settings, database)
    finally:
        await database.close()


def _codecs(_: Settings) -> tuple[bool, str]:
    missing = [
        f"{name} ({mode})"
        for name, mode in (("libopus", "w"), ("libopus", "r"), ("aac", "w"), ("aac", "r"))
        if not _has_codec(name, mode)
    ]
    text = f"Opus and AAC through PyAV {av.__version__}"
    return not missing, text if not missing else f"PyAV lacks {', '.join(missing)}; reinstall av"


def _has_codec(name: str, mode: str) -> bool:
    try:
        av.codec.Codec(name, mode)  # type: ignore[arg-type]
    except ValueError:
        return False
    return True


def _udp(_: Settings) -> tuple[bool, str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER)
        granted = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    # Linux reports twice what it grants.
    kib = granted // (2048 if sys.platform == "linux" else 1024)
    if kib * 1024 >= UDP_BUFFER:
        return True, f"receive buffer {kib} KiB"
    return False, f"receive buffer only {kib} KiB; run: sysctl -w net.core.rmem_max={UDP_BUFFER}"


def _addresses(settings: Settings) -> tuple[bool, str]:
    found = [host for host, _ in asyncio.run(public_addresses(settings))]
    listening = settings.ingest_udp_host
    deaf = [a for a in found if (":" in a) != (":" in listening) and listening != "::"]
    if deaf:
        return False, f"{', '.join(deaf)}: set ENCORE_INGEST_UDP_HOST to ::, it is {listening}"
    relays = len(settings.turn_urls)
    text = f"speakers' media comes to {', '.join(found)}"
    return True, f"{text}, or by {relays} TURN URL{'s' * (relays > 1)}" if relays else text


def _ports(settings: Settings) -> tuple[bool, str]:
    taken = []
    for name in ("web", "edge", "receive", *(("stripe",) if wants_sandbox(settings) else ())):
        if runs_here(settings, name):
            continue
        try:
            check_ports(settings, (name,))
        except PortTaken as problem:
            taken.append(problem.detail)
    if taken:
        return False, "; ".join(taken)
    ports = [settings.web_port, settings.edge_port, settings.ingest_port]
    if wants_sandbox(settings):
        ports.append(settings.sandbox_port)
    tcp = ", ".join(map(str, ports))
    whose = "Encore's own, which runs" if runs_here(settings, "web") else "free"
    return True, f"TCP {tcp} and UDP {settings.ingest_udp_port} are {whose}"


def _files(_: Settings) -> tuple[bool, str]:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ok = soft >= OPEN_FILES
    return ok, f"{soft} open files" if ok else f"{soft} open files; run: ulimit -n 65536"


def _model(settings: Settings) -> tuple[bool, str]:
    """What transcripts and captions are made with. One of the hub is best fetched before."""
    wanted = dict.fromkeys((settings.transcribe_model, settings.caption_model))
    found = [locate(name, settings.models_folder) for name in wanted if name]
    shown = (f"{m.name} ({m.bytes / 1e6:.0f} MB, sha-256 {m.digest[:12]})" for m in found)
    return True, f"{', '.join(shown)} on {settings.transcribe_device}"


def _keys(settings: Settings) -> tuple[bool, str]:
    secret = settings.secret_key
    if secret is not None:
        ok = len(secret.get_secret_value()) >= MIN_SECRET_BYTES
        return (
            ok,
            "ENCORE_SECRET_KEY is set" if ok else "ENCORE_SECRET_KEY: use 32 characters or more",
        )
    if settings.environment is Environment.PRODUCTION:
        return False, "set ENCORE_SECRET_KEY: machines that share a database share it"
    path: Path = settings.data_dir / "secret_key"
    return True, f"{path} {'is there' if path.exists() else 'is made at the first start'}"


def _money(settings: Settings) -> tuple[bool, str]:
    if settings.stripe_key is None:
        off = "no ENCORE_STRIPE_KEY: nothing is sold"
        here = "test money, of this machine's sandbox"
        return _looked_at(settings, here if wants_sandbox(settings) else off)
    text = LIVE if livemode_of(settings.stripe_key.get_secret_value()) else "test money"
    if not settings.webhook_secrets:
        return False, f"{text}, but set ENCORE_STRIPE_WEBHOOK_SECRETS: nothing is heard of payments"
    if text == LIVE and not settings.seller_lines:
        return False, f"{text}, but set ENCORE_SELLER: receipts name nobody who sold anything"
    return _looked_at(settings, text)


def _looked_at(settings: Settings, text: str) -> tuple[bool, str]:
    """What is set aside is to be looked at, whatever the books lie in. What ails the embedded
    server is said beside its own name."""
    aside = 0
    with contextlib.suppress(PostgresFailed), _database_url(settings) as url:
        aside = asyncio.run(_aside(url))
    things = "thing of Stripe's waits" if aside == 1 else "things of Stripe's wait"
    return (
        not aside,
        f"{text}; {aside} {things} for somebody: encore money check" if aside else text,
    )


async def _aside(url: str) -> int:
    """Of a database that has never been set up, or not by this version, nothing is known."""
    if not await is_current(url):
        return 0
    database = Database(url)
    try:
        async with database.transaction() as session:
            return len(await alerts.waiting(session))
    finally:
        await database.close()


CHECKS: dict[str, Callable[[Settings], tuple[bool, str]]] = {
    "python": _python,
    "disk": _disk,
    "database": _database,
    "workers": _workers,
    "storage": _storage,
    "codecs": _codecs,
    "udp": _udp,
    "addresses": _addresses,
    "ports": _ports,
    "files": _files,
    "model": _model,
    "keys": _keys,
    "money": _money,
}
