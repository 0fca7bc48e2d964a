"""Faults between somebody's card and their Stars, by the numbers of the design."""

import asyncio
import json
import time
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import stripe

from payouts.gateway import KeyReused
from payouts.reconcile import reconcile
from payouts.wallets import Holdings
from tests.payouts.shop import CONNECT_SECRET, PLATFORM_SECRET, Shop

BOUGHT = Holdings(stars=500)
EMPTY = Holdings()


async def test_fault_01_double_click_buys_once(shop: Shop) -> None:
    buyer = await shop.person()
    key = uuid4().hex
    orders = await asyncio.gather(*(shop.order(buyer, key=key) for _ in range(4)))
    orders.append(await shop.order(buyer, key=key))
    assert len({order["id"] for order in orders}) == 1
    assert len({order["checkout_url"] for order in orders}) == 1
    other = {"client_key": key, "pack": "usd-100"}
    answer = await shop.http.post("/orders", json=other, headers=buyer.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "order_differs")
    for _ in range(2):
        await shop.pay(orders[0]["checkout_url"])
    await shop.settle()
    assert await shop.wallet(buyer) == BOUGHT
    await shop.sound()


async def test_fault_02_the_way_back_credits_nothing(shop: Shop) -> None:
    buyer = await shop.person()
    order = await shop.order(buyer)
    for _ in range(2):
        assert (await shop.see(buyer, order))["state"] == "open"
    await shop.settle()
    assert await shop.wallet(buyer) == EMPTY
    await shop.sound()


async def test_fault_03_the_webhook_comes_before_the_answer(shop: Shop) -> None:
    """Stripe has made the page, its answer is lost, the buyer pays: the event finds the order."""
    buyer = await shop.person()
    rule = {"method": "POST", "path": "/v1/checkout/sessions", "when": "after", "count": 3}
    await shop.control("faults/requests", action="error", status=500, **rule)
    key = uuid4().hex
    body = {"client_key": key, "pack": "usd-500"}
    answer = await shop.http.post("/orders", json=body, headers=buyer.headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "stripe_outcome_unknown")
    await shop.control("faults/clear")
    made = shop.world.store.select("checkout.session", shop.world.platform, limit=1)[0]
    await shop.pay(made["url"])
    await shop.settle()
    assert await shop.wallet(buyer) == BOUGHT
    assert (await shop.order(buyer, key=key))["state"] == "paid"
    await shop.sound()


async def test_fault_04_the_webhook_never_comes(shop: Shop) -> None:
    buyer = await shop.person()
    order = await shop.order(buyer)
    await shop.control("faults/webhooks", action="drop", count=50)
    await shop.pay(order["checkout_url"])
    await shop.settle()
    assert await shop.wallet(buyer) == EMPTY
    await shop.control("faults/clear")
    assert (await reconcile(shop.cashier)).made_up >= 1
    await shop.settle()
    assert (await shop.see(buyer, order))["state"] == "paid"
    assert await shop.wallet(buyer) == BOUGHT
    assert (await reconcile(shop.cashier)).made_up == 0
    await shop.sound()


async def test_fault_05_one_event_five_times_at_once(shop: Shop) -> None:
    buyer = await shop.person()
    order = await shop.order(buyer)
    await shop.control("faults/webhooks", action="repeat", times=5, count=10)
    await shop.pay(order["checkout_url"])
    await shop.settle()
    await shop.control("faults/clear")
    assert await shop.wallet(buyer) == BOUGHT
    await shop.sound()


async def test_fault_06_two_events_of_one_charge(shop: Shop) -> None:
    buyer = await shop.person()
    await shop.bought(buyer)
    told = shop.world.store.select("event", shop.world.platform, limit=10)
    charge = next(event for event in told if event["type"] == "charge.succeeded")
    await shop.control("events/resend", event=charge["id"], as_new=True)
    await shop.settle()
    assert len(await shop.inbox(charge["data"]["object"]["id"])) == 2
    assert await shop.wallet(buyer) == BOUGHT
    await shop.sound()


async def test_fault_07_the_refund_is_told_before_the_payment(shop: Shop) -> None:
    buyer = await shop.person()
    order = await shop.order(buyer)
    await shop.control("faults/webhooks", action="hold", count=50)
    await shop.pay(order["checkout_url"])
    charge = shop.world.store.select("charge", shop.world.platform, limit=1)[0]
    await shop.cashier.gateway.refund(
        key=uuid4().hex, charge=charge["id"], amount_minor=charge["amount"], metadata={}
    )
    refund = shop.world.store.select("refund", shop.world.platform, limit=1)[0]
    await shop.control("faults/clear")
    await shop.control("webhooks/release", order="newest_first")
    await shop.settle()
    assert await shop.wallet(buyer) == BOUGHT
    assert await shop.exceptions(refund["id"]) == ["foreign_refund"]
    await reconcile(shop.cashier)
    await shop.sound()


