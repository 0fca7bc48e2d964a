"""Pages where something is away: the sound, the network, for a while or for good."""

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.browser.conftest import NewPerson
from tests.e2e.browser.people import end, open_room, sign_up, speak

pytestmark = pytest.mark.slow

_UNRECORDED = """async () => {
  const ask = (method, path, body) => fetch(`/v1/rooms${path}`, {
    method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const room = await (await ask("POST", "", { title: "Quiet", record_from_start: false })).json();
  await ask("POST", `/${room.id}/live`);
  await new Promise((go) => { setTimeout(go, 2500); });
  await ask("POST", `/${room.id}/end`);
  return `/rooms/${room.id}`;
}"""


async def lose(page: Page, path: str, times: int) -> list[str]:
    """The first answers from there; returns what was lost, as it comes."""
    lost: list[str] = []

    async def lose_one(route: Route) -> None:
        lost.append(route.request.url)
        await route.abort()

    await page.route(path, lose_one, times=times)
    return lost


async def test_a_room_that_was_never_recorded_says_so(new_person: NewPerson) -> None:
    page = await new_person()
    await sign_up(page, "Ada Lovelace")
    asked: list[str] = []
    room = await page.evaluate(_UNRECORDED)
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{room}?t=1")
    said = page.locator("#state")
    await expect(said).to_have_text("Nothing was recorded in this room.")
    await expect(page.get_by_role("button", name="Play", exact=True)).to_be_hidden()
    await expect(page.get_by_role("heading", name="Each speaker’s track")).to_be_hidden()
    await expect(page.locator("#now")).to_have_text("0:01")
    await expect(page.locator("#stage")).to_contain_text("Ada Lovelace")
    await page.locator("#seek").press("End")
    await expect(page.locator("#now")).to_have_text("0:02")
    await page.keyboard.press("k")
    await expect(said).to_have_text("Nothing was recorded in this room.")
    assert not [url for url in asked if ".m3u8" in url]


async def test_a_replay_is_read_when_the_network_is_back(new_person: NewPerson) -> None:
    host, listener = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "On and off")
    await speak(host)
    await host.wait_for_timeout(2500)
    await end(host)
    history = await lose(listener, "**/history?*", 1)
    recording = await lose(listener, "**/v1/recordings/*", 1)
    await listener.goto(room)
    said = listener.locator("#state")
    await expect(said).to_have_text("No connection to the server. It is tried again…")
    await expect(listener.locator("#tracks")).to_contain_text("Ada Lovelace")
    await expect(said).to_have_text("")
    await expect(listener.locator("#log")).to_contain_text("The room ended")
    assert (len(history), len(recording)) == (1, 1)


async def test_a_live_page_goes_on_when_the_device_is_back_in_a_network(
    new_person: NewPerson,
) -> None:
    """The browser itself keeps a dead stream for minutes."""
    host, listener = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "In a tunnel")
    await listener.goto(room)
    here = listener.locator("#audience")
    await expect(here).to_have_text("2 here")
    await listener.context.set_offline(True)
    await expect(here).to_have_text("Connecting again…")
    await host.get_by_role("button", name="Go off the record").click()
    await expect(host.locator("#badges")).to_contain_text("Off the record")
    await expect(listener.locator("#badges")).to_contain_text("REC")
    await listener.context.set_offline(False)
    await expect(listener.locator("#badges")).to_contain_text("Off the record")
    await expect(here).to_have_text("2 here")
    await end(host)
    await expect(listener.locator("#timeline")).to_be_visible()
