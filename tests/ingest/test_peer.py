"""One session's life, datagram by datagram, with a client that has no network either."""

import random
import struct
from uuid import uuid4

import pytest

from ingest.checks import new_credentials
from ingest.journal import Packet, Record
from ingest.peer import (
    BURST_SECONDS,
    BYTES_PER_SECOND,
    CONSENT_SECONDS,
    HANDSHAKE_SECONDS,
    MAX_ADDRESSES,
    MAX_STREAMS,
    Peer,
)
from ingest.rtcp import ReceiverReport, SenderReport, parse
from ingest.sdp import parse_offer
from ingest.webrtc import MAX_DATAGRAM, BindingRequest, Dtls, DtlsError, PacketBuffer
from tests.ingest.client import Client, check
from tests.ingest.offers import CHROME, FINGERPRINT
from tests.ingest.packing import pack_sender_report
from tests.ingest.receiving import eventually

HERE = ("192.0.2.1", 1000)
THERE = ("192.0.2.2", 2000)
SERVER = Dtls()


def unpack_packet(record: bytes) -> Packet:
    """The packet of a record as the journal's head describes it."""
    first, level, stream, seq, size, timestamp = struct.unpack_from("<BBHHHI", record)
    assert first > 2
    assert size == len(record) - 12
    age = first - 128 if first >= 128 else first + 125
    return Packet(stream, seq, timestamp, level, record[12:], age)


class Kept:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.ssrcs: list[int] = []
        """By stream number, from 1 on."""

        self.records: list[bytes] = []

    def keep(self, record: Record) -> None:
        self.records.append(bytes(record))  # its buffer is read into again

    def open_stream(self, peer: Peer, ssrc: int, *, has_level: bool) -> int:
        self.ssrcs.append(ssrc)
        peer.numbers[ssrc] = len(self.ssrcs)
        return len(self.ssrcs)

    @property
    def packets(self) -> list[tuple[int, Packet]]:
        """Each with its SSRC, read as the journal's readers do."""
        return [(self.ssrcs[p.stream - 1], p) for p in map(unpack_packet, self.records)]


def make_peer(client: Client | None = None, *, more: str = "", setup: str = "actpass") -> Peer:
    shown = client.fingerprints["sha-256"] if client is not None else FINGERPRINT
    text = CHROME.replace(FINGERPRINT, shown).replace("setup:actpass", f"setup:{setup}")
    offer = parse_offer(text.replace("a=mid:0", f"{more}a=mid:0"))
    return Peer(
        session_id="s",
        room_id=uuid4(),
        participant_id=uuid4(),
        offer=offer,
        credentials=new_credentials(offer.ufrag),
        token_sha256=b"",
        now=0.0,
    )


def knock(
    peer: Peer, address: tuple[str, int], *, now: float = 0.0, nominate: bool = True
) -> bytes | None:
    known = peer.credentials
    request = BindingRequest.read(check(known.ufrag, known.password, nominate=nominate))
    assert request is not None
    return peer.authenticate(request, address, now)


def shake_hands(peer: Peer, client: Client) -> None:
    datagrams = client.step([])
    for _ in range(6):
        answers: list[bytes] = []
        for datagram in datagrams:
            answers += peer.on_dtls(datagram, SERVER.accept)
        datagrams = client.step(answers)
    assert client.established


def hear(peer: Peer, datagram: bytes, now: float = 0.0) -> bool:
    """In a slot behind others, so that nothing is right only at the buffer's beginning."""
    buffer = PacketBuffer(3)
    fill(buffer, 2, datagram)
    return not peer.on_rtp(buffer, [2], now)


def fill(buffer: PacketBuffer, slot: int, datagram: bytes) -> None:
    begin = slot * MAX_DATAGRAM
    buffer.data[begin : begin + len(datagram)] = datagram
    buffer.sizes[slot] = len(datagram)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def peer(client: Client) -> Peer:
    peer = make_peer(client)
    assert knock(peer, HERE)
    shake_hands(peer, client)
    return peer


