"""A buyer on the hosted page, and what the platform learns of it."""

import pytest
import stripe

from tests.payouts.sandbox.platform import PLATFORM_SECRET, Platform
from tests.polling import until

HAPPENED = [
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "checkout.session.completed",
]


async def test_who_pays_comes_back_and_the_money_is_on_its_way(shop: Platform) -> None:
    made = await shop.session()
    assert (made["status"], made["payment_status"], made["payment_intent"]) == (
        "open",
        "unpaid",
        None,
    )
    answer = await shop.pay(made["url"])
    assert answer.status_code == 303
    assert answer.headers["location"] == f"http://127.0.0.1:1/done?session={made['id']}"

    expand = ["payment_intent.latest_charge.balance_transaction", "line_items"]
    session = await shop.v1.checkout.sessions.retrieve_async(made["id"], {"expand": expand})
    intent = session["payment_intent"]
    charge = intent["latest_charge"]
    assert (session["status"], session["payment_status"], session["url"]) == (
        "complete",
        "paid",
        None,
    )
    assert session["client_reference_id"] == "order-1"
    assert session["customer_details"]["email"] == "ada@example.org"
    assert session["line_items"]["data"][0]["amount_total"] == 699
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 699)
    assert intent["metadata"]["order"] == charge["metadata"]["order"] == "1"
    assert charge["transfer_group"] == "order-1"
    transaction = charge["balance_transaction"]
    assert (transaction["amount"], transaction["fee"], transaction["net"]) == (699, 50, 649)
    assert (transaction["status"], transaction["source"]) == ("pending", charge["id"])

    await until(lambda: len(shop.platform_box.came) == len(HAPPENED))
    assert shop.platform_box.types() == HAPPENED
    for signature, body in shop.platform_box.came:
        event = shop.client.construct_event(body, signature, PLATFORM_SECRET)
        assert event["api_version"] == "2026-10-28.endive"
    assert event["data"]["object"]["id"] == made["id"]
    with pytest.raises(stripe.SignatureVerificationError):
        shop.client.construct_event(body + b" ", signature, PLATFORM_SECRET)
