"""RTP: what is forged, replayed, malformed or too much is dropped and counted; a session has a
bounded number of streams, and libsrtp keeps nothing of the others.
"""

import random
import time
from itertools import accumulate, count

import pylibsrtp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.endpoint import Dropped
from ingest.journal import NO_LEVEL
from ingest.peer import MAX_STREAMS, Peer
from ingest.rtp import RtpError, pack, parse
from tests.hostile.arena import EVE, MAX_DATAGRAM, Arena, Knocker, Voice, growth_kb
from tests.hostile.test_stun import mutated
from tests.ingest.client import LEVEL_ID, PAYLOAD_TYPE, Client
from tests.ingest.receiving import eventually
from tests.ingest.test_peer import HERE, Kept, hear, knock, make_peer, shake_hands

LONG_AGO = 1100
"""Further back than the replay window of 1,024 packets."""


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def peer(client: Client) -> Peer:
    peer = make_peer(client)
    knock(peer, HERE)
    shake_hands(peer, client)
    peer.sink, peer.kept = Kept(), True
    return peer


def kept(peer: Peer) -> int:
    assert isinstance(peer.sink, Kept)
    return len(peer.sink.packets)


async def test_media_of_strangers_of_any_size_is_dropped(arena: Arena, stranger: Knocker) -> None:
    sizes = [*range(64), 500, 1200, 1599, 1600, 1601, 9000, MAX_DATAGRAM]
    before = arena.endpoint.unknown
    await arena.take(stranger, *(b"\x80" * n for n in sizes))
    assert arena.endpoint.unknown - before == len(sizes)
    assert stranger.received() == []


async def test_forged_packets_from_a_speakers_own_address_are_refused(arena: Arena) -> None:
    """Spoofed source: the address is right, the key is not. Damaged ones are the same."""
    draw = random.Random(4)  # noqa: S311 - a test's dice
    client = arena.ada.client
    good = client.rtp(1, ssrc=9, payload_type=99)
    fuzz = [b"\x80" + mutated(draw, good)[1:] for _ in range(500)]
    sizes = [b"\x90" * n for n in (*range(12, 40), 1199, 1600, 4000, MAX_DATAGRAM)]
    before = arena.dropped
    await arena.take(arena.ada, *fuzz, *sizes)
    refused = sum(
        arena.dropped.get(k, 0) - before.get(k, 0)
        for k in (Dropped.REFUSED_RTP, Dropped.REFUSED_RTCP, Dropped.STRANGE_MEDIA)
    )
    assert refused == len(fuzz) + len(sizes)


async def test_any_payload_type_but_the_negotiated_one_is_refused(arena: Arena, eve: Voice) -> None:
    others = [n for n in range(128) if n != PAYLOAD_TYPE and not 64 <= n <= 95]
    await arena.take(eve, *(eve.client.rtp(n, ssrc=9, payload_type=n) for n in others))
    assert arena.dropped[Dropped.REFUSED_RTP] == len(others)
    assert eve.peer.streams == {}


async def test_headers_that_lie_are_refused_though_they_are_authentic(
    arena: Arena, eve: Voice
) -> None:
    """CSRC counts, extensions and paddings that end behind the packet."""
    srtp = eve.client._srtp
    assert srtp is not None
    head = (PAYLOAD_TYPE).to_bytes(1, "big") + b"\x00\x01" + bytes(4) + b"\x00\x00\x00\x09"
    lies = [
        b"\xa0" + head + b"opus\xff",  # padding of 255 bytes
        b"\xa0" + head + b"opus\x00",  # padding of none
        b"\xb0" + head + b"\xbe\xde\x00\x01\xe0\x1e\x00\xff",
    ]
    sent = 0
    for number, plain in enumerate(lies, 1):
        numbered = plain[:2] + number.to_bytes(2, "big") + plain[4:]
        await arena.take(eve, bytes(srtp.protect(numbered)))
        sent += 1
    for plain in (b"\x8f" + head, b"\x90" + head + b"\xbe\xde\xff\xff"):
        with pytest.raises(pylibsrtp.Error):
            srtp.protect(plain)  # no library sends them: the receiver's refuses them too
    assert arena.dropped[Dropped.REFUSED_RTP] == sent
    assert eve.peer.streams == {}


def test_streams_without_end_leave_nothing_behind(peer: Peer, client: Client) -> None:
    """A new SSRC in each packet: MAX_STREAMS are taken, the others cost no memory."""
    numbers = count(1)
    for _ in range(MAX_STREAMS):
        assert hear(peer, client.rtp(1, ssrc=next(numbers)))

    def attack() -> None:
        fresh = Client._srtp_of(client) if hasattr(Client, "_srtp_of") else client
        for _ in range(100):
            assert not hear(peer, fresh.rtp(1, ssrc=next(numbers)), now=1e9)

    assert growth_kb(attack, times=20) < 20 * 100 // 2, "a sender's own state alone is 270 bytes"
    assert len(peer.streams) == kept(peer) == MAX_STREAMS


