"""What a host does to a room besides letting people speak."""

import re

import pytest
from playwright.async_api import expect

from tests.e2e.browser.conftest import NewPerson
from tests.e2e.browser.people import end, open_room, sign_up

pytestmark = pytest.mark.slow


async def test_a_scheduled_room_is_edited_and_called_off(new_person: NewPerson) -> None:
    host = await new_person(timezone_id="Europe/Rome", locale="en-GB")
    abroad = await new_person(timezone_id="America/New_York", locale="en-US")
    await sign_up(host, "Ada Lovelace")
    await host.goto("/rooms/new")
    await host.get_by_label("Title").fill("Soon")
    await host.get_by_label("What it is about").fill("To be cleared")
    await host.get_by_label("When").fill("2030-01-02T20:30")
    await host.get_by_role("button", name="Make the room").click()
    await expect(host.locator("#when")).to_have_text(re.compile("Wed.*2 Jan 2030.*20:30 CET"))

    await host.get_by_role("button", name="Edit").click()
    dialog = host.get_by_role("dialog")
    await expect(dialog.get_by_label("When")).to_have_value("2030-01-02T20:30")
    await dialog.get_by_label("Title").fill("Soon <b>enough</b>")
    await dialog.get_by_label("What it is about").fill("")
    await dialog.get_by_label("Topics").fill("radio, jazz")
    await dialog.get_by_label("When").fill("2030-01-03T21:00")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_be_hidden()
    await expect(host.get_by_role("heading", level=1)).to_have_text("Soon <b>enough</b>")
    await expect(host.locator("#about")).to_be_hidden()

    await abroad.goto(host.url)
    await expect(abroad.locator("#when")).to_have_text(re.compile("Thu.*Jan 3, 2030.*3:00.*EST"))
    await expect(abroad.locator("#room-topics .pill")).to_have_text(["radio", "jazz"])
    await expect(abroad.get_by_role("button", name="Edit")).to_have_count(0)

    await host.get_by_role("button", name="Call it off").click()
    await host.get_by_role("dialog").get_by_role("button", name="No").click()
    await host.get_by_role("button", name="Call it off").click()
    await host.get_by_role("dialog").get_by_role("button", name="Call it off").click()
    await expect(host.get_by_role("heading", name="Rooms", exact=True)).to_be_visible()
    gone = await abroad.reload()
    assert gone is not None
    assert gone.status == 404


async def test_a_live_room_is_edited_and_its_recording_stopped(new_person: NewPerson) -> None:
    host, guest = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "Working title")
    await guest.goto(room)
    await host.get_by_role("button", name="Edit").click()
    dialog = host.get_by_role("dialog")
    await dialog.get_by_label("Title").fill("")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_be_visible()
    await dialog.get_by_label("Title").fill("The title")
    await dialog.get_by_label("What it is about").fill("Now with a description")
    await dialog.get_by_role("button", name="Save").click()
    await expect(guest.get_by_role("heading", level=1)).to_have_text("The title")
    await expect(guest.locator("#about")).to_have_text("Now with a description")

    await host.get_by_role("button", name="Stop recording").click()
    await host.get_by_role("dialog").get_by_role("button", name="Stop recording").click()
    for page in (host, guest):
        await expect(page.locator("#recording")).to_have_text("Not recorded")
    for _ in range(2):
        await expect(host.locator("#record-hint")).to_contain_text("stopped for good")
        await expect(host.get_by_role("button", name="Record", exact=True)).to_be_hidden()
        await host.reload()
    await end(host)
