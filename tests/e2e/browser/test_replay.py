"""The page of a room that has ended."""

import asyncio
import json
import re
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from core.auth.models import Platform, User
from core.db import Database
from core.postgres import EmbeddedPostgres
from ingest.models import Recording
from rooms.models import Room
from rooms.queries import participant_of
from tests.e2e.browser.conftest import NewPerson
from tests.e2e.browser.people import end, hears_something, open_room, room_of, sign_up, speak
from tests.e2e.stack import Stack
from tests.polling import eventually
from tests.rooms.conftest import House
from tests.transcripts.heard import Heard, spoken

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


async def write_down(page: Page, stack: Stack, text: str) -> None:
    """Publishes `text` as what the host said from the first second on, as a run would."""
    room = await room_of(page)
    server = EmbeddedPostgres(stack.data_dir / "postgres")
    port = server.running_port()
    assert port is not None
    database = Database(server.url(port))
    async with database.transaction() as session:
        found = await session.get_one(Room, UUID(str(room["id"])))
        recording = await session.get_one(Recording, found.recording_id)
        host = await participant_of(session, found, found.host_id)
        platform = await session.get_one(Platform, found.platform_id)
        house = House(session, platform, await session.get_one(User, found.host_id))
        assert host is not None
        heard = Heard(house, found, recording)
        await heard.publish(await heard.run({host: spoken(text)}))
    await database.close()


async def test_one_speaker_is_heard_alone_and_read_at_the_same_second(
    new_person: NewPerson, stack: Stack
) -> None:
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
    await listener.get_by_role("button", name="Pause").click()
    await _its_transcript(host, listener, stack)


async def _its_transcript(host: Page, listener: Page, stack: Stack) -> None:
    """Follows and leads the player, is searched, and is corrected by the host alone."""
    await write_down(host, stack, "what the see keeps it keeps well")
    await asyncio.gather(host.reload(), listener.reload())
    said = listener.locator("#said")
    await expect(said).to_contain_text("what the see keeps")
    await said.get_by_text("well", exact=True).click()
    await expect(listener.locator(".word.now")).to_have_text("well")
    await expect(listener.locator("#now")).to_have_text("0:02")
    find = listener.get_by_placeholder("Find what was said")
    await find.click()
    await listener.keyboard.type("KEEPS")
    await expect(listener.locator("#find-count")).to_have_text("1 of 2")
    await expect(listener.locator(".word.here")).to_have_text("keeps")
    await expect(listener.locator(".word.here")).to_be_in_viewport()
    await listener.keyboard.press("Enter")
    await expect(listener.locator("#find-count")).to_have_text("2 of 2")
    await expect(listener.locator("#now")).to_have_text("0:02")  # keys write, and don't play
    await expect(listener.get_by_role("button", name="Transcribe again")).to_have_count(0)
    await _a_hit(listener)
    await expect(listener.get_by_role("button", name="Edit")).to_have_count(0)

    both = (host, await _another_tab(host))
    for page in both:
        await page.locator("#said .cue").focus()
        await page.keyboard.press("e")
    await (
        both[0]
        .get_by_role("textbox", name="What was said")
        .fill("what the sea keeps it keeps well")
    )
    await both[0].keyboard.press("Enter")
    await expect(both[0].locator("#transcript-said")).to_contain_text("Saved.")
    await (
        both[1]
        .get_by_role("textbox", name="What was said")
        .fill("what the ski keeps it keeps well")
    )
    await both[1].evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(both[1].locator(".cue-form [role=status]")).to_contain_text(
        "It says now: what the sea keeps"
    )
    await both[1].keyboard.press("Enter")
    conflict = both[1].locator(".conflict")
    await expect(conflict).to_contain_text("what the sea keeps")
    await expect(conflict).to_contain_text("what the ski keeps")
    await conflict.get_by_role("button", name="Leave theirs").click()
    await expect(both[1].locator("#said")).to_contain_text("what the sea keeps")
    await host.locator("#transcript-said").get_by_role("button", name="Undo").click()
    await expect(host.locator("#said")).to_contain_text("what the see keeps")
    await _heard_anew(host)


async def _heard_anew(host: Page) -> None:
    """By the real engine, which finds no word in what was really to be heard: tones."""
    again = host.get_by_role("button", name="Transcribe again")
    await again.click()
    dialog = host.get_by_role("dialog")
    await expect(dialog).to_contain_text("corrections are kept")
    await dialog.get_by_role("button", name="Transcribe again").click()
    await expect(host.get_by_text("Listening again…")).to_be_visible()
    await expect(again).to_be_hidden()
    await expect(host.locator("#transcript-said")).to_contain_text("The same model listens again")
    await expect(host.locator("#said")).to_contain_text("what the see keeps")
    await expect(host.get_by_text("Nothing was said")).to_be_visible(timeout=60_000)
    await expect(host.locator("#said .cue")).to_have_count(0)
    await expect(again).to_be_visible()


async def _a_hit(listener: Page) -> None:
    """What was found is shown, with the words that were looked for."""
    replay = listener.url.partition("?")[0]
    await listener.goto("about:blank")
    await listener.goto(f"{replay}?q=sea%20keeps#t=1000")
    await expect(listener.locator(".cue.arrived")).to_be_in_viewport()
    await expect(listener.locator(".cue.arrived .word.found")).to_have_text(["keeps", "keeps"])
    await expect(listener.locator("#now")).to_have_text("0:01")


async def _another_tab(page: Page) -> Page:
    tab = await page.context.new_page()
    await tab.goto(page.url)
    return tab


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
