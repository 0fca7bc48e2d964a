"""Speakers over IPv6, on a socket for both families, and behind a port that NAT maps."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.addresses import bound_socket
from core.db import Database
from core.settings import Settings
from demo.speaker import Speaker
from ingest.udp import open_socket
from tests.ingest.receiving import SECRET, Hall, eventually, receiving

pytestmark = pytest.mark.slow


def settings_with(url: str, data_dir: Path, **values: object) -> Settings:
    return Settings(
        _env_file=None,
        database_url=SecretStr(url),
        data_dir=data_dir,
        secret_key=SecretStr(SECRET),
        **{"ingest_port": 0, "ingest_udp_port": 0, **values},  # type: ignore[arg-type]
    )


async def check_heard(hall: Hall, data_dir: Path, whip_url: str) -> None:
    """A speaker's packets reach the journal."""
    guest = await hall.guest()
    async with Speaker() as speaker:
        await speaker.connect(whip_url, guest.token)
        await eventually(lambda: len(hall.journal(data_dir).said(guest.participant_id)) >= 10)


async def test_over_ipv6_alone(database: Database, postgres_url: str, tmp_path: Path) -> None:
    hall = Hall(database)
    await hall.go_live()
    settings = settings_with(postgres_url, tmp_path, ingest_host="::1", ingest_udp_host="::1")
    async with receiving(settings):
        whip_url = await hall.whip_url()
        assert whip_url.startswith("http://[::1]:")
        await check_heard(hall, tmp_path, whip_url)


async def test_over_both_families(database: Database, postgres_url: str, tmp_path: Path) -> None:
    hall = Hall(database)
    await hall.go_live()
    settings = settings_with(
        postgres_url,
        tmp_path,
        ingest_host="::",
        ingest_url="http://[::1]:1",
        ingest_udp_host="::",
        ingest_public_address="127.0.0.1, ::1",
    )
    with bound_socket("::", 0, socket.SOCK_STREAM) as probe:
        port = probe.getsockname()[1]
    settings = settings.model_copy(update={"ingest_port": port})
    async with receiving(settings):
        path = (await hall.whip_url()).removeprefix("http://[::1]:1")
        for host in ("127.0.0.1", "[::1]"):
            await check_heard(hall, tmp_path, f"http://{host}:{port}{path}")


async def test_behind_a_mapped_port(database: Database, postgres_url: str, tmp_path: Path) -> None:
    """The answer names the port of the NAT, which alone leads to the receiver's."""
    hall = Hall(database)
    await hall.go_live()
    with open_socket("127.0.0.1", 0) as probe:
        inside = probe.getsockname()[1]
    async with nat(inside) as outside:
        settings = settings_with(
            postgres_url,
            tmp_path,
            ingest_udp_port=inside,
            ingest_public_address=f"127.0.0.1:{outside.port}",
        )
        async with receiving(settings):
            await check_heard(hall, tmp_path, await hall.whip_url())
    assert outside.passed > 10


class Nat(asyncio.DatagramProtocol):
    """Maps one port to another: a socket towards the receiver for each client."""

    def __init__(self, inside: int) -> None:
        self._inside = inside
        self._ways: dict[tuple[str, int], asyncio.DatagramTransport] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self.passed = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._outside = transport
        self.port = int(transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        self.passed += 1
        if client in self._ways:
            self._ways[client].sendto(data)
        else:
            task = asyncio.create_task(self._open(client, data))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, client: tuple[str, int], data: bytes) -> None:
        nat = self

        class Way(asyncio.DatagramProtocol):
            def datagram_received(self, answer: bytes, _: tuple[str, int]) -> None:
                nat._outside.sendto(answer, client)

        loop = asyncio.get_running_loop()
        way, _ = await loop.create_datagram_endpoint(Way, remote_addr=("127.0.0.1", self._inside))
        self._ways[client] = way
        way.sendto(data)

    def close(self) -> None:
        for way in (*self._ways.values(), self._outside):
            way.close()


@asynccontextmanager
async def nat(inside: int) -> AsyncIterator[Nat]:
    loop = asyncio.get_running_loop()
    _, outside = await loop.create_datagram_endpoint(
        lambda: Nat(inside), local_addr=("127.0.0.1", 0)
    )
    try:
        yield outside
    finally:
        outside.close()
