"""STUN: what is not an authentic check of a session is dropped without an answer and counted.

Recorded checks move nothing when they come again from elsewhere, and nobody takes an address at
which somebody else speaks.
"""

import random
import time

from aioice import stun
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.checks import CHECKS_PER_SECOND
from ingest.endpoint import Dropped
from ingest.peer import HOLD_SECONDS, MAX_ADDRESSES, Peer
from ingest.webrtc import BindingRequest
from tests.hostile.arena import EVE, Arena, Knocker, Voice
from tests.ingest.client import check
from tests.ingest.test_peer import HERE, THERE, knock, make_peer
from tests.ingest.test_webrtc_contract import GCM

HEADER = 20


def mutated(draw: random.Random, datagram: bytes) -> bytes:
    """Bytes changed, cut, doubled, or a length that lies."""
    data = bytearray(datagram)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(data))
        kind = draw.randrange(4)
        if kind == 0:
            data[at] = draw.randrange(256)
        elif kind == 1:
            del data[at : at + draw.randint(1, 8)]
        elif kind == 2:
            data[at:at] = data[at : at + draw.randint(1, 40)]
        else:
            data[at : at + 2] = draw.choice([b"\xff\xff", b"\x00\x00", b"\x7f\xff"])
        data = data or bytearray(1)
    return bytes(data)


async def test_fuzzed_checks_are_dropped_and_counted(arena: Arena, stranger: Knocker) -> None:
    draw = random.Random(1)  # noqa: S311 - a test's dice
    good = [arena.ada.check(), check("nobody", "x"), check(arena.ada.peer.credentials.ufrag, "x")]
    fuzz = [bytes([0]) + mutated(draw, draw.choice(good))[1:] for _ in range(500)]
    before = arena.dropped
    await arena.take(stranger, *fuzz)
    counted = sum(
        arena.dropped.get(kind, 0) - before.get(kind, 0)
        for kind in (Dropped.STRANGE_STUN, Dropped.REFUSED_STUN)
    )
    assert counted >= 495, "a few may have had only their fingerprint changed"
    assert len(stranger.received()) == 500 - counted


@settings(deadline=None)
@given(st.binary(max_size=600), st.integers(0, 4))
def test_any_bytes_are_read_without_a_fault(tail: bytes, cut: int) -> None:
    head = b"\x00\x01" + len(tail).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + bytes(12)
    for data in (tail, head[: 20 - cut] + tail):
        request = BindingRequest.read(data)
        assert request is None or request.authenticate("secret") is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=24)), max_size=12))
def test_any_attributes_prove_nothing(attributes: list[tuple[int, bytes]]) -> None:
    body = b"".join(
        kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + bytes(-len(value) % 4)
        for kind, value in [(6, b"ours:Wqx3"), *attributes]
    )
    head = b"\x00\x01" + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + bytes(12)
    request = BindingRequest.read(head + body)
    assert request is not None
    assert (request.local_ufrag, request.remote_ufrag) == ("ours", "Wqx3")
    assert request.authenticate("secret") is None


def test_a_check_of_hundreds_of_attributes_is_not_searched() -> None:
    """The user name is among the first sixteen, or the check is a stranger's: a look-up each."""
    body = b"\x80\x30\x00\x00" * 500
    head = b"\x00\x01" + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + bytes(12)

    def seconds(data: bytes) -> float:
        began = time.perf_counter()
        for _ in range(200):
            assert BindingRequest.read(data) is None
        return time.perf_counter() - began

    few = b"\x00\x01" + (64).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + bytes(12) + body[:64]
    assert min(seconds(head + body) for _ in range(5)) < 5 * min(seconds(few) for _ in range(5))


def test_what_follows_the_integrity_counts_for_nothing() -> None:
    """USE-CANDIDATE that an attacker appended does not choose his address."""
    peer = make_peer()
    knock(peer, HERE)
    known = peer.credentials
    good = check(known.ufrag, known.password, nominate=False)[:-8]  # without the fingerprint
    body = good[HEADER:] + b"\x00\x25\x00\x00"
    forged = good[:2] + len(body).to_bytes(2, "big") + good[4:HEADER] + body
    request = BindingRequest.read(forged)
    assert request is not None
    assert peer.authenticate(request, THERE, 1.0), "authentic, so it is answered"
    assert peer.address == HERE


