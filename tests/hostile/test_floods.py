"""Floods: what strangers send costs less than what a speaker does, takes no memory, and the
room's packets come through.
"""

import random
import time
from collections.abc import Iterator

import pytest

from ingest.endpoint import Dropped
from ingest.receive_metrics import DATAGRAMS, ReceiveMetrics
from tests.hostile.arena import EVE, OWN_ADDRESSES, Arena, Knocker, Voice, resident_kb
from tests.ingest.client import Client, check

PORTION = 100


def rubbish(draw: random.Random) -> Iterator[bytes]:
    """One of each class in turn: media, checks of nobody, hellos, and what is spoken nowhere."""
    hello = Client().step([])[0]
    nobody = check("nobody", "nobody")
    while True:
        yield b"\x80\x6f" + draw.randbytes(160)
        yield b"\x80\xc8" + draw.randbytes(60)
        yield nobody
        yield hello
        yield bytes([draw.choice([4, 99, 200, 255])]) + draw.randbytes(30)


def some(flood: Iterator[bytes], count: int) -> list[bytes]:
    return [next(flood) for _ in range(count)]


@pytest.mark.skipif(not OWN_ADDRESSES, reason="loopback has one address here")
async def test_a_flood_from_many_addresses_loses_nothing_and_is_counted(arena: Arena) -> None:
    """A hundred datagrams of strangers for each of the speaker's, for as long as it takes."""
    flood = rubbish(random.Random(6))  # noqa: S311 - a test's dice
    strangers = [Knocker(arena.endpoint.port, f"127.0.0.{n}") for n in range(100, 120)]
    before = arena.endpoint.unknown
    for portion in range(100):
        await arena.take(strangers[portion % 20], *some(flood, PORTION))
    assert arena.endpoint.unknown - before == 100 * PORTION
    assert all(s.received() == [] for s in strangers), "nothing is sent to whom it may not concern"
    for stranger in strangers:
        stranger.socket.close()


@pytest.mark.slow
async def test_what_strangers_send_takes_no_memory(arena: Arena, stranger: Knocker) -> None:
    flood = rubbish(random.Random(7))  # noqa: S311 - a test's dice
    await arena.take(stranger, *some(flood, 3000))
    before = resident_kb()
    datagrams = some(flood, 6000)
    sent = sum(map(len, datagrams))
    del datagrams
    await arena.take(stranger, *some(flood, 6000))
    assert (resident_kb() - before) * 1024 < sent / 2


@pytest.mark.slow
async def test_a_strangers_datagram_costs_less_than_a_speakers(
    arena: Arena, stranger: Knocker, eve: Voice
) -> None:
    """CPU of the whole process, sending included, which is the same for both."""
    flood = rubbish(random.Random(8))  # noqa: S311 - a test's dice
    seq = iter(range(1, 100_000))

    async def seconds(sender: Knocker, datagrams: list[bytes]) -> float:
        began = time.process_time()
        await arena.take(sender, *datagrams)
        return time.process_time() - began

    ratios: list[float] = []
    for _ in range(5):
        theirs = await seconds(stranger, some(flood, 1000))
        eves = [eve.client.rtp(next(seq), ssrc=int(EVE), payload=bytes(80)) for _ in range(1000)]
        ratios.append(theirs / await seconds(eve, eves))
    assert sorted(ratios)[2] < 1.2, ratios


async def test_refused_datagrams_are_told_by_class(arena: Arena, stranger: Knocker) -> None:
    """`encore_ingest_datagrams_total{kind=...}`: every class of drop, and all of them."""
    metrics = ReceiveMetrics()
    metrics.observe(arena.receiver)
    before = {kind: _told(kind) for kind in Dropped}
    await arena.take(
        stranger,
        b"\x80" * 40,
        check("nobody", "x"),
        Client().step([])[0],
        b"\xff",
        check(arena.ada.peer.credentials.ufrag, "guessed"),
    )
    await arena.take(arena.ada, b"\x80\x6f" + bytes(40), b"\x80\xc8" + bytes(40))
    metrics.observe(arena.receiver)
    grown = {kind for kind in Dropped if _told(kind) > before[kind]}
    assert grown == set(Dropped) - {Dropped.REFUSED_DTLS}


def _told(kind: str) -> float:
    return float(DATAGRAMS.labels(kind)._value.get())


async def test_a_client_that_moves_with_every_datagram_writes_no_file_each_time(
    arena: Arena, eve: Voice
) -> None:
    """Its session file is written when it connects, then with the others, once a second."""
    folder = arena.folder / "sessions"
    path = folder / f"{eve.peer.session_id}.json"
    other = Knocker(arena.endpoint.port)
    written = path.stat().st_mtime_ns
    for _ in range(20):
        await arena.take(other, eve.check())
        await arena.take(eve, eve.check())
    assert path.stat().st_mtime_ns == written
    await arena.take(other, eve.check())
    arena.receiver._sessions.save_moved(arena.endpoint.peers)
    assert path.stat().st_mtime_ns > written
    assert str(other.address[1]) in path.read_text()
    other.socket.close()


async def test_a_speaker_who_floods_is_cut_to_what_opus_can_need(arena: Arena, eve: Voice) -> None:
    packets = [eve.client.rtp(n, ssrc=int(EVE), payload=bytes(1100)) for n in range(1, 2001)]
    await arena.take(eve, *packets)
    kept = len(arena.journal.said(EVE))
    assert 0 < kept < 1500
    assert arena.dropped[Dropped.REFUSED_RTP] == len(packets) - kept
