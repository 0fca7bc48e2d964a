"""The socket that all peers send to, with a buffer for what comes between two drains."""

import contextlib
import logging
import socket
import sys
from typing import Final

from core.addresses import bound_socket

log = logging.getLogger(__name__)

RECEIVE_BUFFER_BYTES: Final = 4 << 20
_SO_RCVBUFFORCE: Final = 33
"""Beyond net.core.rmem_max (socket(7)); Python does not name it."""


def open_socket(host: str, port: int) -> socket.socket:
    """A bound, non-blocking UDP socket; warns when the kernel gives less buffer than asked."""
    sock = bound_socket(host, port, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    if granted_bytes(sock) < RECEIVE_BUFFER_BYTES and sys.platform == "linux":
        with contextlib.suppress(OSError):  # allowed with CAP_NET_ADMIN alone
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
    granted = granted_bytes(sock)
    if granted < RECEIVE_BUFFER_BYTES:
        log.warning(
            "UDP receive buffer is %d bytes, %d were asked: raise net.core.rmem_max",
            granted,
            RECEIVE_BUFFER_BYTES,
        )
    sock.setblocking(False)
    return sock


def granted_bytes(sock: socket.socket) -> int:
    """Of buffer for what has arrived and was not read yet."""
    granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    # Linux tells twice what it gives (socket(7)).
    return granted // 2 if sys.platform == "linux" else granted
