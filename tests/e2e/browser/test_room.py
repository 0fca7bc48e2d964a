"""A room from its opening to its replay, in two real browsers."""

import os
import re
import signal

import pytest
from playwright.async_api import Response, expect

from tests.e2e.browser.conftest import WAIT_MS, NewPerson
from tests.e2e.browser.people import end, hears_something, open_room, room_of, sign_up, speak
from tests.e2e.stack import Stack

pytestmark = pytest.mark.slow


_STARVED = "() => document.querySelector('#audio').readyState < HTMLMediaElement.HAVE_FUTURE_DATA"
_NOTE_STATES = """() => {
  const line = document.querySelector('#publishing');
  window.states = [];
  new MutationObserver(() => window.states.push(line.dataset.state))
    .observe(line, { attributeFilter: ['data-state'] });
}"""


async def test_a_room_is_heard_live_and_replayed(new_person: NewPerson) -> None:
    host, listener = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "Tones")
    await speak(host)

    await listener.goto(room)
    await listener.get_by_role("button", name="Listen live").click()
    await hears_something(listener)
    await expect(listener.locator("#position")).to_contain_text("behind live")
    await expect(listener.locator("#stage .person.speaking")).to_contain_text("Ada Lovelace")
    await listener.get_by_role("button", name="From the beginning").click()
    await expect(listener.locator("#position")).to_contain_text(re.compile("^0:0[01] "))
    await hears_something(listener)
    await listener.get_by_role("button", name="Back to live").click()
    await listener.wait_for_function("() => document.querySelector('#audio').readyState > 2")
    await hears_something(listener)

    await host.get_by_role("button", name="Go off the record").click()
    await expect(listener.locator("#recording")).to_contain_text("Off the record")
    await listener.wait_for_function(_STARVED)
    await expect(listener.locator("#listening")).to_contain_text("the sound goes on when")
    await host.get_by_role("button", name="Back on the record").click()
    await expect(listener.locator("#recording")).to_contain_text("REC")
    await hears_something(listener)
    await end(host)

    await listener.get_by_role("link", name="Listen to the replay").click()
    await expect(listener.locator("#stage")).to_contain_text("Ada Lovelace")
    await expect(listener.locator("#ledger")).to_contain_text("off the record")
    await expect(listener.locator("#tracks")).to_contain_text("Ada Lovelace")
    await listener.get_by_role("button", name="Play").click()
    await hears_something(listener)
    media_s = await listener.evaluate("document.querySelector('#audio').duration")
    ledger = await listener.evaluate(
        "async id => (await fetch(`/v1/recordings/${id}`)).json()",
        (await room_of(listener))["recording_id"],
    )
    assert media_s == pytest.approx(ledger["duration_ms"] / 1000, abs=0.1)


async def test_the_replay_moves_on_the_rooms_clock(new_person: NewPerson) -> None:
    host = await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "Clock")
    await speak(host)
    await host.get_by_role("button", name="Listen live").click()
    await hears_something(host)
    await end(host)
    await host.goto(f"{room}?t=2")
    await expect(host.locator("#now")).to_have_text("0:02")
    await host.keyboard.press("k")
    await hears_something(host)
    await host.get_by_role("button", name="2×").click()
    assert await host.evaluate("document.querySelector('#audio').playbackRate") == 2
    await host.keyboard.press("k")
    await expect(host.get_by_role("button", name="Play")).to_be_visible()
    await host.keyboard.press("j")
    await expect(host.locator("#now")).to_have_text("0:00")
    await host.get_by_role("button", name="Ada Lovelace").first.is_visible()


async def test_a_hand_leads_to_the_stage(new_person: NewPerson) -> None:
    host, guest = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "Hands")
    await sign_up(guest, "Ben <b>Okafor</b>")
    await guest.goto(room)
    await guest.get_by_role("button", name="Join the room").click()
    await guest.get_by_role("button", name="Raise hand").click()
    await host.get_by_role("button", name="Invite: Ben <b>Okafor</b>").click()
    await guest.get_by_role("button", name="Come on stage").click()
    await speak(guest)
    for page in (host, guest):
        await expect(page.locator("#stage")).to_contain_text("Ben <b>Okafor</b>")
        await expect(page.locator("#stage .person.speaking")).to_contain_text("Ben")

    await guest.reload()
    await expect(guest.locator("#publishing")).to_have_attribute("data-state", "live")
    await host.locator("#stage").get_by_label("Manage Ben <b>Okafor</b>").click()
    await host.get_by_role("button", name="Mute: Ben <b>Okafor</b>").click()
    await expect(guest.get_by_role("button", name="Unmute")).to_be_visible()
    await guest.get_by_role("button", name="Unmute").click()
    await guest.get_by_role("button", name="Leave the stage").click()
    await expect(guest.get_by_role("button", name="Raise hand")).to_be_visible()
    await expect(host.locator("#stage")).not_to_contain_text("Ben")
    await end(host)


async def test_a_killed_receiver_costs_the_speaker_nothing_to_do(
    new_person: NewPerson, stack: Stack
) -> None:
    host = await new_person()
    await sign_up(host, "Ada Lovelace")
    await open_room(host, "Kill")
    await speak(host)
    killed = stack.pid_of("receive")
    os.kill(killed, signal.SIGKILL)
    await host.get_by_role("button", name="Listen live").click()
    await hears_something(host)
    await expect(host.locator("#publishing")).to_have_attribute("data-state", "live")
    assert stack.pid_of("receive") != killed
    await end(host)


async def test_a_listener_goes_on_after_an_expired_address(new_person: NewPerson) -> None:
    host, listener = await new_person(), await new_person()
    await sign_up(host, "Ada Lovelace")
    room = await open_room(host, "Expiry")
    await speak(host)
    await listener.goto(room)
    await listener.get_by_role("button", name="Listen live").click()
    await hears_something(listener)
    asked_again = listener.wait_for_event(
        "request", lambda request: request.url.endswith("/listen"), timeout=WAIT_MS
    )
    await listener.route("**/live.m3u8*", lambda route: route.fulfill(status=403))
    await asked_again
    await listener.unroute("**/live.m3u8*")
    await hears_something(listener)
    await end(host)


async def test_a_session_that_the_receiver_forgot_is_replaced(new_person: NewPerson) -> None:
    host = await new_person()
    sessions: list[Response] = []
    host.on("response", lambda got: sessions.append(got) if got.status == 201 else None)
    await sign_up(host, "Ada Lovelace")
    await open_room(host, "Forget")
    await speak(host)
    published = next(got for got in sessions if "/whip/" in got.url)
    resource = await published.header_value("location")
    token = await published.request.header_value("authorization")
    assert resource is not None
    assert token is not None
    await host.evaluate(_NOTE_STATES)
    gone = await host.request.delete(resource, headers={"Authorization": token})
    assert gone.ok
    await host.wait_for_function("() => window.states.join() === 'reconnecting,live'")
    await end(host)


async def test_whoever_does_not_agree_is_not_published(new_person: NewPerson) -> None:
    host = await new_person()
    requests: list[str] = []
    host.on("request", lambda request: requests.append(request.url))
    await sign_up(host, "Ada Lovelace")
    await open_room(host, "No")
    await host.get_by_role("button", name="Speak", exact=True).click()
    await host.get_by_role("dialog").get_by_role("button", name="Don’t speak").click()
    await expect(host.get_by_role("button", name="Speak", exact=True)).to_be_visible()
    assert not [url for url in requests if "/whip/" in url or url.endswith("/publish")]
    await end(host)
