"""What people do in the browser, as steps of the tests."""

import json
import re
from uuid import uuid4

from playwright.async_api import Page, expect

from tests.e2e.browser.conftest import WAIT_MS
from tests.e2e.stack import own_address

expect.set_options(timeout=WAIT_MS)

_HEAR = """async () => {
  const audio = document.querySelector('#audio');
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(audio.captureStream()).connect(analyser);
  window.heard = () => {
    const samples = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(samples);
    return Math.max(...samples.map(Math.abs));
  };
  await context.resume();
}"""


async def sign_up(page: Page, name: str) -> None:
    await page.set_extra_http_headers(own_address())
    await page.goto("/sign-up")
    await page.get_by_label("Your name").fill(name)
    await page.get_by_label("Email").fill(f"{uuid4().hex}@example.org")
    await page.get_by_label("Password").fill("a good long passphrase")
    await page.get_by_role("button", name="Make the account").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    await page.set_extra_http_headers({})


async def open_room(page: Page, title: str) -> str:
    """The path of the new room, which is live then."""
    await page.goto("/rooms/new")
    await page.get_by_label("Title").fill(title)
    await page.get_by_label("Topics").fill("tones, tests")
    await page.get_by_role("button", name="Make the room").click()
    await page.get_by_role("button", name="Go live").click()
    await expect(page.locator("#badges")).to_contain_text("REC")
    return page.url


async def room_of(page: Page) -> dict[str, object]:
    """As the page was given it."""
    text = await page.locator("#room-data").text_content()
    room: dict[str, object] = json.loads(text or "")["room"]
    return room


async def speak(page: Page) -> None:
    """With consent, which is asked before anything is published."""
    await page.get_by_role("button", name="Speak", exact=True).click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("This room is recorded")
    await expect(dialog.get_by_role("button", name="Agree and speak")).to_be_disabled()
    await dialog.get_by_role("checkbox").check()
    await dialog.get_by_role("button", name="Agree and speak").click()
    await expect(page.locator("#publishing")).to_have_attribute("data-state", "live")


async def end(page: Page) -> None:
    """Until the replay is open, or, for somebody who listens on, until the page says so."""
    await page.get_by_role("button", name="End the room").click()
    await page.get_by_role("dialog").get_by_role("button", name="End the room").click()
    await expect(page.locator("#badges")).to_contain_text(re.compile("Ended|Replay"))
    await expect(page.locator("#timeline, #from-start:visible")).to_have_count(1)


async def hears_something(page: Page) -> None:
    """The audio element moves on, and what it decodes is not silence."""
    started = await page.evaluate("document.querySelector('#audio').currentTime")
    await page.wait_for_function(
        "from => document.querySelector('#audio').currentTime > from + 1", arg=started
    )
    await page.evaluate(_HEAR)
    await page.wait_for_function("() => window.heard() > 0.05")
