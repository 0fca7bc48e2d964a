"""Datagrams of one drain, by one system call and one by one: nothing tells the difference."""

import ctypes
import socket
import time
from collections.abc import Iterator

import pytest

from ingest.batch import MESSAGE, NAME_BYTES, SLOTS, VECTOR, Batch, ManyAtOnce, OneByOne, batch_of
from ingest.journal import AGE_US, LONGEST_AGE
from ingest.udp import RECEIVE_BUFFER_BYTES, open_socket
from ingest.webrtc import MAX_DATAGRAM, Address
from tests.ingest.receiving import DEADLINE_SECONDS

APART_NS = 5_000_000
HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
FAMILIES = list(HOSTS)
WAYS: list[type[ManyAtOnce] | type[OneByOne]] = [OneByOne]
if ManyAtOnce.works():
    WAYS.append(ManyAtOnce)


class Msghdr(ctypes.Structure):
    _fields_ = (
        ("msg_name", ctypes.c_void_p),
        ("msg_namelen", ctypes.c_uint32),
        ("msg_iov", ctypes.c_void_p),
        ("msg_iovlen", ctypes.c_size_t),
        ("msg_control", ctypes.c_void_p),
        ("msg_controllen", ctypes.c_size_t),
        ("msg_flags", ctypes.c_int),
    )


class Mmsghdr(ctypes.Structure):
    _fields_ = (("msg_hdr", Msghdr), ("msg_len", ctypes.c_uint))


class Iovec(ctypes.Structure):
    _fields_ = (("iov_base", ctypes.c_void_p), ("iov_len", ctypes.c_size_t))


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="a 64-bit layout")
def test_the_layout_is_the_kernels_on_64_bit() -> None:
    assert (ctypes.sizeof(Mmsghdr), ctypes.sizeof(Iovec)) == (MESSAGE.size, VECTOR.size) == (64, 16)
    message = Mmsghdr.from_buffer_copy(MESSAGE.pack(1, 2, 3, 4, 5, 6, 7, 8))
    header = message.msg_hdr
    found = [getattr(header, name) for name, *_ in Msghdr._fields_] + [message.msg_len]
    assert found == [1, 2, 3, 4, 5, 6, 7, 8]
    vector = Iovec.from_buffer_copy(VECTOR.pack(1, 2))
    assert (vector.iov_base, vector.iov_len) == (1, 2)
    assert NAME_BYTES == 2 + 2 + 4 + 16 + 4, "sockaddr_in6 (RFC 3493, 3.3)"


