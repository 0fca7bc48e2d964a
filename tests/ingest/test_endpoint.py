"""The UDP socket against strangers, floods and clients that move."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from ingest.endpoint import MAX_PER_DRAIN, Endpoint
from ingest.journal import Record
from ingest.peer import Peer
from ingest.udp import open_socket
from tests.ingest.client import Client, check
from tests.ingest.receiving import eventually
from tests.ingest.test_peer import Kept, make_peer

NEVER_S = 3600.0


@dataclass
class Served:
    """An endpoint on loopback and what it has told."""

    established: list[Peer] = field(default_factory=list)
    gone: list[Peer] = field(default_factory=list)
    drains: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpoint = Endpoint(
            open_socket("127.0.0.1", 0),
            on_established=self.established.append,
            on_gone=self.gone.append,
            on_drained=self.drains.append,
        )


class Caller:
    """A client on a socket of its own."""

    def __init__(self, port: int, client: Client | None = None) -> None:
        self.client = client or Client()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.socket.send(datagram)

    def received(self) -> list[bytes]:
        found: list[bytes] = []
        while True:
            try:
                found.append(self.socket.recv(2048))
            except BlockingIOError:
                return found

    def knock(self, peer: Peer, *, password: str | None = None) -> None:
        known = peer.credentials
        self.send(check(known.ufrag, password or known.password))

    async def connect(self, peer: Peer) -> None:
        self.knock(peer)
        await eventually(self.received)
        self.send(*self.client.step([]))

        def step() -> bool:
            self.send(*self.client.step([d for d in self.received() if d[0] >= 20]))
            return self.client.established and peer.established

        await eventually(step)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    served.endpoint.start()
    yield served
    served.endpoint.stop()


@pytest.fixture
async def caller(served: Served) -> AsyncIterator[Caller]:
    caller = Caller(served.endpoint.port)
    yield caller
    caller.socket.close()


async def test_a_session_from_check_to_packet(served: Served, caller: Caller) -> None:
    peer = make_peer(caller.client)
    served.endpoint.add(peer)
    await caller.connect(peer)
    assert served.established == [peer]
    kept = Kept()
    peer.sink, peer.kept = kept, True
    caller.send(*(caller.client.rtp(seq) for seq in range(1, 40)))
    await eventually(lambda: len(kept.packets) == 39)
    assert served.drains == sorted(served.drains)
    assert len(served.drains) < served.endpoint.datagrams, "many datagrams a drain"


async def test_a_client_that_waits_for_the_handshake_is_called(served: Served) -> None:
    """As FFmpeg does: a=setup:passive."""
    caller = Caller(served.endpoint.port, Client(active=False))
    peer = make_peer(caller.client, setup="passive")
    served.endpoint.add(peer)
    caller.knock(peer)

    def step() -> bool:
        caller.send(*caller.client.step([d for d in caller.received() if d[0] >= 20]))
        return caller.client.established and peer.established

    await eventually(step)
    kept = Kept()
    peer.sink, peer.kept = kept, True
    caller.send(caller.client.rtp(1))
    await eventually(lambda: kept.packets)
    caller.socket.close()


async def test_dtls_and_media_of_strangers_are_not_answered(served: Served, caller: Caller) -> None:
    peer = make_peer(caller.client)
    served.endpoint.add(peer)
    hello = caller.client.step([])
    caller.send(*hello, b"\x80" * 60, b"\x80\xc8" + bytes(30), b"\xff", b"", b"\x05" * 9)
    await eventually(lambda: served.endpoint.unknown == len(hello) + 5)
    assert caller.received() == []
    assert not peer.handshaking


async def test_checks_without_the_password_are_not_answered(served: Served, caller: Caller) -> None:
    peer = make_peer(caller.client)
    served.endpoint.add(peer)
    caller.knock(peer, password="guessed")
    await eventually(lambda: served.endpoint.refused == 1)
    caller.send(check("nobody", "x"), b"\x00\x01" + bytes(40))
    await eventually(lambda: served.endpoint.unknown == 2)
    assert caller.received() == []
    assert peer.address is None


async def test_a_flood_of_strangers_does_not_lose_a_speakers_packet(
    served: Served, caller: Caller
) -> None:
    peer = make_peer(caller.client)
    served.endpoint.add(peer)
    await caller.connect(peer)
    kept = Kept()
    peer.sink, peer.kept = kept, True
    stranger = Caller(served.endpoint.port)
    for seq in range(1, 101):
        for _ in range(20):
            stranger.send(b"\x80" * 100)
        caller.send(caller.client.rtp(seq))
        await asyncio.sleep(0)
    await eventually(lambda: len(kept.packets) == 100)
    await eventually(lambda: served.endpoint.unknown == 2000)
    stranger.socket.close()


async def test_after_a_full_drain_it_reads_on_at_once(served: Served, caller: Caller) -> None:
    served.endpoint._pace = served.endpoint._calm_pace = NEVER_S
    for _ in range(MAX_PER_DRAIN + 1):
        caller.send(b"\xff")
    await eventually(lambda: served.endpoint.datagrams > MAX_PER_DRAIN)


async def test_a_drain_that_fails_is_not_the_last(
    served: Served, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: int) -> None:
        served.endpoint._on_drained = served.drains.append
        raise RuntimeError("broken")

    served.endpoint._on_drained = broken
    caller.send(b"\xff")
    await eventually(lambda: "broken" in caplog.text)
    caller.send(b"\xff")
    await eventually(lambda: served.endpoint.datagrams == 2)


async def test_what_was_said_before_somebody_took_the_place_counts(
    served: Served, caller: Caller
) -> None:
    """One drain brings the last packets of a session and the handshake of the next."""
    before = make_peer(caller.client)
    served.endpoint.add(before)
    await caller.connect(before)
    kept = Kept()
    before.sink, before.kept = kept, True
    next_one = Caller(served.endpoint.port)
    after = make_peer(next_one.client)
    served.endpoint.add(after)
    served.endpoint._on_established = lambda _: setattr(before, "kept", False)
    next_one.knock(after)
    await eventually(next_one.received)
    next_one.send(*next_one.client.step([]))
    last_flight = await eventually(
        lambda: next_one.client.step([d for d in next_one.received() if d[0] >= 20])
    )
    served.endpoint.drain()
    caller.send(caller.client.rtp(1), caller.client.rtp(2))
    next_one.send(*last_flight)
    served.endpoint.drain()
    assert after.established
    assert len(kept.packets) == 2
    next_one.socket.close()


async def test_one_sessions_fault_does_not_end_the_sweep(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Peer) -> None:
        raise RuntimeError("broken")

    peers = [make_peer() for _ in range(2)]
    for number, peer in enumerate(peers):
        peer.session_id, peer.created_at = f"session-{number}", -NEVER_S
        served.endpoint.add(peer)
    served.endpoint._on_gone = broken
    await eventually(lambda: not served.endpoint.peers)
    assert caplog.text.count("RuntimeError: broken") == 2
    sweeps = served.endpoint._sweeps
    await eventually(lambda: served.endpoint._sweeps > sweeps)


async def test_media_follows_the_client_to_another_address(served: Served, caller: Caller) -> None:
    peer = make_peer(caller.client)
    served.endpoint.add(peer)
    await caller.connect(peer)
    kept = Kept()
    peer.sink, peer.kept = kept, True
    moved = Caller(served.endpoint.port, caller.client)
    moved.send(caller.client.rtp(1))
    await eventually(lambda: served.endpoint.unknown == 1)
    moved.knock(peer)
    await eventually(moved.received)
    moved.send(caller.client.rtp(2))
    await eventually(lambda: len(kept.packets) == 1)
    assert peer.address == moved.socket.getsockname()
    assert served.established == [peer, peer], "told again, so that the new address is saved"
    moved.socket.close()


async def test_a_dropped_peer_is_a_stranger(served: Served, caller: Caller) -> None:
    peer = make_peer(caller.client)
    served.endpoint.add(peer)
    await caller.connect(peer)
    served.endpoint.drop(peer)
    served.endpoint.drop(peer)
    assert served.gone == [peer]
    await eventually(lambda: caller.client.step(caller.received()) or caller.client.farewell)
    unknown = served.endpoint.unknown
    caller.knock(peer)
    caller.send(caller.client.rtp(1))
    await eventually(lambda: served.endpoint.unknown == unknown + 2)


async def test_only_the_newest_restart_of_a_session_is_answered(
    served: Served, caller: Caller
) -> None:
    peer = make_peer(caller.client)
    served.endpoint.add(peer)
    old, new = (peer.restart(ufrag) for ufrag in ("Old1", "New2"))
    served.endpoint.register(peer)
    caller.send(check(old.ufrag, old.password, remote_ufrag="Old1"))
    await eventually(lambda: served.endpoint.unknown == 1)
    caller.send(check(new.ufrag, new.password, remote_ufrag="New2"))
    await eventually(caller.received)
    assert peer.credentials == new


async def test_close_notify_drops_the_peer(served: Served, caller: Caller) -> None:
    peer = make_peer(caller.client)
    served.endpoint.add(peer)
    await caller.connect(peer)
    caller.send(*caller.client.leave())
    await eventually(lambda: served.gone == [peer])


async def test_a_wrong_certificate_drops_the_peer(served: Served, caller: Caller) -> None:
    peer = make_peer()
    served.endpoint.add(peer)
    connecting = asyncio.create_task(caller.connect(peer))
    await eventually(lambda: served.gone == [peer])
    connecting.cancel()
    assert not peer.established


async def test_one_datagrams_fault_does_not_silence_the_others(
    served: Served, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Kept):
        def keep(self, record: Record) -> None:
            raise RuntimeError("broken")

    peer = make_peer(caller.client)
    served.endpoint.add(peer)
    await caller.connect(peer)
    peer.sink, peer.kept = Broken(), True
    caller.send(caller.client.rtp(1))
    await eventually(lambda: "could not be handled" in caplog.text)
    kept = Kept()
    peer.sink = kept
    peer.numbers.clear()
    caller.send(caller.client.rtp(2))
    await eventually(lambda: len(kept.packets) == 1)


async def test_an_address_that_another_session_takes_over_is_only_that_ones(
    served: Served, caller: Caller
) -> None:
    """Addresses are remembered as the kernel writes them: until they change hands."""
    before, after = make_peer(caller.client), make_peer(client := Client())
    after.session_id, after.participant_id = "after", before.participant_id
    for peer in (before, after):
        peer.sink, peer.kept = Kept(), True
        served.endpoint.add(peer)
    await caller.connect(before)
    caller.send(caller.client.rtp(1))
    await eventually(lambda: before.streams)
    old, caller.client = caller.client, client
    await caller.connect(after)
    caller.send(old.rtp(2), client.rtp(1))
    await eventually(lambda: after.streams)
    assert before.streams[77].received == after.streams[77].received == 1
    served.endpoint.drop(after)
    refused = served.endpoint.refused
    strange = served.endpoint.unknown
    caller.send(client.rtp(2))
    await eventually(lambda: served.endpoint.unknown > strange)
    assert served.endpoint.refused == refused


def test_the_socket_is_closed_when_its_port_is_taken() -> None:
    first = open_socket("127.0.0.1", 0)
    with pytest.raises(OSError, match="in use"):
        open_socket("127.0.0.1", first.getsockname()[1])
    first.close()
