"""Runs the processes of one machine: starts, restarts what dies, ends them in order."""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from pydantic import SecretStr
from pydantic_core import to_jsonable_python

from core.addresses import bound_socket, http_url
from core.errors import Problem
from core.keys import load_secret
from core.settings import Settings
from core.storage import StoreUnavailable, open_store
from core.storage.folder import FolderStore
from payouts.packs import check_packs
from web.processes import GO
from web.sandbox import LOOPBACK, wants_sandbox, with_sandbox

log = logging.getLogger(__name__)

STOP_ORDER = (
    ("receive",),
    ("package",),
    ("captions", "work", "transcribe", "web", "edge", "stripe"),
)
"""First nothing new comes in, then what came is brought away, then the rest ends at once."""

STANDBY = ("receive",)
"""Each has a second process that has loaded its code and waits: its gap is a blink, not a start."""

STOP_SECONDS = 10.0
READY_SECONDS = 60.0
PRIVATE_FOLDERS = ("journal", "spool", "objects", "sessions", "stages", "outbox")
FIRST_RESTART_SECONDS = 0.05
LONGEST_RESTART_SECONDS = 5.0
STABLE_SECONDS = 10.0


class AlreadyRunning(Problem):
    status = 409
    code = "already_running"
    title = "Encore already runs over this data folder"


class PortTaken(Problem):
    status = 409
    code = "port_taken"
    title = "A port that Encore needs is in use"


class DataDirUnusable(Problem):
    status = 503
    code = "data_dir_unusable"
    title = "Encore cannot write to its data folder"


class NotReady(Problem):
    status = 503
    code = "not_ready"
    title = "A process did not come up"


@dataclass(slots=True)
class Child:
    """One process and the task that keeps it running."""

    name: str
    process: asyncio.subprocess.Process | None = None
    spare: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Supervisor:
    """The processes `names` over one `settings`; its database URL must be set."""

    settings: Settings
    names: tuple[str, ...]
    stopping: bool = False
    children: dict[str, Child] = field(default_factory=dict)

    async def start(self) -> None:
        for name in self.names:
            child = self.children[name] = Child(name)
            await self._spawn(child)
            child.keeper = asyncio.create_task(self._keep(child), name=f"keep-{name}")

    async def ready(self) -> None:
        """Returns when every process that listens does; raises NotReady after a minute."""
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        for name, (host, port) in listening(self.settings).items():
            if name not in self.names:
                continue
            while not await _accepts(host, port):
                if asyncio.get_running_loop().time() > deadline:
                    raise NotReady(f"{name} does not listen on {host}:{port}; see the log above")
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        self.stopping = True
        for names in STOP_ORDER:
            ending = [self._stop(self.children[n]) for n in names if n in self.children]
            await asyncio.gather(*ending)

    async def _spawn(self, child: Child) -> None:
        """The spare takes over when there is one; the next spare loads beside the new process."""
        if child.spare is not None and child.spare.returncode is None:
            child.process, child.spare = child.spare, None
            await _wake(child.process)
        else:
            child.process = await self._launch(child.name)
        _write_pid(self._pid_file(child), child.process.pid)
        if child.name in STANDBY:
            child.spare = await self._launch(child.name, "--standby")

    async def _launch(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "web.cli",
            "process",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            env={**os.environ, **environment(self.settings)},
            start_new_session=True,  # Ctrl-C reaches the supervisor alone: it ends them in order
        )

    async def _keep(self, child: Child) -> None:
        delay = FIRST_RESTART_SECONDS
        while True:
            assert child.process is not None  # noqa: S101 - _spawn ran
            started = asyncio.get_running_loop().time()
            code = await child.process.wait()
            if self.stopping:
                return
            if asyncio.get_running_loop().time() - started > STABLE_SECONDS:
                delay = FIRST_RESTART_SECONDS
            log.error("%s ended with code %s; starting it again", child.name, code)
            await asyncio.sleep(delay)
            delay = min(delay * 4, LONGEST_RESTART_SECONDS)
            await self._spawn(child)

    async def _stop(self, child: Child) -> None:
        for process in (child.spare, child.process):
            if process is not None and process.returncode is None:
                await _end(child.name, process)
        self._pid_file(child).unlink(missing_ok=True)

    def _pid_file(self, child: Child) -> Path:
        return self.settings.data_dir / f"{child.name}.pid"


def _write_pid(file: Path, pid: int) -> None:
    draft = file.with_suffix(".pid-draft")  # who reads the file never meets it half written
    draft.write_text(str(pid))
    draft.replace(file)


async def _wake(spare: asyncio.subprocess.Process) -> None:
    assert spare.stdin is not None  # noqa: S101 - it was made with a pipe
    with contextlib.suppress(ConnectionError):
        spare.stdin.write(GO)
        await spare.stdin.drain()


