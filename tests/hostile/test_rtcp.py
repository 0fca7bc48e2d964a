"""RTCP: compound packets that lie are refused whole; replays and floods cost their sender alone."""

import struct
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import rtcp
from ingest.endpoint import Dropped
from ingest.peer import BURST_SECONDS, BYTES_PER_SECOND, Peer
from ingest.rtcp import MAX_MESSAGES, RtcpError, SenderReport
from tests.hostile.arena import Arena, Knocker, Voice, growth_kb
from tests.ingest.client import Client
from tests.ingest.packing import pack_goodbye, pack_sender_report
from tests.ingest.test_peer import HERE, hear, knock, make_peer, shake_hands

REPORT = SenderReport(77, 1 << 40, 960, 3, 9)
EMPTY = b"\x80\xcc\x00\x00"
"""An application packet (APP) of a header only: four bytes, a message each."""


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def peer(client: Client) -> Peer:
    peer = make_peer(client)
    knock(peer, HERE)
    shake_hands(peer, client)
    assert hear(peer, client.rtp(1))
    return peer


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_refused(data: bytes) -> None:
    for packet in (data, b"\x81\xc9" + data, b"\xa0\xc8\x00\x06" + data, EMPTY + data):
        try:
            assert len(rtcp.parse(packet)) <= MAX_MESSAGES
        except RtcpError:
            continue


@settings(deadline=None)
@given(
    kind=st.sampled_from([200, 201, 202, 203, 204, 205]),
    number=st.integers(0, 31),
    words=st.integers(0, 0xFFFF),
    body=st.binary(max_size=64).filter(lambda b: len(b) % 4 == 0),
)
def test_counts_and_lengths_that_lie_are_refused_whole(
    kind: int, number: int, words: int, body: bytes
) -> None:
    packet = struct.pack("!BBH", 0x80 | number, kind, words) + body
    good = pack_sender_report(REPORT)
    try:
        messages = rtcp.parse(good + packet)
    except RtcpError:
        return
    assert messages[0] == REPORT
    assert words * 4 <= len(body)


def test_a_compound_packet_of_hundreds_is_refused() -> None:
    assert rtcp.parse(EMPTY * MAX_MESSAGES) == []
    with pytest.raises(RtcpError, match="too many"):
        rtcp.parse(EMPTY * (MAX_MESSAGES + 1))


async def test_reports_of_strangers_are_dropped(arena: Arena, stranger: Knocker) -> None:
    before = arena.dropped.get(Dropped.STRANGE_MEDIA, 0)
    await arena.take(stranger, *[pack_sender_report(REPORT)] * 100)
    assert arena.dropped[Dropped.STRANGE_MEDIA] - before == 100


async def test_a_forged_bye_ends_nobody(arena: Arena) -> None:
    """Spoofed source, without the key; an authentic one ends nothing either: DELETE does."""
    bye = pack_goodbye([int(arena.ada.participant_id)] * 3)
    await arena.take(arena.ada, bye, arena.ada.client.rtcp(bye))
    assert arena.dropped[Dropped.REFUSED_RTCP] == 1


def test_a_replayed_report_is_refused(peer: Peer, client: Client) -> None:
    recorded = client.rtcp(pack_sender_report(REPORT))
    assert peer.on_rtcp(recorded, 1.0)
    assert not peer.on_rtcp(recorded, 2.0)


def test_a_report_of_before_a_restart_places_nothing(peer: Peer, client: Client) -> None:
    """SRTCP's window begins anew with a resumed session; a report touches statistics only."""
    recorded = client.rtcp(pack_sender_report(REPORT))
    assert peer.keys is not None
    heir = make_peer()
    heir.resume(peer.keys, HERE, peer.positions())
    assert heir.on_rtcp(recorded, 1.0)
    assert not heir.on_rtcp(recorded, 1.0)
    assert heir.streams == {}


async def test_authentic_lies_are_counted_and_the_session_goes_on(arena: Arena, eve: Voice) -> None:
    lies = [EMPTY * 200, b"\x9f\xc8\x00\x01" + bytes(4), b"\x80\xc8\xff\xff" + bytes(20)]
    await arena.take(eve, *(eve.client.rtcp(lie) for lie in lies))
    assert arena.dropped[Dropped.REFUSED_RTCP] == len(lies)
    assert eve.peer in arena.endpoint.peers


def test_reports_are_paid_from_the_same_budget_as_sound(peer: Peer, client: Client) -> None:
    report = client.rtcp(pack_sender_report(REPORT))
    paid = 0
    while peer.on_rtcp(client.rtcp(pack_sender_report(REPORT)), 10.0):
        paid += 1
    assert 0 < paid * len(report) < BYTES_PER_SECOND * BURST_SECONDS


def test_reports_of_sources_without_end_leave_nothing_behind(peer: Peer, client: Client) -> None:
    numbers = count(1000)

    def attack() -> None:
        for _ in range(100):
            report = SenderReport(next(numbers), 1, 1, 1, 1)
            peer.on_rtcp(client.rtcp(pack_sender_report(report)), 1e9)

    assert growth_kb(attack, times=20) < 20 * 100 // 2, "a sender's own state alone is 270 bytes"
