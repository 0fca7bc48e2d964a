"""Hosts and ports as people write them, and what listens there."""

import socket

import pytest

from core.addresses import bound_socket, http_url, is_wildcard, split_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.0.2.4", "192.0.2.4", 9),
        ("192.0.2.4:40000", "192.0.2.4", 40_000),
        ("media.example.org", "media.example.org", 9),
        ("media.example.org:1", "media.example.org", 1),
        ("2001:db8::4", "2001:db8::4", 9),
        ("[2001:db8::4]", "2001:db8::4", 9),
        ("[2001:db8::4]:40000", "2001:db8::4", 40_000),
    ],
)
def test_an_address_may_carry_its_port(text: str, host: str, port: int) -> None:
    assert split_address(text, 9) == (host, port)


@pytest.mark.parametrize(
    "text", ["", ":1", "a:b", "a:70000", "a/b", "u@a", "[::1", "http://a", "a?b", "[a]:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        split_address(text, 9)


def test_an_ipv6_literal_is_bracketed_in_a_url() -> None:
    assert http_url("::1", 80) == "http://[::1]:80"
    assert http_url("127.0.0.1", 80) == "http://127.0.0.1:80"


def test_wildcards() -> None:
    assert all(map(is_wildcard, ("", "::", "0.0.0.0")))  # noqa: S104
    assert not any(map(is_wildcard, ("::1", "127.0.0.1", "example.org")))


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_the_ipv6_wildcard_takes_both_families(kind: socket.SocketKind) -> None:
    with bound_socket("::", 0, kind) as both:
        if kind == socket.SOCK_STREAM:
            both.listen()
        port = both.getsockname()[1]
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family, kind) as client:
                client.connect((host, port))
                client.send(b"here")


def test_a_taken_port_is_an_error() -> None:
    with (
        bound_socket("127.0.0.1", 0, socket.SOCK_DGRAM) as first,
        pytest.raises(OSError, match=r"in use"),
    ):
        bound_socket("127.0.0.1", first.getsockname()[1], socket.SOCK_DGRAM)
