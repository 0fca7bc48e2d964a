"""What a host does to a room besides letting people speak."""

import re

import pytest
from playwright.async_api import expect

from tests.e2e.browser.conftest import NewPerson
from tests.e2e.browser.people import end, open_room, sign_up, speak

pytestmark = pytest.mark.slow


async def test_a_scheduled_room_is_edited_and_called_off(new_person: NewPerson) -> None:
    host = await new_person(timezone_id="Europe/Rome", locale="en-GB")
    abroad = await new_person(timezone_id="America/New_York", locale="en-US")
    await sign_up(host, "Ada Lovelace")
    await host.goto("/rooms/new")
    await host.get_by_label("Title").fill("Soon")
    await host.get_by_label("What it is about").fill("To be cleared")
    await host.get_by_label("What speakers have of the tips").fill("40")
    await host.get_by_label("When").fill("2030-01-02T20:30")
    await host.get_by_role("button", name="Make the room").click()
    await expect(host.locator("#when")).to_have_text(re.compile("Wed.*2 Jan 2030.*20:30 CET"))
    await expect(host.get_by_role("button", name="Go live")).to_be_visible()

    await host.get_by_role("button", name="Edit").click()
    dialog = host.get_by_role("dialog")
    await expect(dialog.get_by_label("When")).to_have_value("2030-01-02T20:30")
    await expect(dialog.get_by_label("What speakers have of the tips")).to_have_value("40")
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


async def test_a_listener_is_brought_on_stage_made_cohost_and_back(new_person: NewPerson) -> None:
    host, guest = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "Roles")
    await sign_up(guest, "Ben <b>Okafor</b>")
    await guest.goto(room)
    await expect(guest.get_by_role("heading", name="Listeners")).to_be_hidden()
    await guest.get_by_role("button", name="Join the room").click()
    await host.reload()  # whoever came before this page did is not in what it begins with
    await host.get_by_text("Show who is signed in").click()
    await host.get_by_role("button", name="Invite: Ben <b>Okafor</b>").click()
    await guest.get_by_role("button", name="No, thanks").click()
    await host.get_by_role("button", name="Invite: Ben <b>Okafor</b>").click()
    await expect(guest.locator("#standing")).to_contain_text("invited to the stage. Tips go to")
    await host.get_by_role("button", name="Take the invitation back").click()
    await expect(guest.locator("#standing")).to_contain_text("in the audience")
    await host.get_by_role("button", name="Invite: Ben <b>Okafor</b>").click()
    await guest.get_by_role("button", name="Come on stage").click()
    await expect(host.locator("#no-listeners")).to_have_text("Nobody yet.")

    async def manage(action: str) -> None:
        await host.get_by_label("Manage Ben <b>Okafor</b>").click()
        await host.get_by_role("button", name=f"{action}: Ben <b>Okafor</b>").click()

    await manage("Make co-host")
    await expect(guest.get_by_role("heading", name="Run the room")).to_be_visible()
    await expect(guest.get_by_role("heading", name="Listeners")).to_be_visible()
    await expect(guest.get_by_role("button", name="Go off the record")).to_be_visible()
    await expect(guest.get_by_role("button", name="Stop recording")).to_be_hidden()
    await manage("No longer co-host")
    await expect(guest.get_by_role("heading", name="Run the room")).to_be_hidden()
    await expect(guest.get_by_role("button", name="Leave the stage")).to_be_visible()
    await manage("To the audience")
    await expect(guest.get_by_role("button", name="Raise hand")).to_be_visible()
    await expect(host.locator("#listener-list")).to_contain_text("Ben <b>Okafor</b>")
    await host.get_by_role("button", name="Remove: Ben <b>Okafor</b>").click()
    await host.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(guest.locator("#standing")).to_contain_text("removed you")
    await end(host)


async def test_a_speaker_takes_consent_back(new_person: NewPerson) -> None:
    host = await new_person()
    await sign_up(host, "Ada Lovelace")
    await open_room(host, "Consent")
    withdraw = host.get_by_role("button", name="Withdraw consent to be recorded")
    await expect(withdraw).to_be_hidden()
    await speak(host)
    await withdraw.click()
    dialog = host.get_by_role("dialog")
    await expect(dialog).to_contain_text("Nothing you say from now on is kept")
    await dialog.get_by_role("button", name="Withdraw consent").click()
    await expect(host.locator("#stage")).to_contain_text("no consent yet")
    await expect(withdraw).to_be_hidden()
    await expect(host.get_by_role("button", name="Stop the microphone")).to_be_hidden()
    await speak(host)
    await expect(withdraw).to_be_visible()
    await end(host)
