"""A whole Encore over a folder of its own, started as a user would: `encore up`."""

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from core.postgres_account import ELSEWHERE

START_SECONDS = 60.0
STOP_SECONDS = 30.0
PORTS = (20_000, 32_000)
NO_SETTINGS: Mapping[str, str] = {}


def free_ports(kinds: list[socket.SocketKind]) -> list[int]:
    """All different, each free when it was looked at.

    Below those that the system gives to whoever asks for any: between the look and the start of
    the stack, connections of other tests would take one of these.
    """
    ports: list[int] = []
    with ExitStack() as held:
        for kind in kinds:
            ports.append(_take_port(held, kind))
    return ports


def _take_port(held: ExitStack, kind: socket.SocketKind) -> int:
    while True:
        bound = held.enter_context(socket.socket(socket.AF_INET, kind))
        with suppress(OSError):
            bound.bind(("127.0.0.1", random.randrange(*PORTS)))  # noqa: S311 - no secret
            port: int = bound.getsockname()[1]
            return port


def free_port_settings() -> dict[str, str]:
    """The environment that puts every listening process on a free port."""
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    names = ("WEB_PORT", "EDGE_PORT", "INGEST_PORT", "INGEST_UDP_PORT", "SANDBOX_PORT")
    ports = free_ports([tcp, tcp, tcp, udp, tcp])
    return {f"ENCORE_{name}": str(port) for name, port in zip(names, ports, strict=True)}


def own_address() -> dict[str, str]:
    """The header of somebody with an address of their own, as by the proxy that a stack trusts:
    from one only so many accounts are made in an hour."""
    address = ".".join(str(secrets.randbelow(256)) for _ in range(3))
    return {"X-Forwarded-For": f"10.{address}"}


class Stack:
    """`start` and `stop` may be called again and again over the same folder.

    `settings` are environment variables of its processes.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] = NO_SETTINGS) -> None:
        self.folder = folder
        self._settings = dict(settings)
        self._ports = free_port_settings()
        self.web_url = f"http://127.0.0.1:{self._ports['ENCORE_WEB_PORT']}"
        self.edge_url = f"http://127.0.0.1:{self._ports['ENCORE_EDGE_PORT']}"
        self.ingest_url = f"http://127.0.0.1:{self._ports['ENCORE_INGEST_PORT']}"
        self.log_file = folder / "up.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def environment(self) -> dict[str, str]:
        unset = {k: v for k, v in os.environ.items() if not k.startswith(("ENCORE_", "DATABASE_"))}
        ours = {
            **self._ports,
            "ENCORE_DATA_DIR": str(self.data_dir),
            "ENCORE_CAPTIONS": "off",
            "ENCORE_TRANSCRIPTS": "off",
            "ENCORE_SANDBOX": "off",
            "ENCORE_TRUSTED_PROXIES": '["127.0.0.0/8"]',
        }
        return {**unset, **ours, **self._settings}

    def start(self) -> None:
        """Returns when pages, API, edge and WHIP answer."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "web.cli", "up"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        for url in (self.web_url, self.edge_url, self.ingest_url):
            while not _answers(f"{url}/healthz"):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"encore up did not start: {self.log()[-3000:]}")
                time.sleep(0.05)

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECONDS)

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def pid_of(self, name: str) -> int:
        """The process id of a running part (`receive`, `package`, ...)."""
        return int((self.data_dir / f"{name}.pid").read_text())

    def postgres_pid(self) -> int | None:
        for pid_file in self._postgres_folder.rglob("postmaster.pid"):
            if lines := pid_file.read_text().splitlines():  # it is empty for a moment
                return int(lines[0])
        return None

    @property
    def _postgres_folder(self) -> Path:
        """Where root may not use the folder that it asked for, another one."""
        asked = self.data_dir / "postgres"
        note = asked / ELSEWHERE
        return Path(note.read_text().strip()) if note.exists() else asked

    def remove(self) -> None:
        """Stops, and takes away what is not below its folder."""
        self.stop()
        if not self._postgres_folder.is_relative_to(self.folder):
            shutil.rmtree(self._postgres_folder)

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - loopback
            return int(response.status) == 200
    except urllib.error.HTTPError as answer:
        return answer.code < 500  # the receiving process has WHIP alone
    except OSError:
        return False


@contextmanager
def running_stack(folder: Path, settings: Mapping[str, str] = NO_SETTINGS) -> Iterator[Stack]:
    stack = Stack(folder, settings)
    try:
        stack.start()
        yield stack
    finally:
        stack.remove()
