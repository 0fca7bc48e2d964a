import asyncio
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from core.postgres import free_port
from core.webhooks.sender import (
    AttemptError,
    Resolve,
    Sender,
    WebhookUrlInvalid,
    checked_url,
    is_public,
    resolve,
)
from tests.core.certificates import loopback_tls
from tests.core.webhooks.receiver import Receiver

PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 - an address to refuse
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::8.8.8.8",
    "2002:7f00:1::",
    "2002:0a00:0001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "2002:0101:0101::"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_may_be_inside_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hook",
        "//host/a",
        "ftp://host/a",
        "https://",
        "https://user:pw@host/a",
        "https://host/a#b",
        "https://host:99999/",
        "https://" + "a" * 2000,
        "http://host/a",
        "https://[::1]/",
        "https://192.168.0.1/",
        "https://169.254.169.254/latest",
    ],
)
def test_a_url_that_cannot_be_right_is_refused(url: str) -> None:
    with pytest.raises(WebhookUrlInvalid):
        checked_url(url, https_only=True, allow_private=False)


def test_a_private_address_is_refused_with_the_way_out() -> None:
    with pytest.raises(WebhookUrlInvalid, match="ENCORE_ALLOW_PRIVATE_WEBHOOKS=true"):
        checked_url("http://127.0.0.1:9/", https_only=False, allow_private=False)


def test_good_urls_pass() -> None:
    for url in (
        "https://app.example/hooks?x=1",
        "https://1.1.1.1:8443/",
        "https://müller.example/",
    ):
        assert checked_url(url, https_only=True, allow_private=False) == url
    local = "http://127.0.0.1:9/"
    assert checked_url(local, https_only=False, allow_private=True) == local


def resolving_to(*addresses: str) -> Resolve:
    async def fixed(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return fixed


async def post(sender: Sender, url: str) -> int:
    return await sender.post(url, {"webhook-id": "msg_1"}, b'{"a":1}')


async def test_a_message_arrives_as_it_was_signed() -> None:
    async with Receiver() as receiver:
        assert await post(Sender(allow_private=True), receiver.url) == 204
    (got,) = receiver.received
    assert got.request_line == "POST /hook?x=1 HTTP/1.1"
    assert got.body == b'{"a":1}'
    assert got.headers["webhook-id"] == "msg_1"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"


async def test_a_name_that_leads_inside_gets_nothing() -> None:
    async with Receiver() as receiver:
        for addresses in (["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["fe80::1%lo"]):
            sender = Sender(allow_private=False, resolve=resolving_to(*addresses))
            with pytest.raises(AttemptError, match="private_address"):
                await post(sender, f"http://app.example:{receiver.port}/")
    assert receiver.received == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost"])
async def test_other_spellings_of_loopback_lead_inside_too(host: str) -> None:
    with pytest.raises(AttemptError, match=r"private_address|unknown_host"):
        await post(Sender(allow_private=False), f"http://{host}:9/")


async def test_a_redirect_is_not_followed() -> None:
    async with Receiver() as inside, Receiver() as receiver:
        receiver.status(302, f"location: {inside.url}")
        assert await post(Sender(allow_private=True), receiver.url) == 302
    assert inside.received == []


async def test_the_certificate_is_judged_by_the_name_not_the_address(tmp_path: Path) -> None:
    server_tls, client_tls = loopback_tls(tmp_path, name="hooks.example")
    async with Receiver(tls=server_tls) as receiver:
        sender = Sender(True, resolving_to("127.0.0.1"), client_tls)
        assert await post(sender, f"https://hooks.example:{receiver.port}/") == 204
        with pytest.raises(AttemptError, match="tls_failed"):
            await post(sender, f"https://other.example:{receiver.port}/")
    assert [got.headers["host"] for got in receiver.received] == [f"hooks.example:{receiver.port}"]


async def test_failures_have_a_word_each() -> None:
    sender = Sender(allow_private=True)
    with pytest.raises(AttemptError, match="connection_refused"):
        await post(sender, f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(AttemptError, match="unknown_host"):
        await post(Sender(True, resolving_to()), "http://app.example/")
    async with Receiver(answer=b"220 not http\r\n\r\n") as receiver:
        with pytest.raises(AttemptError, match="connection_failed"):
            await post(sender, receiver.url)


async def test_a_receiver_that_never_answers_is_a_timeout() -> None:
    async with Receiver(answer=b"") as receiver:
        with pytest.raises(AttemptError, match="timeout"):
            await post(Sender(allow_private=True, patience_s=0.1), receiver.url)


async def test_an_endless_answer_is_not_read() -> None:
    endless = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n" + b"x" * 65536
    async with Receiver(answer=endless) as receiver, asyncio.timeout(5):
        assert await post(Sender(allow_private=True), receiver.url) == 200


async def test_the_systems_resolver_knows_this_machine() -> None:
    assert "127.0.0.1" in await resolve("127.0.0.1", 80)
