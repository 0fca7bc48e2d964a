"""Signing up, the links of our mails, and signing in again."""

import email
import re
from email.policy import default
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from tests.e2e.browser.conftest import NewPerson
from tests.e2e.browser.people import sign_up
from tests.e2e.stack import Stack

pytestmark = pytest.mark.slow

PASSWORD = "a good long passphrase"
BETTER = "an even longer passphrase"


async def mailed_link(stack: Stack, page: Page, address: str, path: str) -> str:
    """The newest link to `path` mailed to `address`, relative to the site."""
    outbox = stack.data_dir / "outbox"
    pattern = re.compile(rf"({path}\?token=\S+)")
    for _ in range(200):
        for file in sorted(outbox.glob("*.eml"), reverse=True):
            if link := _link_in(file, address, pattern):
                return link
        await page.wait_for_timeout(50)
    raise AssertionError(f"no mail with {path} in {outbox}")


def _link_in(file: Path, address: str, pattern: re.Pattern[str]) -> str | None:
    message = email.message_from_bytes(file.read_bytes(), policy=default)
    found = pattern.search(message.get_content())
    return found.group(1) if found and address in str(message["to"]) else None


async def test_an_account_from_sign_up_to_a_new_password(
    new_person: NewPerson, stack: Stack
) -> None:
    page = await new_person()
    address = f"{uuid4().hex}@example.org"
    await page.goto("/rooms/new")
    await page.get_by_role("main").get_by_role("link", name="Sign in").click()
    await page.get_by_role("link", name="Make an account").click()
    await page.get_by_label("Your name").fill("Ada <i>Lovelace</i>")
    await page.get_by_label("Email").fill(address)
    await page.get_by_label("Password").fill("1234567890")
    await page.get_by_role("button", name="Make the account").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Make the account").click()
    await expect(page.get_by_role("heading", name="Open a room")).to_be_visible()
    await expect(page.get_by_role("banner")).to_contain_text("Ada <i>Lovelace</i>")

    await page.goto(await mailed_link(stack, page, address, "/verify"))
    await page.get_by_role("button", name="Confirm").click()
    await expect(page.get_by_role("status")).to_contain_text("confirmed")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("banner").get_by_role("link", name="Sign in")).to_be_visible()

    await page.goto("/password-reset")
    await page.get_by_label("Email").fill(address)
    await page.get_by_role("button", name="Send the link").click()
    await expect(page.get_by_role("status")).to_contain_text("on its way")
    await page.goto(await mailed_link(stack, page, address, "/password-reset"))
    await page.get_by_label("New password").fill(BETTER)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_role("status")).to_contain_text("changed")

    await page.goto("/sign-in")
    await page.get_by_label("Email").fill(address)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("wrong")
    await page.get_by_label("Password").fill(BETTER)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()


async def test_a_group_room_through_the_form(new_person: NewPerson) -> None:
    host, outsider = await new_person(), await new_person()
    await host.goto("/sign-up?next=/rooms/new")
    await host.get_by_label("Your name").fill("Ada Lovelace")
    await host.get_by_label("Email").fill(f"{uuid4().hex}@example.org")
    await host.get_by_label("Password").fill(PASSWORD)
    await host.get_by_role("button", name="Make the account").click()
    await expect(host.get_by_role("heading", name="Open a room")).to_be_visible()
    await host.get_by_role("link", name="Make a group").click()
    await host.get_by_label("A new group").fill("Choir")
    await host.get_by_role("button", name="Make the group").click()
    await expect(host.get_by_role("heading", name="Choir")).to_be_visible()
    await host.goto("/rooms/new")
    await host.get_by_label("Title").fill("Rehearsal")
    await host.get_by_label("Members of a group").check()
    await host.get_by_label("Group", exact=True).select_option("Choir")
    await host.get_by_label("When").fill("2030-01-02T20:30")
    await host.get_by_role("button", name="Make the room").click()
    await expect(host.get_by_role("heading", name="Rehearsal")).to_be_visible()
    await expect(host.locator("#badges")).to_contain_text("Members only")
    hidden = await outsider.goto(host.url)
    assert hidden is not None
    assert hidden.status == 404
    await expect(outsider.get_by_role("heading", name="Nothing here")).to_be_visible()


async def test_members_come_and_go(new_person: NewPerson) -> None:
    owner, member = await new_person(), await new_person()
    await sign_up(owner, "Ada Lovelace")
    await sign_up(member, "Ben Okafor")
    await owner.goto("/groups")
    await owner.get_by_label("A new group").fill("Choir")
    await owner.get_by_role("button", name="Make the group").click()
    await expect(owner.locator("#members")).to_have_text(re.compile("Ada Lovelace"))
    await member.goto("/groups")
    user_id = await member.locator("code.id").inner_text()

    async def add(text: str) -> None:
        await owner.get_by_label("Add somebody").fill(text)
        await owner.get_by_role("button", name="Add", exact=True).click()

    await add(str(uuid4()))
    await expect(owner.get_by_role("alert")).to_contain_text("no such user")
    await add(f" {user_id} ")
    await expect(owner.locator("#members")).to_contain_text("Ben Okafor")
    await member.reload()
    await member.get_by_role("link", name="Choir").click()
    await member.get_by_role("button", name="Leave the group").click()
    await expect(member.get_by_text("You belong to no group yet.")).to_be_visible()
    await owner.reload()
    await expect(owner.locator("#members")).not_to_contain_text("Ben Okafor")
    await add(user_id)
    await owner.get_by_role("button", name="Remove Ben Okafor").click()
    await expect(owner.locator("#members")).not_to_contain_text("Ben Okafor")
