"""A listener of the scripted room who buys Stars and tips, live and on the replay."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import httpx

from core.authorities import authorities
from demo.client import Person

NAME: Final = "Dora"
PACK: Final = "usd-2000"
PACKS: Final = 2
LIVE_TIP_AT_S: Final = 33.0
LIVE_STARS: Final = 3000
REPLAY_STARS: Final = 500
REPLAY_TIP_MS: Final = 11_000
"""Ben's best conversation."""

PAID_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.1
CARD: Final = {
    "email": "dora@demo.example.com",
    "name": NAME,
    "number": "4242 4242 4242 4242",
    "expiry": "12 / 34",
    "cvc": "123",
}
_DATE_TIME: Final = re.compile(r"^#EXT-X-PROGRAM-DATE-TIME:(\S+)", re.MULTILINE)

Say = Callable[[float | None, str], None]


class NotPaid(Exception):  # noqa: N818 - what happened, as the caller reads it
    """The sandbox took the card, and the order was not paid in time."""


@dataclass(slots=True)
class Fan:
    """Buys, listens and tips over the public API, as any client of it would."""

    person: Person
    say: Say
    bought_stars: int = 0
    paid_minor: int = 0
    tipped_stars: int = 0

    async def buy(self) -> None:
        """Each pack by the hosted page of the Stripe sandbox. Raises NotPaid."""
        for _ in range(PACKS):
            wanted = {"client_key": uuid4().hex, "pack": PACK}
            order = await self.person.call("POST", "/orders", wanted)
            await submit(order["checkout_url"], CARD)
            paid = await self._paid(order["id"])
            self.bought_stars += paid["stars"]
            self.paid_minor += paid["price_minor"]
        amount = f"{self.paid_minor / 100:.2f} {paid['currency']}"
        self.say(None, f"{NAME} bought {self.bought_stars} Stars for {amount} (test money).")

    async def _paid(self, order_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + PAID_SECONDS
        while time.monotonic() < deadline:
            order: dict[str, Any] = await self.person.call("GET", f"/orders/{order_id}")
            if order["state"] == "paid":
                return order
            await asyncio.sleep(POLL_SECONDS)
        raise NotPaid(f"order {order_id} is {order['state']} after {PAID_SECONDS:.0f} s")

    async def tip_live(self, room_id: str) -> None:
        """At the newest second that the live list has: what a listener hears about now."""
        room = await self.person.call("GET", f"/rooms/{room_id}/listen")
        async with httpx.AsyncClient(
            follow_redirects=True, timeout=10, verify=authorities()
        ) as http:
            playlist = (await http.get(room["live_url"])).text
        heard_at = _DATE_TIME.findall(playlist)[-1]
        message = "My grandmother would love this."
        await self._tip(room_id, LIVE_STARS, message, heard_at=heard_at)
        self.say(None, f"{NAME} tipped {LIVE_STARS} Stars: {message}")

    async def tip_replay(self, room_id: str) -> dict[str, Any]:
        """The tip as every later listener gets it, with the sentence that was being said."""
        sent = await self._tip(
            room_id, REPLAY_STARS, "Not this one. This one stays.", media_ms=REPLAY_TIP_MS
        )
        page = await self.person.call("GET", f"/rooms/{room_id}/tips")
        return next(tip for tip in page["items"] if tip["id"] == sent["id"])

    async def _tip(self, room_id: str, stars: int, message: str, **place: Any) -> dict[str, Any]:
        body = {"client_key": uuid4().hex, "stars": stars, "message": message, **place}
        tip: dict[str, Any] = await self.person.call("POST", f"/rooms/{room_id}/tips", body)
        self.tipped_stars += stars
        return tip


async def submit(url: str, form: dict[str, str]) -> None:
    """Fills in a page of the sandbox and sends it; where it leads is not followed."""
    async with httpx.AsyncClient(timeout=15, verify=authorities()) as browser:
        (await browser.get(url)).raise_for_status()
        answer = await browser.post(url, data=form)
    if not answer.is_redirect:
        raise NotPaid(f"the sandbox's page answered {answer.status_code}")
