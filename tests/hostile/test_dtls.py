"""DTLS: strangers start no handshake; damaged, cut, reordered and oversized messages end at most
the session they are sent to; what is half done is bounded in number and in time.
"""

import random
from collections.abc import Iterator

import pytest
from OpenSSL import SSL

from ingest.endpoint import Dropped
from ingest.peer import HANDSHAKE_SECONDS, Peer
from ingest.receiver import MAX_PENDING
from ingest.webrtc import Dtls, DtlsError
from tests.hostile.arena import EVE, Arena, Knocker, Voice, growth_kb
from tests.hostile.test_stun import mutated
from tests.ingest.client import Client
from tests.ingest.receiving import eventually
from tests.ingest.test_peer import HERE, hear, knock, make_peer, shake_hands

SERVER = Dtls()
RECORD = 13
HANDSHAKE = 12
FIRST = 40
"""Numbers of our own records: within the replay window before which the client goes on."""
ALERT_FATAL = b"\x15\xfe\xfd" + bytes(6) + b"\x00\x07" + b"\x00\x02\x02\x28"


def record(number: int, body: bytes) -> bytes:
    """A plaintext handshake record of epoch 0 (RFC 6347, 4.1)."""
    return b"\x16\xfe\xfd\x00\x00" + number.to_bytes(6, "big") + len(body).to_bytes(2, "big") + body


def fragments(hello: bytes, size: int) -> list[bytes]:
    """A ClientHello of one record in handshake fragments (RFC 6347, 4.2.3), a record each."""
    message = hello[RECORD:]
    head, body = message[:6], message[HANDSHAKE:]
    parts = [(at, body[at : at + size]) for at in range(0, len(body), size)]
    return [
        record(FIRST + n, head + at.to_bytes(3, "big") + len(part).to_bytes(3, "big") + part)
        for n, (at, part) in enumerate(parts)
    ]


def feed(peer: Peer, datagrams: list[bytes]) -> list[bytes]:
    return [a for d in datagrams for a in peer.on_dtls(d, SERVER.accept)]


def finish(peer: Peer, client: Client, answers: list[bytes]) -> None:
    for _ in range(6):
        answers = feed(peer, client.step(answers))
    assert client.established
    assert peer.established


async def test_a_strangers_hello_starts_nothing(arena: Arena, stranger: Knocker) -> None:
    hellos = [d for _ in range(100) for d in Client.step(Client(), [])]
    before = arena.dropped.get(Dropped.STRANGE_DTLS, 0)
    await arena.take(stranger, *hellos, ALERT_FATAL)
    assert arena.dropped[Dropped.STRANGE_DTLS] - before == len(hellos) + 1
    assert stranger.received() == []
    assert not any(p.handshaking for p in arena.endpoint.peers)


async def test_fuzzed_records_end_at_most_their_own_session(arena: Arena) -> None:
    """Every class of record, before and after the handshake."""
    draw = random.Random(2)  # noqa: S311 - a test's dice
    for _ in range(6):
        eve = Voice(arena, EVE)
        await eve.open()
        await eve.knock()
        hello = eve.client.step([])[0]
        fuzz = [bytes([draw.randint(20, 26)]) + mutated(draw, hello)[1:] for _ in range(40)]
        await arena.take(eve, *fuzz)
        eve.socket.close()
    assert arena.ada.peer.established


async def test_damaged_records_of_an_established_session_are_skipped(
    arena: Arena, eve: Voice
) -> None:
    """Nothing that is not authentic ends a session whose handshake is done."""
    draw = random.Random(3)  # noqa: S311 - a test's dice
    eve.client._ssl.send(b"nothing")
    (good,) = eve.client._outgoing()
    fuzz = [good[:1] + mutated(draw, good)[1:] for _ in range(300)]
    await arena.take(eve, ALERT_FATAL, *fuzz, *(f for f in fragments(Client().step([])[0], 40)))
    assert eve.peer in arena.endpoint.peers
    eve.say()
    await eventually(lambda: len(arena.journal.said(EVE)) == 1)


def test_garbage_before_the_handshake_does_not_keep_it_from_succeeding() -> None:
    client = Client()
    peer = make_peer(client)
    knock(peer, HERE)
    for garbage in (b"\x16", b"\x16" * 12, b"\x16\xfe\xfd" + bytes(400), b"\x17" * 90, b"\x3f"):
        feed(peer, [garbage])
    finish(peer, client, feed(peer, client.step([])))


@pytest.mark.parametrize("order", ["as sent", "backwards", "each twice"])
def test_a_hello_in_fragments_is_put_together(order: str) -> None:
    client = Client()
    peer = make_peer(client)
    knock(peer, HERE)
    parts = fragments(client.step([])[0], 60)
    assert len(parts) > 2
    if order == "backwards":
        parts.reverse()
    elif order == "each twice":
        parts = [p for part in parts for p in (part, part)]
    finish(peer, client, feed(peer, parts))