def test_a_packet_costs_the_same_after_thousands_of_foreign_streams(
    peer: Peer, client: Client
) -> None:
    """libsrtp looks through all streams that it knows for every packet."""
    assert hear(peer, client.rtp(1, ssrc=77))
    seqs = count(2)
    fresh = [client.rtp(next(seqs), ssrc=77) for _ in range(400)]
    strange = [client.rtp(1, ssrc=n) for n in range(1000, 5000)]

    def seconds(packets: list[bytes]) -> float:
        began = time.process_time()
        assert all(hear(peer, p, now=1e9 + time.monotonic()) for p in packets)
        return time.process_time() - began

    before = seconds(fresh[:200])
    for packet in strange:
        hear(peer, packet, now=1e9 + time.monotonic())
    assert len(peer.streams) == MAX_STREAMS
    assert seconds(fresh[200:]) < 5 * before


def test_replays_within_the_window_and_behind_it_are_refused(peer: Peer, client: Client) -> None:
    recorded = [client.rtp(n) for n in range(1, LONG_AGO + 200)]
    assert all(hear(peer, p, now=n) for n, p in enumerate(recorded))
    before = kept(peer)
    assert not any(hear(peer, p, now=1e6 + n) for n, p in enumerate(recorded))
    assert kept(peer) == before


def test_replays_after_a_restart_are_refused(peer: Peer, client: Client) -> None:
    """The successor takes up each stream at its last position: what was before stays before."""
    recorded = [client.rtp(n) for n in range(1, LONG_AGO + 200)]
    for n, packet in enumerate(recorded):
        hear(peer, packet, now=n)
    assert peer.keys is not None
    heir = make_peer()
    heir.resume(peer.keys, HERE, peer.positions())
    heir.sink, heir.kept = Kept(), True
    behind = recorded[:-1024]
    assert not any(hear(heir, p, now=1e6 + n) for n, p in enumerate(behind))
    assert not hear(heir, recorded[-1], now=2e6), "the last one, too"
    assert hear(heir, client.rtp(LONG_AGO + 200), now=3e6)


async def test_a_replay_reaches_the_journal_once(arena: Arena, eve: Voice) -> None:
    packet = eve.client.rtp(5, ssrc=int(EVE))
    await arena.take(eve, *[packet] * 50)
    await eventually(lambda: len(arena.journal.said(EVE)) == 1)
    assert arena.dropped[Dropped.REFUSED_RTP] == 49


async def test_wild_sequence_numbers_and_times_reach_the_journal_as_they_are(
    arena: Arena, eve: Voice
) -> None:
    """They are authentic; placing them is the packager's affair. Statistics stay in range."""
    draw = random.Random(5)  # noqa: S311 - a test's dice
    seqs = accumulate(draw.randint(1, 30_000) for _ in range(300))
    srtp = eve.client._srtp
    assert srtp is not None
    packets = [
        pack(
            payload_type=PAYLOAD_TYPE,
            seq=seq & 0xFFFF,
            timestamp=draw.randrange(1 << 32),
            ssrc=int(EVE),
            payload=draw.randbytes(9),
        )
        for seq in seqs
    ]
    await arena.take(eve, *(bytes(srtp.protect(p)) for p in packets))
    assert len(arena.journal.said(EVE)) == 300
    report = eve.peer.streams[int(EVE)].report(1e6)
    assert 0 <= report.jitter <= 0xFFFFFFFF
    assert 0 <= report.fraction_lost <= 255
    assert eve.peer.report(1, "c", 1e6) is not None


@settings(deadline=None)
@given(data=st.binary(max_size=120), level_id=st.integers(0, 255))
def test_any_bytes_are_a_packet_within_its_bounds_or_none(data: bytes, level_id: int) -> None:
    for packet in (data, b"\x90\x6f" + data, b"\xbf\x6f" + data):
        try:
            read = parse(packet, len(packet), level_id)
        except RtpError:
            continue
        assert 12 <= read.start <= read.end <= len(packet)
        assert read.level == NO_LEVEL or 0 <= read.level <= 127


@settings(deadline=None)
@given(
    csrc=st.integers(0, 15),
    words=st.integers(0, 0xFFFF),
    profile=st.sampled_from([0xBEDE, 0x1000, 0x100F, 0, 0xFFFF]),
    body=st.binary(max_size=300),
    padding=st.booleans(),
)
def test_counts_and_lengths_that_lie_are_caught(
    csrc: int, words: int, profile: int, body: bytes, padding: bool
) -> None:
    head = bytes([0x90 | padding << 5 | csrc, 111]) + bytes(10 + 4 * csrc)
    packet = head + profile.to_bytes(2, "big") + words.to_bytes(2, "big") + body
    try:
        read = parse(packet, len(packet), LEVEL_ID)
    except RtpError:
        assert words * 4 > len(body) or padding
        return
    assert read.start == len(head) + 4 + words * 4
    assert read.end <= len(packet)
