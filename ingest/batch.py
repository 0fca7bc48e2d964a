"""The datagrams of one drain: AT_ONCE of them in each system call, recvmmsg(2).

    int recvmmsg(int sockfd, struct mmsghdr *msgvec, unsigned int vlen, int flags, timespec *)

    mmsghdr = msg_name:* msg_namelen:u32 msg_iov:* msg_iovlen:size msg_control:*
              msg_controllen:size msg_flags:i32, then msg_len:u32 (what was received)
    iovec   = iov_base:* iov_len:size
    control = cmsg_len:size cmsg_level:i32 cmsg_type:i32 seconds:i64 nanoseconds:i64

All of that is prepared once; the kernel fills in names, lengths and, as control data, when each
datagram arrived. Linux has it, and the layout is that of 64-bit Linux (glibc and musl);
elsewhere each datagram is a recvfrom(2) of its own.
"""

import contextlib
import ctypes
import errno
import os
import socket
import struct
import sys
import time
from array import array
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Final, Protocol

from ingest.journal import AGE_US, LONGEST_AGE
from ingest.webrtc import MAX_DATAGRAM, Address, PacketBuffer

AT_ONCE: Final = 1024
"""As many as recvmmsg takes."""

SLOTS: Final = 2 * AT_ONCE

MESSAGE: Final = struct.Struct("@PI4xPNPNi4xI4x")
"""mmsghdr."""

VECTOR: Final = struct.Struct("@PN")
NAME_BYTES: Final = 28
"""sockaddr_in6, the longest name; sockaddr_in takes 16 of it."""

_IPV4 = struct.Struct("!2xH4s")
_IPV6 = struct.Struct("!2xHI16s")
_LENGTH_AT: Final = 14
"""msg_len in a mmsghdr, counted in its 16 words of four bytes."""

CONTROL_BYTES: Final = 32
_CONTROL_LENGTH_AT: Final = 5
"""msg_controllen in a mmsghdr, counted in its 8 words of eight bytes."""

_NANOSECONDS_AT: Final = 3
"""Counted in the control data's 4 words of eight bytes."""

_SO_TIMESTAMPNS: Final = 35
"""socket(7); Python does not name it."""