async def _end(name: str, process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        log.warning("%s did not end in %.0f s; killed", name, STOP_SECONDS)
        process.kill()
        await process.wait()


def environment(settings: Settings) -> dict[str, str]:
    """What a child's environment lacks to see these settings: it inherits ours and `.env`."""
    inherited = Settings()
    return {
        f"ENCORE_{name.upper()}": _as_text(value)
        for name, value in settings
        if value is not None and value != getattr(inherited, name)
    }


def _as_text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value if isinstance(value, str) else json.dumps(to_jsonable_python(value)).strip('"')


def listening(settings: Settings) -> dict[str, tuple[str, int]]:
    """The TCP address of each process that has one."""
    return {
        "web": (settings.web_host, settings.web_port),
        "edge": (settings.edge_host, settings.edge_port),
        "receive": (settings.ingest_host, settings.ingest_port),
        "stripe": (LOOPBACK, settings.sandbox_port),
    }


async def _accepts(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def check_ports(settings: Settings, names: tuple[str, ...]) -> None:
    """Raises PortTaken, naming the setting, before anything is started."""
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    wanted = [
        ("web", tcp, settings.web_host, settings.web_port, "ENCORE_WEB_PORT"),
        ("edge", tcp, settings.edge_host, settings.edge_port, "ENCORE_EDGE_PORT"),
        ("receive", tcp, settings.ingest_host, settings.ingest_port, "ENCORE_INGEST_PORT"),
        (
            "receive",
            udp,
            settings.ingest_udp_host,
            settings.ingest_udp_port,
            "ENCORE_INGEST_UDP_PORT",
        ),
        ("stripe", tcp, LOOPBACK, settings.sandbox_port, "ENCORE_SANDBOX_PORT"),
    ]
    for name, kind, host, port, variable in wanted:
        if name in names and (reason := _cannot_bind(kind, host, port)):
            where = http_url(host, port).removeprefix("http://")
            raise PortTaken(f"{where} for {name}: {reason}; set {variable} to another port")


def _cannot_bind(kind: socket.SocketKind, host: str, port: int) -> str | None:
    try:
        bound_socket(host, port, kind).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def runs_here(settings: Settings, name: str) -> bool:
    """Whether a supervisor keeps this process running over the data folder."""
    try:
        with (settings.data_dir / f"supervisor-{name}.lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


@contextlib.contextmanager
def data_folder(settings: Settings, names: tuple[str, ...]) -> Iterator[None]:
    """Makes the data folder and holds it: each process runs once over one folder."""
    with contextlib.ExitStack() as stack:
        for name, lock in _lock_files(settings.data_dir, names).items():
            stack.enter_context(lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise AlreadyRunning(
                    f"{name} runs over {settings.data_dir}; end it, or set ENCORE_DATA_DIR"
                ) from error
        yield


def _lock_files(data_dir: Path, names: tuple[str, ...]) -> dict[str, TextIO]:
    """In folders where what people said is for this account alone."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        for folder in PRIVATE_FOLDERS:
            (data_dir / folder).mkdir(mode=0o700, exist_ok=True)
        return {name: (data_dir / f"supervisor-{name}.lock").open("w") for name in names}
    except OSError as error:
        raise DataDirUnusable(
            f"cannot write to {data_dir} ({error.strerror}); set ENCORE_DATA_DIR to a "
            "folder that you may write to"
        ) from error


def _check_store(settings: Settings) -> None:
    """A folder that somebody named is theirs to make: a disk that is away must not be replaced."""
    store = open_store(settings)
    if isinstance(store, FolderStore) and not store.root.is_dir():
        raise StoreUnavailable(
            f"{store.root} is not there: mount the disk of the object store, or make the folder"
        )


@contextlib.asynccontextmanager
async def running(
    settings: Settings, names: tuple[str, ...], *, embed_database: bool
) -> AsyncIterator[Supervisor]:
    """The processes, ready; ended in order when the block is left.

    Raises DataDirUnusable, AlreadyRunning, PortTaken, StoreUnavailable, and what the database does.
    """
    settings = settings.model_copy(update={"data_dir": settings.data_dir.absolute()})
    if not settings.captions:
        names = tuple(name for name in names if name != "captions")
    if not wants_sandbox(settings):
        names = tuple(name for name in names if name != "stripe")
    check_packs(settings)
    with data_folder(settings, names):
        check_ports(settings, names)
        _check_store(settings)
        load_secret(settings)
        if "stripe" in names:
            settings = with_sandbox(settings)
        from web.database import same_installation, with_database  # a refusal needs none of it

        async with with_database(settings, embed=embed_database, owned=True) as settings:
            await same_installation(settings)
            supervisor = Supervisor(settings, names)
            try:
                await supervisor.start()
                await supervisor.ready()
                yield supervisor
            finally:
                await supervisor.stop()