def test_a_message_of_16_megabytes_is_refused_or_waited_for_in_bounds() -> None:
    """Its first fragment names the length; memory for it is not taken."""

    def attack() -> None:
        peer = make_peer()
        knock(peer, HERE)
        head = b"\x01\xff\xff\xff\x00\x00" + bytes(3) + (1000).to_bytes(3, "big")
        with pytest.raises(DtlsError):
            feed(peer, [record(0, head + bytes(1000))])

    assert growth_kb(attack, times=100) < 100 * 16


def test_fragments_of_many_future_messages_are_kept_in_bounds() -> None:
    """A peer holds a few of the messages that are to come, not 65,536."""

    def attack() -> None:
        peer = make_peer()
        knock(peer, HERE)
        for number in range(1, 300):
            head = b"\x0b\x00\x40\x00" + number.to_bytes(2, "big") + bytes(3) + b"\x00\x04\x00"
            try:
                feed(peer, [record(number, head + bytes(1024))])
            except DtlsError:
                return

    assert growth_kb(attack, times=20) < 20 * 300 // 4, "less than a quarter of what was sent"


def test_a_flood_of_hellos_on_one_session_takes_no_more_memory() -> None:
    client = Client()
    hello = client.step([])[0]
    peer = make_peer(client)
    knock(peer, HERE)

    def again() -> None:
        for number in range(200):
            feed(peer, [record(number, hello[RECORD:])])

    assert growth_kb(again, times=10) < 10 * 200 * len(hello) // 1024 // 10, "a tenth of the flood"


def test_application_data_is_read_and_forgotten() -> None:
    """What is not read would stay in memory: many records in a datagram, a datagram at a time."""
    client = Client()
    peer = make_peer(client)
    knock(peer, HERE)
    shake_hands(peer, client)

    def say(_: int) -> bytes:
        client._ssl.send(b"x")
        return bytes(client._ssl.bio_read(65536))

    def attack() -> None:
        for _ in range(30):
            feed(peer, [b"".join(map(say, range(40)))])

    assert growth_kb(attack, times=12) < 12 * 30 * 40 * 38 // 1024 // 4
    assert not peer.closed


def test_renegotiation_is_refused_and_the_session_goes_on() -> None:
    client = Client()
    peer = make_peer(client)
    knock(peer, HERE)
    shake_hands(peer, client)
    keys = peer.keys
    assert client._ssl.renegotiate()
    with pytest.raises(SSL.WantReadError):
        client._ssl.do_handshake()
    (refusal,) = feed(peer, client._outgoing())
    assert refusal[0] == ALERT_FATAL[0]
    assert not peer.closed
    assert peer.keys == keys
    assert hear(peer, client.rtp(1))


def flights(count: int) -> Iterator[tuple[Peer, list[bytes]]]:
    for _ in range(count):
        client = Client()
        peer = make_peer(client)
        knock(peer, HERE)
        answers = feed(peer, client.step([]))
        yield peer, client.step(answers)


def test_a_recorded_handshake_is_of_no_use_to_another_session() -> None:
    """Every handshake has randomness of both sides."""
    (peer, flight), (other, _) = flights(2)
    with pytest.raises(DtlsError):
        feed(other, flight)
    feed(peer, flight)
    assert peer.established
    assert not other.established


async def test_another_certificate_than_the_offers_ends_the_session(arena: Arena) -> None:
    eve = Voice(arena, EVE)
    await eve.open()
    eve.client = Client()
    await eve.knock()
    eve.send(*eve.client.step([]))

    def ended() -> bool:
        eve.send(*eve.client.step([d for d in eve.received() if d[0] >= 20]))
        return eve.peer not in arena.endpoint.peers

    await eventually(ended)
    assert not eve.peer.established
    assert arena.dropped[Dropped.REFUSED_DTLS] == 1
    eve.socket.close()


async def test_half_open_handshakes_are_few_and_end(arena: Arena) -> None:
    """Of one participant the newest MAX_PENDING; each for HANDSHAKE_SECONDS."""
    for _ in range(MAX_PENDING + 4):
        eve = Voice(arena, EVE)
        await eve.open()
        await eve.knock()
        await arena.take(eve, *eve.client.step([]))
        eve.socket.close()
    open_ones = [p for p in arena.endpoint.peers if p.participant_id == EVE]
    assert len(open_ones) == MAX_PENDING
    assert all(p.handshaking for p in open_ones)
    assert {p.expired(p.created_at + HANDSHAKE_SECONDS + 1) for p in open_ones} == {"no handshake"}


async def test_lies_in_answer_to_our_own_hello_end_at_most_that_session(arena: Arena) -> None:
    """A client that is passive (FFmpeg) is sent the first flight: here it answers with garbage."""
    draw = random.Random(10)  # noqa: S311 - a test's dice
    server_hello = record(
        0, b"\x02" + (40).to_bytes(3, "big") + bytes(5) + b"\x00\x00\x28" + bytes(40)
    )
    for _ in range(4):
        eve = Voice(arena, EVE)
        await eve.open(setup="passive")
        eve.send(eve.check())
        await eve.expect_flight()
        lies = [bytes([22]) + mutated(draw, server_hello)[1:] for _ in range(30)]
        await arena.take(eve, server_hello, *lies, ALERT_FATAL)
        assert not eve.peer.established
        eve.socket.close()