def signed(body: bytes, *secrets: str, at: int | None = None) -> str:
    """By Stripe's own library."""
    headers = [
        stripe.WebhookSignature.generate_signature_header(body.decode(), secret, at)
        for secret in secrets
    ]
    return ",".join([headers[0], *(header.split(",")[1] for header in headers[1:])])


def an_event() -> bytes:
    event = {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "type": "balance.available",
        "api_version": "2026-10-28.endive",
        "livemode": False,
        "created": 1_790_000_000,
        "data": {"object": {"id": "ba_1", "object": "balance"}},
    }
    return json.dumps(event).encode()


async def told(shop: Shop, body: bytes, signature: str | None) -> int:
    headers = {} if signature is None else {"Stripe-Signature": signature}
    return (await shop.http.post("/stripe/webhooks", content=body, headers=headers)).status_code


async def test_fault_08_what_is_not_signed_is_not_believed(shop: Shop) -> None:
    body = an_event()
    header = signed(body, PLATFORM_SECRET)
    assert await told(shop, body, header) == 204
    assert await told(shop, body.replace(b"false", b"true "), header) == 400
    assert await told(shop, body + b" ", header) == 400
    for wrong in (None, "", "t=1", "v1=abc", "t=x,v1=y", header.replace("v1", "v0")):
        assert await told(shop, body, wrong) == 400, wrong
    assert await told(shop, body, signed(body, "whsec_" + "x" * 24)) == 400
    assert await told(shop, b"{}", signed(b"{}", PLATFORM_SECRET)) == 400
    await shop.settle()
    await shop.sound()


@pytest.mark.parametrize("seconds", [-301, 310, -86_400, 10**9])
async def test_fault_09_nor_what_is_signed_at_another_time(shop: Shop, seconds: int) -> None:
    body = an_event()
    now = int(time.time())
    assert await told(shop, body, signed(body, PLATFORM_SECRET, at=now + seconds)) == 400
    near = 290 if seconds > 0 else -290
    assert await told(shop, body, signed(body, PLATFORM_SECRET, at=now + near)) == 204


async def test_fault_10_old_and_new_secret_are_both_taken(shop: Shop) -> None:
    """Stripe signs with both while a secret is rotated; here each alone does, in any place."""
    for secrets in (
        (PLATFORM_SECRET,),
        (CONNECT_SECRET,),
        ("whsec_" + "x" * 24, CONNECT_SECRET),
    ):
        body = an_event()
        assert await told(shop, body, signed(body, *secrets)) == 204


async def test_fault_14_declined_then_paid(shop: Shop) -> None:
    buyer = await shop.person()
    order = await shop.order(buyer)
    declined = await shop.pay(order["checkout_url"], "4000 0000 0000 0002")
    assert "location" not in declined.headers
    await shop.settle()
    seen = await shop.see(buyer, order)
    assert (seen["state"], seen["failure_code"]) == ("open", "generic_decline")
    await shop.pay(order["checkout_url"])
    await shop.settle()
    seen = await shop.see(buyer, order)
    assert (seen["state"], seen["failure_code"]) == ("paid", None)
    assert await shop.wallet(buyer) == BOUGHT
    await shop.sound()


async def test_fault_15_3ds_failed_left_and_late(shop: Shop) -> None:
    buyer = await shop.person()
    order = await shop.order(buyer)
    step = await shop.pay(order["checkout_url"], "4000 0025 0000 3155")
    page = urlsplit(step.headers["location"]).path
    await shop.settle()
    assert (await shop.see(buyer, order))["state"] == "open"
    await shop.browser.post(page, data={"answer": "fail"})
    await shop.settle()
    seen = await shop.see(buyer, order)
    assert (seen["state"], seen["failure_code"]) == (
        "open",
        "payment_intent_authentication_failure",
    )

    step = await shop.pay(order["checkout_url"], "4000 0025 0000 3155")
    page = urlsplit(step.headers["location"]).path
    await shop.settle()
    assert await shop.wallet(buyer) == EMPTY
    await shop.browser.post(page, data={"answer": "complete"})
    await shop.settle()
    assert (await shop.see(buyer, order))["state"] == "paid"
    assert await shop.wallet(buyer) == BOUGHT
    await shop.sound()


async def test_fault_19_one_key_for_another_body_is_refused(shop: Shop) -> None:
    key = uuid4().hex
    page = {"order": key, "name": "Stars", "currency": "USD", "return_url": "http://127.0.0.1/"}
    await shop.cashier.gateway.open_checkout(key=key, amount_minor=500, **page)
    with pytest.raises(KeyReused):
        await shop.cashier.gateway.open_checkout(key=key, amount_minor=501, **page)
