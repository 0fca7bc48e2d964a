"""Every page in both themes, on a phone and on a desk: nothing sticks out, and pictures to look at.

The pictures are left in `looks` beside pytest's temporary folders, or in ENCORE_LOOKS.
"""

import os
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.browser.conftest import NewPerson
from tests.e2e.browser.people import end, hears_something, open_room, sign_up, speak

pytestmark = pytest.mark.slow

SIZES = {"phone": (390, 844), "desk": (1280, 850)}
THEMES = ("light", "dark")


@pytest.fixture(scope="session")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = os.environ.get("ENCORE_LOOKS")
    return Path(folder) if folder else tmp_path_factory.mktemp("looks")


async def look_at(page: Page, name: str, looks: Path) -> None:
    for size, (width, height) in SIZES.items():
        await page.set_viewport_size({"width": width, "height": height})
        for theme in THEMES:
            await page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            sticks_out = await page.evaluate(
                "() => document.documentElement.scrollWidth > window.innerWidth"
            )
            assert not sticks_out, f"{name} is wider than a {size}"
            await page.screenshot(path=looks / f"{name}-{theme}-{size}.png", full_page=True)


async def test_the_pages_of_a_room_look_right(new_person: NewPerson, looks: Path) -> None:
    host, guest = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "What radio can still teach us")
    await host.get_by_role("button", name="Speak", exact=True).click()
    await look_at(host, "consent", looks)
    await host.get_by_role("dialog").get_by_role("button", name="Don’t speak").click()
    await speak(host)
    await sign_up(guest, "Bartholomäus Schneider-Kowalczyk-von-der-Heide-zu-Unterwaldingen")
    await guest.goto(room)
    await guest.get_by_role("button", name="Join the room").click()
    await guest.get_by_role("button", name="Raise hand").click()
    await expect(host.locator("#hands")).to_contain_text("Schneider")
    await host.get_by_role("button", name="Invite").click()
    await guest.get_by_role("button", name="Come on stage").click()
    await host.locator("#stage summary").click()
    await guest.get_by_role("button", name="Listen live").click()
    await hears_something(guest)
    await look_at(host, "host", looks)
    await host.locator("#stage summary").click()
    await look_at(guest, "guest", looks)
    await guest.goto("/")
    await look_at(guest, "list", looks)
    await guest.goto("/rooms/new")
    await look_at(guest, "new", looks)
    await host.get_by_role("button", name="Edit").click()
    await expect(host.get_by_role("dialog")).to_be_visible()
    await look_at(host, "edit", looks)
    await host.get_by_role("button", name="Cancel").click()
    await host.get_by_role("button", name="Go off the record").click()
    await host.get_by_role("button", name="Back on the record").click()
    await end(host)
    await guest.goto(room)
    await expect(guest.locator("#stage")).to_contain_text("Ada Lovelace")
    await expect(guest.locator("#tracks")).to_contain_text("Ada Lovelace")
    await look_at(guest, "replay", looks)


async def test_a_group_and_a_scheduled_room_look_right(new_person: NewPerson, looks: Path) -> None:
    page = await new_person()
    await sign_up(page, "Bartholomäus Schneider-Kowalczyk-von-der-Heide-zu-Unterwaldingen")
    await page.goto("/groups")
    await look_at(page, "groups", looks)
    await page.get_by_label("A new group").fill("Choir of Unterwaldingen and the villages around")
    await page.get_by_role("button", name="Make the group").click()
    await expect(page.locator("#members")).to_contain_text("Schneider")
    await look_at(page, "group", looks)
    await page.get_by_role("link", name="Open a room for this group").click()
    await page.get_by_label("Title").fill("Rehearsal")
    await page.get_by_label("Members of a group").check()
    await page.get_by_label("When").fill("2030-01-02T20:30")
    await page.get_by_role("button", name="Make the room").click()
    await expect(page.get_by_role("button", name="Go live")).to_be_visible()
    await look_at(page, "scheduled", looks)


async def test_the_other_pages_look_right(new_person: NewPerson, looks: Path) -> None:
    page = await new_person()
    for name in ("sign-in", "sign-up", "password-reset", "nowhere"):
        await page.goto(f"/{name}")
        await look_at(page, name, looks)