def test_packets_of_a_kept_peer_reach_the_sink(peer: Peer, client: Client) -> None:
    kept = Kept()
    peer.sink = kept
    assert hear(peer, client.rtp(1))
    peer.kept = True
    assert hear(peer, client.rtp(2, payload=b"two", level=33))
    assert kept.packets == [(77, Packet(1, 2, 1920, 33, b"two"))]
    assert peer.streams[77].received == 2
    assert peer.loud == 2


def test_nobody_fills_the_disk_faster_than_opus_can(peer: Peer, client: Client) -> None:
    kept = Kept()
    peer.sink, peer.kept = kept, True
    flood = [hear(peer, client.rtp(n, payload=bytes(1200))) for n in range(1000)]
    most = BYTES_PER_SECOND * BURST_SECONDS
    assert 0.9 * most < sum(len(p.payload) + 100 for _, p in kept.packets) < most
    assert flood.index(False) == len(kept.packets) > 700
    assert hear(peer, client.rtp(1001, payload=bytes(1200)), now=0.1)


def test_opus_at_its_highest_rate_is_taken(peer: Peer, client: Client) -> None:
    """510 kbit/s in packets of 2.5 ms, after five seconds' worth that arrive at once."""
    size, step = 160, 0.0025
    waited = int(5 / step)
    assert all(hear(peer, client.rtp(n, payload=bytes(size)), now=10.0) for n in range(waited))
    for n in range(waited, waited + 2000):
        assert hear(peer, client.rtp(n, payload=bytes(size)), now=10 + (n - waited) * step)


def test_other_payload_types_and_replays_are_refused(peer: Peer, client: Client) -> None:
    packet = client.rtp(1)
    assert hear(peer, packet)
    assert not hear(peer, packet)
    assert not hear(peer, client.rtp(2, payload_type=63))
    assert not hear(peer, b"\x80" * 40)
    assert peer.streams[77].received == 1


def test_streams_of_one_peer_are_bounded(peer: Peer, client: Client) -> None:
    for ssrc in range(MAX_STREAMS + 5):
        hear(peer, client.rtp(1, ssrc=ssrc))
    assert len(peer.streams) == MAX_STREAMS


def test_silence_is_not_loud(peer: Peer, client: Client) -> None:
    hear(peer, client.rtp(1, level=90))
    assert peer.loud == 0


def test_reports_count_what_was_lost(peer: Peer, client: Client) -> None:
    assert peer.report(5, "c", 1.0) is None
    for seq in (1, 2, 4):
        hear(peer, client.rtp(seq))
    assert peer.on_rtcp(client.rtcp(pack_sender_report(SenderReport(77, 1 << 40, 0, 3, 9))), 1.0)
    report = peer.report(5, "c", 2.0)
    assert report is not None
    (read,) = parse(client.hear_rtcp(report))
    assert isinstance(read, ReceiverReport)
    assert (read.reports[0].ssrc, read.reports[0].lost) == (77, 1)
    assert read.reports[0].last_report == 1 << 24
    assert not peer.on_rtcp(b"\x80\xc8" + bytes(40), 1.0)


def test_a_check_without_the_password_moves_nothing() -> None:
    peer = make_peer()
    for ufrag, password, remote in (
        (peer.credentials.ufrag, "wrong", "Wqx3"),
        (peer.credentials.ufrag, peer.credentials.password, "other"),
        ("other", peer.credentials.password, "Wqx3"),
    ):
        request = BindingRequest.read(check(ufrag, password, remote_ufrag=remote))
        assert request is not None
        assert peer.authenticate(request, HERE, 9.0) is None
    assert peer.addresses == {}
    assert peer.consent_at == 0


def test_the_address_follows_nomination_only() -> None:
    peer = make_peer()
    knock(peer, HERE, nominate=False)
    assert peer.address == HERE
    knock(peer, THERE, nominate=False)
    assert peer.address == HERE
    knock(peer, THERE)
    assert peer.address == THERE


def test_addresses_are_bounded_and_the_chosen_one_stays() -> None:
    peer = make_peer()
    knock(peer, HERE)
    for port in range(20):
        knock(peer, ("192.0.2.9", port + 1), nominate=False)
    assert len(peer.addresses) == MAX_ADDRESSES
    assert HERE in peer.addresses