def open_udp(family: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.bind((HOSTS[socket.AddressFamily(family)], 0))
    except OSError:
        sock.close()
        pytest.skip("no such loopback here")
    sock.setblocking(False)
    return sock


@pytest.fixture(params=FAMILIES, ids=["IPv4", "IPv6"])
def here(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    with open_udp(request.param) as sock:
        yield sock


def read(batch: Batch) -> list[tuple[Address, bytes]]:
    count = batch.receive()
    found = list(batch.arrived(count))
    for slot, (_, size, first, second) in enumerate(found):
        datagram = bytes(batch.buffer.datagram(slot))
        assert size == len(datagram)
        assert datagram[:2] == bytes((first, second))[:size]
    return [
        (batch.address(origin), bytes(batch.buffer.datagram(slot)))
        for slot, (origin, *_) in enumerate(found)
    ]


@pytest.mark.parametrize("way", WAYS)
def test_datagrams_come_in_order_with_their_origins(
    way: type[ManyAtOnce] | type[OneByOne], here: socket.socket
) -> None:
    batch = way(here)
    assert read(batch) == []
    with open_udp(here.family) as one, open_udp(here.family) as two:
        sent = [(one, b"first"), (two, b""), (one, b"x"), (two, bytes(range(256)) * 9)]
        for sock, data in sent:
            sock.sendto(data, here.getsockname())
        # Longer ones than a slot are cut off, as recvfrom does.
        assert read(batch) == [(s.getsockname(), d[:MAX_DATAGRAM]) for s, d in sent]
        assert read(batch) == []
        one.sendto(b"again", here.getsockname())
        assert read(batch) == [(one.getsockname(), b"again")]


@pytest.mark.parametrize("way", WAYS)
def test_an_origin_is_the_same_each_time_and_another_for_others(
    way: type[ManyAtOnce] | type[OneByOne], here: socket.socket
) -> None:
    batch = way(here)
    with open_udp(here.family) as one, open_udp(here.family) as two:
        origins = []
        for sock in (one, two, one):
            sock.sendto(b"data", here.getsockname())
            origins += [origin for origin, *_ in batch.arrived(batch.receive())]
    assert origins[0] == origins[2] != origins[1]


@pytest.mark.parametrize("way", WAYS)
def test_more_than_a_batch_holds_waits_for_the_next(
    way: type[ManyAtOnce] | type[OneByOne],
) -> None:
    with open_socket("127.0.0.1", 0) as here, open_udp(socket.AF_INET) as sock:
        if here.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < RECEIVE_BUFFER_BYTES:
            pytest.skip("the kernel gives no buffer for so many")
        batch = way(here)
        for number in range(SLOTS + 3):
            sock.sendto(number.to_bytes(2, "big"), here.getsockname())
        found = [int.from_bytes(data, "big") for _, data in read(batch)]
        assert found == list(range(SLOTS))
        assert len(read(batch)) == 3


def _until_moments_are_noted(batch: Batch, sock: socket.socket, here: socket.socket) -> None:
    """The first socket of a machine that asks for them has a moment's wait: till then those of
    reading are told."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while batch.tells_ages and time.monotonic() < deadline:
        sent = time.monotonic_ns()
        sock.sendto(b"early", here.getsockname())
        while time.monotonic_ns() < sent + APART_NS:
            pass
        batch.receive()
        if batch.buffer.ages[0]:
            return


@pytest.mark.parametrize("way", WAYS)
def test_datagrams_tell_how_long_they_have_waited(
    way: type[ManyAtOnce] | type[OneByOne], here: socket.socket
) -> None:
    batch = way(here)
    with open_udp(here.family) as sock:
        _until_moments_are_noted(batch, sock, here)
        first = time.monotonic_ns()
        sock.sendto(b"older", here.getsockname())
        while (second := time.monotonic_ns()) < first + APART_NS:
            pass
        sock.sendto(b"newer", here.getsockname())
        batch.receive()
        first, second = ((time.monotonic_ns() - at) // (AGE_US * 1000) for at in (first, second))
    if not batch.tells_ages:
        assert not any(batch.buffer.ages)
        return
    older, newer = batch.buffer.ages[:2]
    assert 0 <= newer <= min(second + 1, LONGEST_AGE)
    assert newer < older <= min(first + 1, LONGEST_AGE)


@pytest.mark.parametrize("way", WAYS)
def test_a_socket_that_is_gone_is_an_error(way: type[ManyAtOnce] | type[OneByOne]) -> None:
    sock = open_udp(socket.AF_INET)
    batch = way(sock)
    sock.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        batch.receive()


def test_the_way_of_this_system_is_chosen(here: socket.socket) -> None:
    assert type(batch_of(here)) is WAYS[-1]


@pytest.mark.skipif(not ManyAtOnce.works(), reason="of recvmmsg")
def test_whoever_waited_for_seconds_is_of_the_longest_age(here: socket.socket) -> None:
    batch = ManyAtOnce(here)
    with open_udp(here.family) as sock:
        sock.sendto(b"older", here.getsockname())
        sock.sendto(b"newer", here.getsockname())
        count = batch.receive()
    batch._seconds[0] -= 3
    older, newer = batch._ages(count)
    assert older == LONGEST_AGE
    assert 0 <= newer < LONGEST_AGE
