"""Faults of what comes to our webhook endpoint, by the numbers of the design."""

import json
import time
from uuid import uuid4

import pytest
import sqlalchemy as sa
import stripe

from payouts.gateway_models import InboxEvent, InboxState
from payouts.wallets import Holdings
from payouts.webhooks import EventMalformed, verified_event
from tests.payouts.shop import CONNECT_SECRET, NEXT_SECRET, PLATFORM_SECRET, Shop

NOT_OURS = "radar.early_fraud_warning.created"
"""Stripe knows it, and nothing of ours does."""

BOUGHT = Holdings(stars=500)
HUGE = b'{"id":"evt_1","type":"x","livemode":false,"created":1e30,"data":{"object":{}}}'


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


async def bought_while(shop: Shop, tampering: str) -> None:
    """Each event that tells of a payment comes spoiled; it is found at Stripe later, once."""
    buyer = await shop.person()
    order = await shop.order(buyer)
    await shop.control("faults/webhooks", action="tamper", tampering=tampering, count=50)
    await shop.pay(order["checkout_url"])
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings()
    await shop.control("faults/clear")
    await shop.agree()
    assert await shop.wallet(buyer) == BOUGHT


@pytest.mark.slow
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
    await bought_while(shop, "signature")
    await bought_while(shop, "body")


async def test_what_is_left_alone_is_done_as_it_comes(shop: Shop) -> None:
    body = an_event()
    assert await told(shop, body, signed(body, PLATFORM_SECRET)) == 204
    job = sa.text("select count(*) from pgqueuer where dedupe_key = :id")
    async with shop.database.transaction() as session:
        event = await session.get_one(InboxEvent, json.loads(body)["id"])
        assert event.state is InboxState.DONE
        assert event.settled_at is not None
        assert await session.scalar(job, {"id": event.id}) == 0


@pytest.mark.parametrize("sign", [-1, 1])
async def test_fault_09_nor_what_is_signed_at_another_time(shop: Shop, sign: int) -> None:
    body, now = an_event(), int(time.time())
    for seconds, answer in ((10**9, 400), (86_400, 400), (310, 400), (290, 204)):
        header = signed(body, PLATFORM_SECRET, at=max(0, now + sign * seconds))
        assert await told(shop, body, header) == answer
    await bought_while(shop, "stale" if sign < 0 else "future")


async def test_fault_10_old_and_new_secret_are_both_taken(shop: Shop) -> None:
    for secrets in (
        (PLATFORM_SECRET,),
        (CONNECT_SECRET,),
        ("whsec_" + "x" * 24, NEXT_SECRET),
    ):
        body = an_event()
        assert await told(shop, body, signed(body, *secrets)) == 204
    buyer = await shop.person()
    before = await shop.order(buyer)
    await shop.control("faults/webhooks", action="hold", count=50)
    await shop.pay(before["checkout_url"])  # signed when it is sent, under the new one
    hook = str(shop.http.base_url.join("stripe/webhooks"))
    try:
        await shop.control("webhooks/endpoints", url=hook, secret=NEXT_SECRET, replace=True)
        await shop.control("faults/clear")
        await shop.bought(buyer)
    finally:
        await shop.control("webhooks/endpoints", url=hook, secret=PLATFORM_SECRET, replace=True)
    await shop.bought(buyer)
    await shop.agree()
    assert await shop.wallet(buyer) == Holdings(stars=1500)


async def test_fault_25_what_we_do_not_know_is_set_aside(shop: Shop) -> None:
    unknown = await shop.control("events", type=NOT_OURS, object={"id": "issfr_1"})
    old = await shop.control(
        "events", type="balance.available", object={"id": "b"}, api_version="2020-08-27"
    )
    gone = await shop.control("events", type="charge.succeeded", object={"id": "ch_gone"})
    other = await shop.control("events", type="transfer.created", object={"id": "tr_gone"})
    await shop.settle()
    assert await shop.exceptions(unknown["id"]) == ["unknown_event"]
    assert await shop.exceptions(old["id"]) == ["event_of_another_api_version"]
    for event in (gone, other):
        assert await shop.exceptions(event["id"]) == ["stripe_refused"]
    foreign = await shop.control("balance/adjust", amount=-123, currency="usd")
    await shop.agree()
    assert await shop.exceptions(foreign["id"]) == ["unexplained_movement"]


@pytest.mark.parametrize("body", [b"[" * 100_000, HUGE, b"[1]"])
def test_what_is_signed_and_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(EventMalformed):
        verified_event(body, signed(body, PLATFORM_SECRET), [PLATFORM_SECRET])
