"""Stars by a person's clicks: bought with two cards, tipped live and on the replay, paid out."""

import asyncio
import re
import sys

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.browser.conftest import NewPerson
from tests.e2e.browser.people import end, hears_something, open_room, sign_up, speak
from tests.e2e.browser.test_replay import write_down
from tests.e2e.stack import Stack

pytestmark = pytest.mark.slow

DECLINED = "4000 0000 0000 0002"
ASKS_FIRST = "4000 0025 0000 3155"


async def pay(page: Page, card: str) -> None:
    """On the sandbox's page."""
    await expect(page.locator("body")).to_contain_text("TEST MONEY")
    await page.get_by_label("Email").fill("grace@example.org")
    await page.get_by_label("Card number").fill(card)
    await page.get_by_label("Expires").fill("12 / 34")
    await page.get_by_label("Security code").fill("123")
    await page.get_by_role("button", name="Pay").click()


async def encore(stack: Stack, *command: str) -> str:
    """What a command prints that must succeed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "web.cli", *command,
        env=stack.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    return said


async def test_from_a_card_to_a_creators_statement(new_person: NewPerson, stack: Stack) -> None:
    host, guest = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "Night radio")
    await speak(host)
    await sign_up(guest, "Grace Hopper")
    await guest.goto(room)
    await guest.get_by_role("button", name="Listen live").click()
    await hears_something(guest)
    await _tip_that_needs_stars(guest)
    await _buy(guest)
    await _tip_live(guest, host)
    await end(host)
    await _tip_at_a_second(guest, host, stack)
    await _onboard(host)
    await encore(stack, "sandbox", "clock", "15d")
    await host.reload()
    await expect(host.locator("#states")).to_contain_text("Matured$11.00")
    await encore(stack, "money", "sweep")
    await _is_paid(host)
    await _leave(host)
    assert "FAIL" not in await encore(stack, "money", "check")


async def _tip_that_needs_stars(guest: Page) -> None:
    await guest.get_by_role("button", name="★ Tip").click()
    sheet = guest.get_by_role("dialog", name="Tip")
    await expect(sheet.locator("#tip-where")).to_contain_text("For what you hear at 0:")
    await expect(sheet.locator("#tip-balance")).to_have_text("You have 0 Stars.")
    await sheet.get_by_role("radio", name="1,000").check(force=True)
    await sheet.get_by_label("Message").fill("Play the whale again!")
    await expect(sheet.locator("#tip-room")).to_contain_text("21 of 300 characters")
    await sheet.get_by_role("button", name="Buy Stars").click()


async def _buy(guest: Page) -> None:
    """A declined card, one whose bank asks, and back to the room."""
    await guest.get_by_role("button", name="Buy 2,050 Stars").click()
    await pay(guest, DECLINED)
    await expect(guest.get_by_role("alert")).to_contain_text("declined")
    await guest.get_by_role("link", name="Back without paying").click()
    await expect(guest.get_by_role("heading", name="The card was declined")).to_be_visible()
    await guest.get_by_role("link", name="Try another card").click()
    await pay(guest, ASKS_FIRST)
    await guest.get_by_role("button", name="Complete").click()
    await expect(guest.get_by_role("heading", name="2,050 Stars are yours")).to_be_visible()
    await guest.get_by_role("link", name="Back to where you were").click()


async def _tip_live(guest: Page, host: Page) -> None:
    """As it was written before; the room sees it at once, and a double click is one tip."""
    sheet = guest.get_by_role("dialog", name="Tip")
    await expect(sheet.get_by_label("Message")).to_have_value("Play the whale again!")
    await sheet.get_by_role("button", name="Tip 1,000 Stars").dblclick()
    await expect(sheet).to_be_hidden()
    await expect(host.locator("#pins")).to_contain_text("Grace Hopper")
    await expect(host.locator("#tips")).to_contain_text("Play the whale again!")
    await expect(guest.locator("#tips .tip")).to_have_count(1)
    await host.get_by_role("button", name="Say thanks to Grace Hopper").click()
    await expect(guest.locator("#tips")).to_contain_text("Thanked")
    await host.get_by_text("Front row").click()
    await host.locator("#supporters-of").select_option("room")
    await expect(host.locator("#supporter-list")).to_contain_text("1,000 Stars")


async def _tip_at_a_second(guest: Page, host: Page, stack: Stack) -> None:
    await write_down(host, stack, "what the sea keeps it keeps well")
    await guest.goto(f"{guest.url.partition('?')[0]}?t=1")
    await expect(guest.locator("#now")).to_have_text("0:01")
    await guest.get_by_role("button", name="★ Tip").click()
    sheet = guest.get_by_role("dialog", name="Tip")
    await expect(sheet.locator("#tip-where")).to_have_text("For what you hear at 0:01.")
    await sheet.get_by_label("Without my name").check()
    await guest.route("**/tips", _lose_the_answer, times=1)
    await sheet.get_by_role("button", name="Tip 100 Stars").click()
    await expect(sheet.get_by_role("alert")).to_contain_text("counts once")
    await expect(guest.locator("#state")).to_have_text("Thank you: your tip stands at 0:01.")
    await host.reload()
    for page in (guest, host):
        await expect(page.locator("#tips .tip")).to_have_count(2)
        await expect(page.locator("#timeline .tip-mark").first).to_be_attached()
        await expect(page.locator(".cue-tips").first).to_contain_text("100")
    await _care_for_tips(host)
    await host.get_by_role("button", name="Play", exact=True).click()
    await expect(host.locator("#pins")).to_contain_text("★ 100Somebody")
    await guest.goto("/wallet")
    await expect(guest.locator("#balance")).to_contain_text("950")


async def _care_for_tips(host: Page) -> None:
    """On the replay as in the room: thanks, and a message taken out for everybody."""
    await host.get_by_role("button", name="Say thanks to Somebody").click()
    await expect(host.locator("#tips .thanked")).to_have_count(2)
    await host.get_by_role("button", name="Hide the message of Grace Hopper").click()
    await expect(host.locator("#tips")).not_to_contain_text("whale")
    await host.reload()
    await expect(host.locator("#tips .thanked")).to_have_count(2)
    await expect(host.locator("#tips")).not_to_contain_text("whale")


async def _lose_the_answer(route: Route) -> None:
    """The server has done it, and the browser does not know."""
    await route.fetch()
    await route.abort()


async def _onboard(host: Page) -> None:
    await host.goto("/earnings")
    await expect(host.locator("#states")).to_contain_text("Pending$11.00")
    await host.get_by_role("button", name="Set it up").click()
    await host.get_by_label("First name").fill("Ada")
    await host.get_by_label("Last name").fill("Lovelace")
    await host.get_by_role("button", name="Agree and submit").click()
    await expect(host.get_by_role("heading", name="You are set up to be paid")).to_be_visible()


async def _is_paid(host: Page) -> None:
    await host.goto("/earnings")
    await expect(host.locator("#states")).to_contain_text("Pending$0.00")
    await expect(host.locator("#states")).to_contain_text("Paid$11.00")
    await host.get_by_role("link", name="Night radio").click()
    await expect(host.locator("#minutes")).to_contain_text("$11.00")
    await host.go_back()
    await host.locator("#months a").first.click()
    lines = host.locator("#statement")
    await expect(lines).to_contain_text(re.compile(r"Transfers\s*1\s*−11\.00"))
    await expect(lines).to_contain_text(re.compile(r"Closing\s*0\.00"))


async def _leave(host: Page) -> None:
    await host.goto("/earnings")
    await host.get_by_text("Leave Encore").click()
    await host.get_by_role("button", name="Close my account").click()
    await host.get_by_role("dialog").get_by_role("button", name="Close my account").click()
    await expect(host.get_by_role("link", name="Sign in")).to_be_visible()
    await expect(host.locator("#main")).to_contain_text("Somebody who left")