_SECOND: Final = 1_000_000_000
_AGE_NS: Final = AGE_US * 1000
_AGES: Final = tuple(min(n, LONGEST_AGE) for n in range(_SECOND // _AGE_NS))
_TOGETHER_NS: Final = 100_000
_STEP_NS: Final = 1_000_000
"""A wall clock that moved by more than this between two drains was set: no age is known then."""


_NO_AGES: Final = (0,) * SLOTS


class Batch(Protocol):
    """`receive` fills slots of `buffer` from the first on.

    `tells_ages`: whether the kernel says when they arrived; else it was when they are read.
    """

    buffer: PacketBuffer
    tells_ages: bool

    def receive(self) -> int:
        """How many datagrams there were, at most `buffer.slots`. Raises OSError."""

    def arrived(self, count: int) -> Iterator[tuple[Hashable, int, int, int]]:
        """Of each datagram: where it came from, its size and its first two bytes.

        An origin is equal to another when it is the same address; what is beyond a datagram's
        size is of an earlier one.
        """

    def address(self, origin: Any) -> Address: ...


def batch_of(sock: socket.socket) -> Batch:
    """For a bound UDP socket that does not block."""
    return ManyAtOnce(sock) if ManyAtOnce.works() else OneByOne(sock)


def _described(
    buffer: PacketBuffer, origins: Sequence[Hashable], count: int
) -> Iterator[tuple[Hashable, int, int, int]]:
    end = count * MAX_DATAGRAM
    firsts, seconds = buffer.view[:end:MAX_DATAGRAM], buffer.view[1:end:MAX_DATAGRAM]
    sizes = buffer.sizes[:count].tolist()
    return zip(origins, sizes, firsts.tolist(), seconds.tolist(), strict=True)


class ManyAtOnce:
    """By recvmmsg; an origin is the kernel's own sockaddr, whose unused bytes stay zero."""

    def __init__(self, sock: socket.socket) -> None:
        self.buffer = PacketBuffer(SLOTS)
        self._socket = sock
        self._names = bytearray(SLOTS * NAME_BYTES)
        self._vectors = bytearray(SLOTS * VECTOR.size)
        self._messages = bytearray(SLOTS * MESSAGE.size)
        self._controls = bytearray(SLOTS * CONTROL_BYTES)
        memory, names = _place(self.buffer.data), _place(self._names)
        vectors, self._at = _place(self._vectors), _place(self._messages)
        controls = _place(self._controls)
        for n in range(SLOTS):
            VECTOR.pack_into(
                self._vectors, n * VECTOR.size, memory + n * MAX_DATAGRAM, MAX_DATAGRAM
            )
            name, vector = names + n * NAME_BYTES, vectors + n * VECTOR.size
            control = controls + n * CONTROL_BYTES
            message = (name, NAME_BYTES, vector, 1, control, CONTROL_BYTES, 0, 0)
            MESSAGE.pack_into(self._messages, n * MESSAGE.size, *message)
        self._lengths = memoryview(self._messages).cast("i")[_LENGTH_AT :: MESSAGE.size // 4]
        words = memoryview(self._messages).cast("Q")
        self._control_lengths = words[_CONTROL_LENGTH_AT :: MESSAGE.size // 8]
        self._whole = memoryview(array("Q", [CONTROL_BYTES] * SLOTS))
        moments = memoryview(self._controls).cast("q")
        self._seconds = moments[_NANOSECONDS_AT - 1 :: CONTROL_BYTES // 8]
        self._moments = moments[_NANOSECONDS_AT :: CONTROL_BYTES // 8]
        _, self._wall_ahead = _wall_clock()
        self.tells_ages = _asks_for_moments(sock)
        self._recvmmsg = _recvmmsg()

    @staticmethod
    def works() -> bool:
        is_64_bit = ctypes.sizeof(ctypes.c_void_p) == 8
        return sys.platform == "linux" and is_64_bit and hasattr(_libc(), "recvmmsg")

    def receive(self) -> int:
        count = self._receive_into(0)
        if count == AT_ONCE:
            with contextlib.suppress(OSError):  # it comes again, or is over: the first ones count
                count += self._receive_into(AT_ONCE)
        self.buffer.sizes[:count] = self._lengths[:count]
        self.buffer.ages = self._ages(count)
        return count

    def _receive_into(self, slot: int) -> int:
        """AT_ONCE at the most, from that slot on."""
        place, flags = self._at + slot * MESSAGE.size, socket.MSG_DONTWAIT
        count: int = self._recvmmsg(self._socket.fileno(), place, AT_ONCE, flags, None)
        if count >= 0:
            return count
        reason = ctypes.get_errno()
        if reason in (errno.EAGAIN, errno.EINTR):
            return 0
        raise OSError(reason, os.strerror(reason))

    def _ages(self, count: int) -> Sequence[int]:
        """By the nanoseconds of the second alone, unless the first, the oldest, waited longer."""
        ahead = self._wall_ahead
        now, self._wall_ahead = _wall_clock()
        known = self.tells_ages and abs(ahead - self._wall_ahead) < _STEP_NS
        if not known or min(self._control_lengths[:count], default=0) < CONTROL_BYTES:
            self._control_lengths[:] = self._whole
            return _NO_AGES
        moments = zip(self._seconds[:count], self._moments[:count], strict=True)
        if now - self._seconds[0] * _SECOND - self._moments[0] >= _SECOND:
            waited = ((now - s * _SECOND - ns) // _AGE_NS for s, ns in moments)
            return [min(max(age, 0), LONGEST_AGE) for age in waited]
        return [_AGES[(now - at) % _SECOND // _AGE_NS] for at in self._moments[:count]]

    def arrived(self, count: int) -> Iterator[tuple[Hashable, int, int, int]]:
        names = bytes(memoryview(self._names)[: count * NAME_BYTES])
        origins = [names[at : at + NAME_BYTES] for at in range(0, len(names), NAME_BYTES)]
        return _described(self.buffer, origins, count)

    def address(self, origin: bytes) -> Address:
        """As `recvfrom` tells it."""
        if int.from_bytes(origin[:2], sys.byteorder) == socket.AF_INET:
            port, host = _IPV4.unpack_from(origin)
            return socket.inet_ntop(socket.AF_INET, host), port
        port, flow, host = _IPV6.unpack_from(origin)
        scope = int.from_bytes(origin[24:28], sys.byteorder)
        return socket.inet_ntop(socket.AF_INET6, host), port, flow, scope


class OneByOne:
    """By recvfrom, where there is no recvmmsg; an origin is the address itself."""

    tells_ages = False

    def __init__(self, sock: socket.socket) -> None:
        self.buffer = PacketBuffer(SLOTS)
        self._socket = sock
        view = self.buffer.view
        self._slots = [view[n * MAX_DATAGRAM :][:MAX_DATAGRAM] for n in range(SLOTS)]
        self._origins: list[Address] = []

    def receive(self) -> int:
        self._origins.clear()
        for slot, memory in enumerate(self._slots):
            try:
                self.buffer.sizes[slot], origin = self._socket.recvfrom_into(memory)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                if not self._origins:
                    raise
                break  # it comes again, or is over: what has been read counts
            self._origins.append(origin)
        return len(self._origins)

    def arrived(self, count: int) -> Iterator[tuple[Hashable, int, int, int]]:
        return _described(self.buffer, self._origins, count)

    def address(self, origin: Address) -> Address:
        return origin


def _wall_clock() -> tuple[int, int]:
    """Nanoseconds, and how much they are ahead of the monotonic ones, read with nothing between."""
    while True:
        before, now, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if after - before < _TOGETHER_NS:
            return now, now - before


def _place(memory: bytearray) -> int:
    """Where it lies; a bytearray of a fixed size stays there."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _asks_for_moments(sock: socket.socket) -> bool:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _recvmmsg() -> Any:
    function = _libc().recvmmsg
    function.argtypes = (
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_void_p,
    )
    return function
