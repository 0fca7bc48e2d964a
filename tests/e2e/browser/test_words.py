"""What people write: long, in another direction, and more than there is room for."""

import json

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.browser.conftest import NewPerson
from tests.e2e.browser.people import end, open_room, sign_up
from tests.e2e.browser.test_stars import encore
from tests.e2e.stack import Stack

pytestmark = pytest.mark.slow

HELLO = "مرحبا بالعالم (أهلا)!"
LONG = "x" * 220

_ENDS = """(element) => {
  const text = document.createTreeWalker(element, NodeFilter.SHOW_TEXT).nextNode();
  const left = (at) => {
    const range = document.createRange();
    range.setStart(text, at);
    range.setEnd(text, at + 1);
    return range.getBoundingClientRect().left;
  };
  return [left(0), left(text.length - 1)];
}"""

_TIP = """async ([room, message]) => {
  const tip = { client_key: crypto.randomUUID(), stars: 1000, message, anonymous: false };
  const options = { method: "POST", headers: { "Content-Type": "application/json" } };
  const answer = await fetch(`/v1/rooms/${room}/tips`, { ...options, body: JSON.stringify(tip) });
  return answer.status;
}"""


async def runs_from_right_to_left(words: Locator) -> bool:
    """Also its last sign, which has no direction of its own."""
    first, last = await words.evaluate(_ENDS)
    return bool(last < first)


async def tip(page: Page, stack: Stack, *messages: str) -> None:
    data = json.loads(await page.locator("#room-data").text_content() or "")
    await encore(stack, "money", "give", data["me"]["user_id"], "5000", "--campaign", "words")
    for message in messages:
        assert await page.evaluate(_TIP, [data["room"]["id"], message]) == 201


async def test_words_of_tips_and_rooms(new_person: NewPerson, stack: Stack) -> None:
    host, guest = await new_person(), await new_person()
    await host.set_viewport_size({"width": 360, "height": 740})
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, HELLO)
    await sign_up(guest, "Grace Hopper")
    await guest.goto(room)
    await tip(guest, stack, LONG, HELLO)
    pins, listed = host.locator("#pins .tip-words"), host.locator("#tips .tip-words")
    for words in (pins, listed):
        await expect(words).to_have_count(2)
        assert await runs_from_right_to_left(words.filter(has_text=HELLO))
    assert await runs_from_right_to_left(host.locator("h1"))
    await expect(listed.filter(has_text=LONG)).to_be_attached()
    tall = await pins.filter(has_text=LONG).evaluate("e => [e.clientHeight, e.scrollHeight]")
    assert tall[0] < 100 < tall[1], "what stands on top leaves room for the page"
    thanks = await host.get_by_role("button", name="Say thanks").first.bounding_box()
    assert thanks is not None
    assert thanks["height"] >= 24
    await guest.get_by_role("button", name="★ Tip").click()
    message = guest.get_by_label("Message")
    for text, too_long in ((LONG * 3, "true"), (HELLO, "false")):
        await message.fill(text)
        await expect(message).to_have_attribute("aria-invalid", too_long)
    await guest.get_by_role("button", name="Cancel").click()
    await end(host)
    await guest.goto(room)
    assert await runs_from_right_to_left(guest.locator("h1"))
    await expect(guest.get_by_role("button", name="−15\u00a0s")).to_be_visible()
