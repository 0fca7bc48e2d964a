"""What a room's page says of itself while things change, and at the end."""

import re

import pytest
from playwright.async_api import Page, Response, expect

from tests.e2e.browser.conftest import NewPerson
from tests.e2e.browser.people import end, hears_something, open_room, room_of, sign_up, speak
from tests.e2e.browser.test_stars import encore
from tests.e2e.stack import Stack

pytestmark = pytest.mark.slow


_RINGS = """(person) => [true, false].map((speaks) => {
  person.classList.toggle("speaking", speaks);
  return getComputedStyle(person.querySelector(".face"), "::after").borderTopWidth;
})"""


async def primary_buttons(page: Page) -> list[str]:
    return await page.locator("main .primary:visible").all_inner_texts()


async def test_the_end_is_told_and_leads_to_the_replay(new_person: NewPerson) -> None:
    host, listener, reader = await new_person(), await new_person(), await new_person()
    refused: list[str] = []

    def note(got: Response) -> None:
        if got.status >= 400 and "/whip/" in got.url:
            refused.append(f"{got.request.method} {got.status}")

    host.on("response", note)
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "The end")
    await speak(host)
    await reader.goto(room)
    await listener.goto(room)
    for page in (host, listener):
        await page.get_by_role("button", name="Listen live").click()
        await hears_something(page)
    await expect(listener.locator("#stage .person.speaking")).to_have_count(1)
    await end(host)

    for page in (host, listener):
        await expect(page.locator("#badges .badge:visible")).to_have_text(["Ended"])
        await expect(page.locator("#audience")).to_be_hidden()
        await expect(page.locator("#stage .person.speaking")).to_have_count(0)
        await expect(page.locator("#position")).not_to_contain_text("behind")
        await expect(page.get_by_role("heading", name="Raised hands")).to_be_hidden()
    await expect(host.get_by_role("heading", name="Run the room")).to_be_hidden()
    await expect(host.get_by_label(re.compile("^Manage"))).to_have_count(0)
    await expect(listener.get_by_text("to raise your hand and speak")).to_be_hidden()
    for page in (host, listener):
        assert await primary_buttons(page) == ["Listen to the replay"]
        await expect(page.locator("#listening")).to_have_text("That was all of it.")
    await expect(reader.locator("#timeline")).to_be_visible()
    await listener.get_by_role("link", name="Listen to the replay").click()
    await expect(listener.locator("#timeline")).to_be_visible()
    assert refused == []


async def test_who_is_not_heard_reads_so(new_person: NewPerson) -> None:
    host, listener = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "Words")
    assert await primary_buttons(host) == ["Speak"]
    await expect(host.get_by_text("You don’t hear the other speakers")).to_be_visible()
    await speak(host)
    words = host.locator("#publishing")
    await expect(words).to_contain_text("You are live.")
    await listener.goto(room)
    assert await primary_buttons(listener) == ["Listen live"]
    await expect(listener.get_by_text("You don’t hear the other speakers")).to_have_count(0)
    await listener.get_by_role("button", name="Listen live").click()
    await hears_something(listener)

    await host.get_by_role("button", name="Mute", exact=True).click()
    await expect(words).to_have_text("Muted: nobody hears you.")
    await host.get_by_role("button", name="Unmute").click()
    await expect(words).to_contain_text("You are live.")
    await listener.emulate_media(forced_colors="active")
    assert await listener.locator("#stage .person").first.evaluate(_RINGS) == ["3px", "0px"]
    await listener.emulate_media(forced_colors="none")
    rings = [page.locator("#stage .person.speaking") for page in (host, listener)]
    for ring in rings:
        await expect(ring).to_have_count(1)
    await host.get_by_role("button", name="Go off the record").click()
    await expect(words).to_have_text("Off the record: nothing is kept, and listeners hear nothing.")
    await expect(listener.locator("#listening")).to_have_text(
        "Off the record: the sound goes on when they resume."
    )
    for ring in rings:
        await expect(ring).to_have_count(0)
    await host.get_by_role("button", name="Back on the record").click()
    await expect(words).to_contain_text("You are live.")
    await hears_something(listener)
    for ring in rings:
        await expect(ring).to_have_count(1)
    await end(host)


async def test_who_is_let_go_reads_so_and_does_nothing_more(
    new_person: NewPerson, stack: Stack
) -> None:
    host, guest = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "The last one")
    await speak(host)
    await sign_up(guest, "Grace Hopper")
    await guest.goto(room)
    await guest.get_by_role("button", name="Join the room").click()
    await encore(stack, "money", "leave", str((await room_of(host))["host_id"]), "--yes")
    await expect(host.get_by_role("alert")).to_contain_text("your account is closed: nobody hears")
    for heading in ("You", "Run the room", "Listeners"):
        await expect(host.get_by_role("heading", name=heading, exact=True)).to_be_hidden()
    assert await primary_buttons(host) == ["Open the room again"]
    await expect(guest.get_by_role("heading", name="You", exact=True)).to_be_visible()
    await expect(guest.get_by_role("alert")).to_have_count(0)
    await host.get_by_role("link", name="Open the room again").click()
    await expect(host.get_by_role("link", name="Sign in").first).to_be_visible()
