"""Faults between somebody's card and their Stars, by the numbers of the design."""

import asyncio
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from payouts.reconcile import reconcile
from payouts.wallets import Holdings
from tests.payouts.shop import Shop

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
    await shop.agree()


async def test_fault_02_the_way_back_credits_nothing(shop: Shop) -> None:
    buyer = await shop.person()
    order = await shop.order(buyer)
    for _ in range(2):
        assert (await shop.see(buyer, order))["state"] == "open"
    await shop.settle()
    assert await shop.wallet(buyer) == EMPTY
    await shop.agree()


@pytest.mark.slow
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
    await shop.agree()


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
    await shop.agree()


async def test_fault_05_one_event_five_times_at_once(shop: Shop) -> None:
    buyer = await shop.person()
    order = await shop.order(buyer)
    await shop.control("faults/webhooks", action="repeat", times=5, count=10)
    await shop.pay(order["checkout_url"])
    await shop.settle()
    await shop.control("faults/clear")
    assert await shop.wallet(buyer) == BOUGHT
    await shop.agree()


async def test_fault_06_two_events_of_one_charge(shop: Shop) -> None:
    buyer = await shop.person()
    await shop.bought(buyer)
    told = shop.world.store.select("event", shop.world.platform, limit=10)
    charge = next(event for event in told if event["type"] == "charge.succeeded")
    await shop.control("events/resend", event=charge["id"], as_new=True)
    await shop.settle()
    assert len(await shop.inbox(charge["data"]["object"]["id"])) == 2
    assert await shop.wallet(buyer) == BOUGHT
    await shop.agree()


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
    await shop.agree()


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
    await shop.agree()


async def test_fault_15_3ds_abandoned_failed_and_late(shop: Shop) -> None:
    buyer = await shop.person()
    left, order = await shop.order(buyer), await shop.order(buyer)
    await shop.pay(left["checkout_url"], "4000 0025 0000 3155")
    step = await shop.pay(order["checkout_url"], "4000 0025 0000 3155")
    await shop.settle()
    assert (await shop.see(buyer, order))["state"] == "open"
    await shop.browser.post(urlsplit(step.headers["location"]).path, data={"answer": "fail"})
    await shop.settle()
    seen = await shop.see(buyer, order)
    failed = ("open", "payment_intent_authentication_failure")
    assert (seen["state"], seen["failure_code"]) == failed

    step = await shop.pay(order["checkout_url"], "4000 0025 0000 3155")
    await shop.control("clock", advance_seconds=23 * 3600)
    assert await shop.wallet(buyer) == EMPTY
    await shop.browser.post(urlsplit(step.headers["location"]).path, data={"answer": "complete"})
    await shop.control("clock", advance_seconds=2 * 3600)
    await shop.settle()
    assert (await shop.see(buyer, order))["state"] == "paid"
    assert (await shop.see(buyer, left))["state"] == "expired"
    assert await shop.wallet(buyer) == BOUGHT
    await shop.agree()


@pytest.mark.slow
async def test_fault_19_a_key_that_was_used_for_another_page(shop: Shop) -> None:
    """The order of that key is closed, another one can be paid; what the first call made stands."""
    buyer = await shop.person()
    rule = {"method": "POST", "path": "/v1/checkout/sessions", "when": "before", "count": 3}
    await shop.control("faults/requests", action="disconnect", **rule)
    body = {"client_key": uuid4().hex, "pack": "usd-500"}
    answer = await shop.http.post("/orders", json=body, headers=buyer.headers)
    assert answer.status_code == 503
    await shop.control("faults/clear")
    listed = await shop.http.get("/orders", headers=buyer.headers)
    order_id = listed.json()["items"][0]["id"]
    await shop.cashier.gateway.open_checkout(
        key=order_id,
        order=order_id,
        name="Stars",
        amount_minor=501,
        currency="USD",
        return_url="http://127.0.0.1/",
    )
    answer = await shop.http.post("/orders", json=body, headers=buyer.headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "stripe_key_reused")
    again = await shop.http.post("/orders", json=body, headers=buyer.headers)
    assert (again.json()["state"], again.json()["failure_code"]) == ("failed", "stripe_key_reused")
    await shop.bought(buyer)
    assert await shop.wallet(buyer) == BOUGHT
    await shop.agree()


@pytest.mark.slow
async def test_an_order_without_a_page_ends_with_its_day(shop: Shop) -> None:
    buyer = await shop.person()
    rule = {"method": "POST", "path": "/v1/checkout/sessions", "when": "before", "count": 3}
    await shop.control("faults/requests", action="error", status=500, **rule)
    body = {"client_key": uuid4().hex, "pack": "usd-500"}
    answer = await shop.http.post("/orders", json=body, headers=buyer.headers)
    assert answer.status_code == 503
    await shop.control("faults/clear")
    order = (await shop.http.get("/orders", headers=buyer.headers)).json()["items"][0]
    await reconcile(shop.cashier)
    assert (await shop.see(buyer, order))["state"] == "new"
    await shop.make_old(order)
    await reconcile(shop.cashier)
    assert (await shop.see(buyer, order))["state"] == "expired"
    again = await shop.http.post("/orders", json=body, headers=buyer.headers)
    assert (again.status_code, again.json()["state"]) == (201, "expired")
