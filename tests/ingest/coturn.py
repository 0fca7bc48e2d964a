"""A TURN relay on loopback: Debian's coturn, over TCP alone, that reaches nobody but us."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.addresses import bound_socket
from core.settings import Settings
from tests.ingest.receiving import eventually

SHARED = "a secret that the relay has too"


def settings(*urls: str) -> Settings:
    return Settings(_env_file=None, turn_urls=urls, turn_secret=SecretStr(SHARED))


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[str]:
    """Its URL."""
    turnserver = shutil.which("turnserver")
    if turnserver is None:
        pytest.skip("no TURN server here: apt-get install coturn")
    with bound_socket("127.0.0.1", 0, socket.SOCK_STREAM) as probe:
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(turnserver, "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1"),
        *(f"--listening-port={port}", "--no-udp", "--no-tls", "--no-dtls", "--no-cli"),
        *("--allow-loopback-peers", "--use-auth-secret", f"--static-auth-secret={SHARED}"),
        *("--denied-peer-ip=0.0.0.0-255.255.255.255", "--allowed-peer-ip=127.0.0.1"),
        *("--realm=encore", "--no-stdout-log", f"--log-file={tmp_path / 'turn.log'}"),
        *(f"--pidfile={tmp_path / 'turn.pid'}", f"--userdb={tmp_path / 'turn.db'}"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await eventually(lambda: _listens(port))
        yield f"turn:127.0.0.1:{port}?transport=tcp"
    finally:
        process.terminate()
        await process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
