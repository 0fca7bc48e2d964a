"""The receiver of a room dies for good: pages find the one that has it now, by themselves."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Response, expect

from tests.e2e.browser.conftest import people
from tests.e2e.browser.people import end, hears_something, open_room, room_of, sign_up, speak
from tests.e2e.fleet import Fleet

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fleet"), pytest.mark.timeout(300)]

MOVE_MS = 40_000
_NOTE_WORDS = """() => {
  const line = document.querySelector('#publishing');
  window.told = [];
  new MutationObserver(() => window.told.push(line.textContent))
    .observe(line, { childList: true, characterData: true, subtree: true });
}"""


async def test_the_speakers_page_finds_the_new_place(fleet: Fleet, chromium: Browser) -> None:
    """The speaker has nothing to do, and reads what happens."""
    await fleet.ready()
    places: list[str] = []

    def note(got: Response) -> None:
        if got.status == 201 and "/whip/" in got.url:
            places.append(urlsplit(got.url).netloc)

    async with people(chromium, fleet.web_url) as new_person:
        host = await new_person()
        host.on("response", note)
        await sign_up(host, "Ada Lovelace")
        await open_room(host, "A move")
        await speak(host)
        await host.get_by_role("button", name="Listen live").click()
        await hears_something(host)
        await host.evaluate(_NOTE_WORDS)
        room = await room_of(host)
        dead = await fleet.owner(str(room["recording_id"]))
        dead.kill()

        await host.wait_for_function(
            "() => window.told.at(-1)?.startsWith('You are live.')", timeout=MOVE_MS
        )
        told = await host.evaluate("() => window.told")
        assert told[0] == "The connection broke. Connecting again…"
        assert len(set(places)) == len(places) == 2
        await hears_something(host)
        await end(host)
        await host.get_by_role("link", name="Listen to the replay").click()
        ledger = host.locator("#ledger")
        await expect(ledger).to_contain_text("the room moved to another server")
        await expect(ledger).not_to_contain_text(re.compile("_lost|_down"))
