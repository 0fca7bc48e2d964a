"""The page of a room that has ended."""

import json
import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.e2e.browser.conftest import NewPerson
from tests.e2e.browser.people import end, hears_something, open_room, sign_up, speak
from tests.polling import eventually

pytestmark = pytest.mark.slow

_PLACES = """async ([roomId]) => {
  const { tracks } = await (await fetch(`/v1/rooms/${roomId}/listen`)).json();
  const audio = document.querySelector('#audio');
  return { media_s: audio.currentTime, start_s: tracks[0].room_start_ms / 1000,
           room_s: Number(document.querySelector('#seek').value) / 1000 };
}"""


async def places(page: Page) -> dict[str, Any]:
    """Where the player is in the track and on the room's clock, both in seconds."""
    text = await page.locator("#room-data").text_content()
    found: dict[str, Any] = await page.evaluate(_PLACES, [json.loads(text or "")["room"]["id"]])
    return found


async def test_one_speaker_is_heard_alone_at_the_same_second(new_person: NewPerson) -> None:
    host, listener = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "Solo")
    await host.wait_for_timeout(1500)  # the track begins when she does, not with the room
    await speak(host)
    await host.get_by_role("button", name="Listen live").click()
    await hears_something(host)
    await host.wait_for_timeout(2000)
    await end(host)

    await listener.goto(f"{room}?t=3")
    await expect(listener.locator("#now")).to_have_text("0:03")
    alone = listener.get_by_role("button", name="Ada Lovelace")
    everybody = listener.get_by_role("button", name="Everybody")
    await expect(everybody).to_have_attribute("aria-pressed", "true")
    async with listener.expect_response(lambda got: "/track-" in got.url) as played:
        await alone.click()
    assert (await played.value).ok
    await expect(alone).to_have_attribute("aria-pressed", "true")
    await expect(listener.locator("#now")).to_have_text("0:03")
    await listener.get_by_role("button", name="Play", exact=True).click()
    await hears_something(listener)
    await listener.get_by_role("button", name="Pause").click()
    at = await places(listener)
    assert at["start_s"] > 1
    assert at["room_s"] >= 3
    assert at["media_s"] + at["start_s"] == pytest.approx(at["room_s"], abs=1.1)

    await everybody.click()
    await expect(alone).to_have_attribute("aria-pressed", "false")
    assert (await places(listener))["room_s"] == pytest.approx(at["room_s"], abs=1.1)
    await listener.keyboard.press("j")
    await listener.get_by_role("button", name="Play", exact=True).click()
    await hears_something(listener)


async def test_a_replay_goes_on_after_an_expired_address(new_person: NewPerson) -> None:
    host, listener = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "Long")
    await speak(host)
    await host.get_by_role("button", name="Listen live").click()
    await hears_something(host)
    await end(host)
    refused = []

    async def expire(route: Any) -> None:
        refused.append(route.request.url)
        await route.fulfill(status=403)

    await listener.route("**/*.m3u8*", expire, times=1)
    await listener.goto(room)
    await listener.get_by_role("button", name="Play", exact=True).click()
    await hears_something(listener)
    assert len(refused) == 1


_REPLAY_URL = """async ([roomId]) => {
  const { replay_url } = await (await fetch(`/v1/rooms/${roomId}/listen`)).json();
  return replay_url.endsWith('/replay.m3u8');
}"""


async def test_a_compacted_replay_is_played_by_its_short_list(new_person: NewPerson) -> None:
    host, listener = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "Compact")
    await speak(host)
    await host.get_by_role("button", name="Listen live").click()
    await hears_something(host)
    await host.wait_for_timeout(9000)  # more than one merged entry
    await end(host)
    data = json.loads(await host.locator("#room-data").text_content() or "")

    async def compacted() -> bool:
        return bool(await host.evaluate(_REPLAY_URL, [data["room"]["id"]]))

    await eventually(compacted, within_s=30)
    answers: dict[str, int] = {}
    listener.on(
        "response", lambda got: answers.update({got.url.rpartition("/r1/mix/")[2]: got.status})
    )
    await listener.goto(f"{room}?t=9")
    await expect(listener.locator("#now")).to_have_text("0:09")
    await listener.get_by_role("button", name="Play", exact=True).click()
    await hears_something(listener)
    assert answers["all.mp4"] == 206, "the init segment is a range of the object"
    merged = [status for name, status in answers.items() if re.fullmatch(r"\d+-\d+\.m4s", name)]
    assert merged
    assert set(merged) == {200}
