"""A speaker whose browser may use nothing but the relay."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Route

from ingest.turn import ice_servers
from tests.e2e.browser.conftest import TONES_HZ, NewPerson
from tests.e2e.browser.people import end, open_room, room_of, sign_up, speak
from tests.e2e.sound import hear
from tests.e2e.stack import Stack
from tests.e2e.test_crash import ended_playlist
from tests.ingest.coturn import relay, settings
from tests.polling import eventually

__all__ = ["relay"]

pytestmark = pytest.mark.slow

SPEAKS_S = 7.0
_RELAY_ONLY = """
const Open = RTCPeerConnection;
const narrow = (settings) => ({ ...settings, iceTransportPolicy: "relay" });
window.peers = [];
window.RTCPeerConnection = class extends Open {
  constructor(settings) { super(narrow(settings)); window.peers.push(this); }
  setConfiguration(settings) { super.setConfiguration(narrow(settings)); }
};
"""
_WAYS = """async () => {
  const stats = [...(await window.peers.at(-1).getStats()).values()];
  const used = stats.filter((s) => s.type === "candidate-pair" && s.nominated);
  return used.map((s) => stats.find((one) => one.id === s.localCandidateId).candidateType);
}"""


async def test_a_browser_speaks_through_the_relay(
    new_person: NewPerson, stack: Stack, relay: str
) -> None:
    async def tell_of_it(route: Route) -> None:
        answer = await route.fetch()
        ticket: dict[str, Any] = await answer.json()
        assert ticket["ice_servers"] == []
        servers = [server.model_dump() for server in ice_servers(settings(relay))]
        await route.fulfill(response=answer, json={**ticket, "ice_servers": servers})

    host = await new_person()
    await host.add_init_script(_RELAY_ONLY)
    await host.route("**/publish", tell_of_it)
    await sign_up(host, "Ada Lovelace")
    await open_room(host, "Relayed")
    await speak(host)
    # The statistics name the pair some time after sound flows over it, and one for each
    # allocation that answered.
    ways = await eventually(lambda: host.evaluate(_WAYS))
    assert set(ways) == {"relay"}
    await asyncio.sleep(SPEAKS_S)
    room = await room_of(host)
    await end(host)
    url = f"{stack.web_url}/v1/rooms/{room['id']}/replay.m3u8"
    await ended_playlist(url)
    sound = await hear(url)
    assert all(sound.seconds_with(hz) > 1 for hz in TONES_HZ)
