"""A live room by keyboard: the focus stays where somebody works, whatever happens meanwhile."""

import pytest
from playwright.async_api import expect

from tests.e2e.browser.conftest import NewPerson
from tests.e2e.browser.people import open_room, sign_up

pytestmark = pytest.mark.slow


async def test_who_presses_a_button_stays_there(new_person: NewPerson) -> None:
    host, guest = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "Keys")
    await sign_up(guest, "Grace Hopper")
    await guest.goto(room)
    await guest.get_by_role("button", name="Join the room").press("Enter")
    await expect(guest.get_by_role("heading", name="You", exact=True)).to_be_focused()
    await guest.keyboard.press("Tab")
    raised = guest.get_by_role("button", name="Raise hand")
    await expect(raised).to_be_focused()
    await guest.keyboard.press("Enter")
    await expect(guest.get_by_role("button", name="Lower hand")).to_be_focused()
    await host.get_by_role("button", name="Go off the record").press("Enter")
    await expect(host.get_by_role("heading", name="Run the room")).to_be_focused()


async def test_what_happens_takes_the_focus_from_nobody(new_person: NewPerson) -> None:
    host, first, second = await new_person(), await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "Many hands")
    for page, name in ((first, "Grace Hopper"), (second, "Alan Turing")):
        await sign_up(page, name)
        await page.goto(room)
        await page.get_by_role("button", name="Join the room").click()
    await first.get_by_role("button", name="Raise hand").click()
    invite = host.get_by_role("button", name="Invite: Grace Hopper")
    await invite.focus()
    await second.get_by_role("button", name="Raise hand").click()
    await expect(host.locator("#hands li")).to_have_count(2)
    await expect(invite).to_be_focused()
    await host.keyboard.press("Enter")
    await first.get_by_role("button", name="Come on stage").click()
    manage = host.get_by_label("Manage Grace Hopper")
    await manage.press("Enter")
    mute = host.get_by_role("button", name="Mute: Grace Hopper")
    await mute.focus()
    await host.get_by_role("button", name="Invite: Alan Turing").evaluate("e => e.click()")
    await second.get_by_role("button", name="Come on stage").click()
    await expect(host.locator("#stage .person")).to_have_count(3)
    await expect(mute).to_be_focused()
    await host.keyboard.press("Escape")
    await expect(mute).to_be_hidden()
    await expect(manage).to_be_focused()