def test_an_ice_restart_takes_effect_with_its_nomination() -> None:
    peer = make_peer()
    knock(peer, HERE)
    old, etag = peer.credentials, peer.etag
    new = peer.restart("Next")
    assert peer.etag != etag
    assert knock(peer, HERE), "the old pair stays in use"
    request = BindingRequest.read(check(new.ufrag, new.password, remote_ufrag="Next"))
    assert request is not None
    assert peer.authenticate(request, THERE, 1.0)
    assert (peer.credentials, peer.restarting, peer.address) == (new, None, THERE)
    late = BindingRequest.read(check(old.ufrag, old.password))
    assert late is not None
    assert peer.authenticate(late, HERE, 2.0) is None


def test_consent_and_handshake_run_out(peer: Peer) -> None:
    waiting = make_peer()
    assert waiting.expired(HANDSHAKE_SECONDS) is None
    assert waiting.expired(HANDSHAKE_SECONDS + 1) == "no handshake"
    assert peer.expired(CONSENT_SECONDS) is None
    assert peer.expired(CONSENT_SECONDS + 1) == "no consent"
    knock(peer, HERE, now=40.0)
    assert peer.expired(CONSENT_SECONDS + 1) is None


def test_another_certificate_than_the_offers_is_refused(client: Client) -> None:
    peer = make_peer()
    with pytest.raises(DtlsError, match="certificate"):
        shake_hands(peer, client)
    assert not peer.established


def test_one_matching_fingerprint_of_several_is_enough(client: Client) -> None:
    shown = client.fingerprints["sha-512"]
    wrong = make_peer(more=f"a=fingerprint:sha-512 {shown}\r\n")
    shake_hands(wrong, client)
    assert wrong.established


def test_close_notify_ends_the_peer_both_ways(peer: Peer, client: Client) -> None:
    for datagram in client.leave():
        peer.on_dtls(datagram, SERVER.accept)
    assert peer.expired(0) == "closed by the client"
    assert peer.close() == []
    other_client = Client()
    other = make_peer(other_client)
    shake_hands(other, other_client)
    other_client.step(other.close())
    assert other_client.farewell


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_lost_flights_of_either_side_are_sent_again(seed: int) -> None:
    """A third of the datagrams is lost both ways; OpenSSL's timers (1 s at first) help."""
    draw = random.Random(seed)  # noqa: S311 - loss, not secrets
    client = Client()
    peer = make_peer(client)
    knock(peer, HERE)

    def arrives(datagrams: list[bytes]) -> list[bytes]:
        return [d for d in datagrams if draw.random() < 0.66]

    to_server: list[bytes] = []

    def step() -> bool:
        to_client: list[bytes] = []
        for datagram in arrives(to_server):
            to_client += peer.on_dtls(datagram, SERVER.accept)
        to_client += peer.handshake_timeout()
        to_server[:] = client.step(arrives(to_client)) + client.timeout()
        return client.established and peer.established

    await eventually(step)


@pytest.mark.slow
async def test_a_lost_server_flight_comes_again_though_the_client_is_quiet() -> None:
    client = Client()
    peer = make_peer(client)
    for datagram in client.step([]):
        assert peer.on_dtls(datagram, SERVER.accept), "lost"
    assert peer.handshaking
    again = await eventually(peer.handshake_timeout)
    answers = client.step(again)
    for _ in range(4):
        answers = client.step([d for a in answers for d in peer.on_dtls(a, SERVER.accept)])
    assert client.established
    assert peer.established


def test_a_resumed_peer_goes_on_and_says_nothing_in_dtls(peer: Peer, client: Client) -> None:
    for seq in range(60_000, 70_000, 3000):
        hear(peer, client.rtp(seq))
    assert peer.keys is not None
    heir = make_peer()
    heir.resume(peer.keys, HERE, peer.positions())
    assert heir.established
    assert hear(heir, client.rtp(70_001))
    assert heir.positions() == {77: 70_001}
    assert heir.streams[77].lost == 0
    assert heir.on_dtls(b"\x16" + bytes(40), SERVER.accept) == []
    assert heir.close() == []