async def test_a_recorded_check_from_elsewhere_moves_nothing(
    arena: Arena, stranger: Knocker
) -> None:
    """Consent hijack: it is as authentic as it was, but its transaction is an old one."""
    recorded = arena.ada.check()
    await arena.take(arena.ada, recorded)
    address = arena.ada.peer.address
    await arena.take(stranger, *[recorded] * 30)
    assert stranger.received() == []
    assert arena.ada.peer.address == address == arena.ada.address
    assert stranger.address not in arena.ada.peer.addresses
    assert arena.dropped[Dropped.REFUSED_STUN] == 30


async def test_a_check_sent_again_from_the_same_address_is_answered(arena: Arena) -> None:
    """A client repeats a check whose answer was lost (RFC 8489, 6.2.1)."""
    again = arena.ada.check()
    arena.ada.received()
    await arena.take(arena.ada, again, again)
    answers = [d for d in arena.ada.received() if d[:2] == b"\x01\x01"]
    assert [stun.parse_message(d).transaction_id for d in answers][-2:] == [again[8:20]] * 2


async def test_nobody_takes_the_address_at_which_another_speaks(arena: Arena, eve: Voice) -> None:
    """Spoofed source: Eve's own authentic check, as if it came from Ada's address."""
    before = arena.dropped.get(Dropped.REFUSED_STUN, 0)
    await arena.take(arena.ada, *[eve.check() for _ in range(20)])
    assert arena.dropped[Dropped.REFUSED_STUN] - before == 20
    assert arena.ada.address not in eve.peer.addresses
    assert eve.peer.address == eve.address


async def test_an_address_is_free_again_for_its_own_person(arena: Arena, eve: Voice) -> None:
    """Somebody connects again from the port that he had: his new session is there at once."""
    again = Voice(arena, EVE)
    again.socket.close()
    again.socket = eve.socket
    await again.open()
    await arena.take(again, again.check())
    assert eve.address in again.peer.addresses


def test_an_address_is_free_again_when_its_holder_fell_silent() -> None:
    peer = make_peer()
    knock(peer, HERE)
    assert not peer.holds(HERE, 0.0), "no handshake came from there"
    peer.resume(GCM, HERE, {})
    assert peer.holds(HERE, HOLD_SECONDS)
    assert not peer.holds(HERE, HOLD_SECONDS + 0.1)
    assert not peer.holds(THERE, 0.0)


def test_a_client_that_moves_is_found_within_a_few_checks() -> None:
    """After an hour of checks some transaction ids look known: the next check is another."""
    peer = make_peer()
    for second in range(1500):
        assert knock(peer, HERE, now=second), "from where it was, always"
    tries = [_checks_until_answered(peer, ("192.0.2.3", port)) for port in range(1, 60)]
    assert sum(tries) / len(tries) < 1.5


def _checks_until_answered(peer: Peer, address: tuple[str, int]) -> int:
    tries = 1
    while knock(peer, address, nominate=False) is None:
        tries += 1
    return tries


def test_the_addresses_of_a_session_are_few() -> None:
    peer = make_peer()
    for port in range(1, 200):
        knock(peer, ("192.0.2.3", port))
    assert len(peer.addresses) == MAX_ADDRESSES


def test_more_checks_than_any_client_sends_are_not_answered() -> None:
    """Authentic ones: their answers are what costs."""
    peer = make_peer()
    answered = sum(knock(peer, HERE, now=7.0) is not None for _ in range(CHECKS_PER_SECOND + 50))
    assert answered == CHECKS_PER_SECOND
    assert knock(peer, HERE, now=8.0)


async def test_checks_with_guessed_passwords_are_not_answered(
    arena: Arena, stranger: Knocker
) -> None:
    ufrag = arena.ada.peer.credentials.ufrag
    await arena.take(stranger, *[check(ufrag, f"guess{n}") for n in range(200)])
    assert stranger.received() == []
    assert arena.dropped[Dropped.REFUSED_STUN] == 200
