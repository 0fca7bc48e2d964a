"""A sandbox that runs for a test, as a platform sees it: the SDK, the webhooks, the buyer."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import stripe

from core.authorities import authorities
from payouts.sandbox.hazards import Hazards
from payouts.sandbox.process import Hook, Options, serving
from payouts.sandbox.world import API_VERSION, World

KEY = "sk_test_" + "k" * 32
PLATFORM_SECRET = "whsec_" + "p" * 24
CONNECT_SECRET = "whsec_" + "c" * 24
ADDRESSES = ("api", "connect", "files", "meter_events")


@dataclass(slots=True)
class Inbox:
    """A webhook endpoint: what came, and what it answers."""

    status: int = 200
    came: list[tuple[str, bytes]] = field(default_factory=list)
    """Signature header and body."""
    url: str = ""

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.came]

    def types(self) -> list[str]:
        return [event["type"] for event in self.events()]


@contextlib.asynccontextmanager
async def inbox() -> AsyncIterator[Inbox]:
    """As little HTTP as a webhook needs."""
    box = Inbox()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"(?i)content-length: (\d+)", head)
                signature = re.search(r"(?i)stripe-signature: (.*)\r\n", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                box.came.append((signature[1] if signature else "", body))
                writer.write(f"HTTP/1.1 {box.status} X\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    box.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield box
    finally:
        server.close()


@dataclass(slots=True)
class Platform:
    world: World
    client: stripe.StripeClient
    http: httpx.AsyncClient
    """Without redirects: a browser that is watched."""
    platform_box: Inbox
    connect_box: Inbox

    @property
    def v1(self) -> Any:
        return self.client.v1

    async def control(self, path: str, /, **asked: Any) -> dict[str, Any]:
        answer = await self.http.post(
            f"/_control/{path}", json=asked, headers={"Authorization": f"Bearer {KEY}"}
        )
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def session(self, **more: Any) -> Any:
        """A Checkout session over 6.99."""
        params = {
            "mode": "payment",
            "client_reference_id": "order-1",
            "line_items": [
                {
                    "price_data": {
                        "currency": "usd",
                        "unit_amount": 699,
                        "product_data": {"name": "500 Stars"},
                    },
                    "quantity": 1,
                }
            ],
            "payment_intent_data": {"metadata": {"order": "1"}, "transfer_group": "order-1"},
            "success_url": "http://127.0.0.1:1/done?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://127.0.0.1:1/back",
            **more,
        }
        return await self.v1.checkout.sessions.create_async(params)

    async def pay(self, url: str, card: str = "4242 4242 4242 4242") -> httpx.Response:
        form = {
            "email": "ada@example.org",
            "name": "Ada",
            "number": card,
            "expiry": "12 / 34",
            "cvc": "123",
        }
        return await self.http.post(urlsplit(url).path, data=form)

    async def paid(self, card: str = "4242 4242 4242 4242", **more: Any) -> Any:
        """A session that was paid, with its charge and that one's transaction expanded."""
        made = await self.session(**more)
        await self.pay(made["url"], card)
        expand = ["payment_intent.latest_charge.balance_transaction"]
        return await self.v1.checkout.sessions.retrieve_async(made["id"], {"expand": expand})

    async def creator(self, bank: str = "000123456789") -> str:
        """A connected account that has been onboarded."""
        account = await self.v1.accounts.create_async(
            {
                "controller": {
                    "fees": {"payer": "application"},
                    "losses": {"payments": "application"},
                    "stripe_dashboard": {"type": "express"},
                },
                "capabilities": {"transfers": {"requested": True}},
                "metadata": {"creator": "1"},
            }
        )
        await self.answer(account["id"], bank)
        return str(account["id"])

    async def answer(self, account: str, bank: str) -> None:
        """What the hosted pages ask of a creator."""
        link = await self.v1.account_links.create_async(
            {
                "account": account,
                "type": "account_onboarding",
                "refresh_url": "http://127.0.0.1:1/again",
                "return_url": "http://127.0.0.1:1/onboarded",
            }
        )
        form = {"first_name": "Grace", "last_name": "Hopper", "bank": bank}
        answer = await self.http.post(urlsplit(link["url"]).path, data=form)
        assert answer.headers["location"] == "http://127.0.0.1:1/onboarded"


@contextlib.asynccontextmanager
async def platform(folder: Path, *, hazards: Hazards | None = None) -> AsyncIterator[Platform]:
    """A sandbox over the folder, in this process, with two webhook endpoints."""
    async with inbox() as ours, inbox() as theirs:
        options = Options(
            data=folder,
            key=KEY,
            hooks=(
                Hook(ours.url, PLATFORM_SECRET),
                Hook(theirs.url, CONNECT_SECRET, connect=True),
            ),
            hazards=hazards or Hazards(),
        )
        async with (
            serving(options) as world,
            httpx.AsyncClient(base_url=world.base_url, verify=authorities()) as http,
        ):
            sdk = stripe.HTTPXClient(timeout=10, allow_sync_methods=False)
            client = stripe.StripeClient(
                KEY,
                stripe_version=API_VERSION,
                base_addresses=dict.fromkeys(ADDRESSES, world.base_url),  # type: ignore[arg-type]
                http_client=sdk,
            )
            yield Platform(world, client, http, ours, theirs)
            await sdk.close_async()  # type: ignore[no-untyped-call]
