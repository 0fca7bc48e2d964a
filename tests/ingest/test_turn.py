"""The relay's credentials, and a speaker whose network lets nothing but TCP to the relay out."""

import asyncio
import base64
import hashlib
import hmac
import time
from pathlib import Path

import httpx
import pytest
from aioice import stun, turn
from pydantic import SecretStr

from core.authorities import authorities
from core.db import Database
from core.settings import Settings
from demo.speaker import Speaker
from ingest.turn import TTL_SECONDS, IceServer, ice_servers, links
from tests.ingest.coturn import SHARED, relay, settings
from tests.ingest.offers import CHROME
from tests.ingest.receiving import Hall, eventually, receiving, settings_for

__all__ = ["relay"]


def test_credentials_end_by_themselves_and_say_nothing_of_anybody() -> None:
    (server,) = ice_servers(settings("turn:a.example", "turns:b.example:443?transport=tcp"))
    expiry, _, rest = server.username.partition(":")
    assert 0 <= int(expiry) - time.time() - TTL_SECONDS + 2 < 4
    assert len(bytes.fromhex(rest)) == 8
    digest = hmac.new(SHARED.encode(), server.username.encode(), hashlib.sha1).digest()
    assert base64.b64decode(server.credential) == digest
    assert ice_servers(settings("turn:a.example"))[0].username != server.username


def test_without_a_relay_there_is_nothing_to_tell() -> None:
    assert ice_servers(Settings(_env_file=None)) == []
    assert links([]) == []


def test_each_url_is_a_link_of_the_answer() -> None:
    server = IceServer(urls=["turn:a", "turns:b"], username="1:x", credential="c=")
    assert links([server]) == [
        f'<{url}>; rel="ice-server"; username="1:x"; credential="c="; credential-type="password"'
        for url in ("turn:a", "turns:b")
    ]


@pytest.mark.slow
async def test_a_speaker_without_udp_is_heard_through_the_relay(
    relay: str, database: Database, postgres_url: str, tmp_path: Path
) -> None:
    hall = Hall(database)
    await hall.go_live()
    with_relay = {"turn_urls": (relay,), "turn_secret": SecretStr(SHARED)}
    async with receiving(settings_for(postgres_url, tmp_path).model_copy(update=with_relay)):
        guest, whip_url = await hall.guest(), await hall.whip_url()
        headers = {"Authorization": f"Bearer {guest.token}", "Content-Type": "application/sdp"}
        async with httpx.AsyncClient(verify=authorities()) as client:
            answer = await client.post(whip_url, content=CHROME, headers=headers)
        assert answer.headers["Link"].startswith(f'<{relay}>; rel="ice-server"; username="')
        async with Speaker() as speaker:
            relays = [server.model_dump() for server in ice_servers(settings(relay))]
            await speaker.connect(whip_url, guest.token, relays=relays)
            await eventually(lambda: len(hall.journal(tmp_path).said(guest.participant_id)) >= 25)


@pytest.mark.slow
async def test_the_relay_refuses_who_has_no_secret_or_comes_after_the_hour(relay: str) -> None:
    (good,) = ice_servers(settings(relay))
    late = f"{int(time.time()) - 1}:{'0' * 16}"
    digest = hmac.digest(SHARED.encode(), late.encode(), "sha1")
    await _allocate(relay, good.username, good.credential)
    for username, credential in (
        (good.username, base64.b64encode(bytes(20)).decode()),
        (late, base64.b64encode(digest).decode()),
    ):
        with pytest.raises(stun.TransactionFailed, match="401"):
            await _allocate(relay, username, credential)


async def _allocate(relay: str, username: str, credential: str) -> None:
    port = int(relay.partition("127.0.0.1:")[2].partition("?")[0])
    transport, _ = await turn.create_turn_endpoint(
        asyncio.DatagramProtocol,
        server_addr=("127.0.0.1", port),
        username=username,
        password=credential,
        transport="tcp",
    )
    transport.close()
