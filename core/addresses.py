"""Hosts and ports as text: URLs with IPv6 literals, and sockets that take both families."""

import socket
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit


def http_url(host: str, port: int) -> str:
    """`http://host:port`, an IPv6 literal in brackets (RFC 3986, 3.2.2)."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_wildcard(host: str) -> bool:
    """Whether it says where to listen and nothing of where clients get to."""
    try:
        return not host or ip_address(host).is_unspecified
    except ValueError:
        return False  # a name


def is_loopback(host: str) -> bool:
    """Whether it is an address of this machine alone, such as 127.0.0.1 or ::1; a name is not."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def split_address(text: str, port: int) -> tuple[str, int]:
    """Host and port of `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 literal.

    `port` is for texts without one. Raises ValueError.
    """
    try:
        return str(IPv6Address(text)), port
    except ValueError:
        parts = urlsplit(f"//{text}")
    if parts.hostname is None or parts.netloc != text or "@" in text:
        raise ValueError(f"{text} is no host, nor host:port")
    return parts.hostname, parts.port or port


def bound_socket(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """A bound socket, of IPv4 where a name has it; on `::` it takes both. Raises OSError."""
    found = socket.getaddrinfo(host or None, port, type=kind, flags=socket.AI_PASSIVE)
    family, _, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    sock = socket.socket(family, kind, protocol)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not is_wildcard(host)))
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock
