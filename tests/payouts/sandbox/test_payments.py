"""Customers, payment methods, payment intents, charges, refunds: by the library's own client."""

import pytest
import stripe

from tests.payouts.sandbox.platform import Platform

DAY = 24 * 3600


async def test_customers_and_their_cards(shop: Platform) -> None:
    customer = await shop.v1.customers.create_async(
        {"email": "ada@example.org", "name": "Ada", "metadata": {"a": "1", "b": "2"}}
    )
    await shop.v1.customers.update_async(
        customer["id"], {"metadata": {"a": "", "c": "3"}, "name": ""}
    )
    found = await shop.v1.customers.retrieve_async(customer["id"])
    assert (found["name"], found["metadata"].to_dict()) == (None, {"b": "2", "c": "3"})
    by_email = await shop.v1.customers.list_async({"email": "ada@example.org"})
    assert [each["id"] for each in by_email["data"]] == [customer["id"]]

    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    method = await shop.v1.payment_methods.create_async({"type": "card", "card": card})
    assert (method["card"]["last4"], "number" in method["card"]) == ("4242", False)
    await shop.v1.payment_methods.attach_async(method["id"], {"customer": customer["id"]})
    theirs = await shop.v1.customers.payment_methods.list_async(customer["id"], {"type": "card"})
    assert [each["id"] for each in theirs["data"]] == [method["id"]]
    await shop.v1.payment_methods.update_async(method["id"], {"metadata": {"x": "y"}})
    assert (await shop.v1.payment_methods.retrieve_async(method["id"]))["metadata"]["x"] == "y"
    await shop.v1.payment_methods.detach_async(method["id"])
    by_customer = {"customer": customer["id"]}
    assert (await shop.v1.payment_methods.list_async(by_customer))["data"] == []
    card["number"] = "4111111111111111"
    with pytest.raises(stripe.CardError, match="test cards alone"):
        await shop.v1.payment_methods.create_async({"type": "card", "card": card})

    gone = await shop.v1.customers.delete_async(customer["id"])
    assert gone["deleted"]
    assert (await shop.v1.customers.retrieve_async(customer["id"]))["deleted"]
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        await shop.v1.customers.update_async(customer["id"], {"name": "Ada"})


async def test_a_decline_is_told_kept_and_paid_afterwards(shop: Platform) -> None:
    intent = await shop.v1.payment_intents.create_async(
        {"amount": 700, "currency": "usd", "automatic_payment_methods": {"enabled": True}}
    )
    assert intent["status"] == "requires_payment_method"
    with pytest.raises(stripe.CardError) as declined:
        await shop.v1.payment_intents.confirm_async(
            intent["id"],
            {"payment_method": "pm_card_visa_chargeDeclinedInsufficientFunds"},
        )
    assert declined.value.code == "card_declined"
    assert declined.value.error is not None
    assert declined.value.error.decline_code == "insufficient_funds"
    intent = await shop.v1.payment_intents.retrieve_async(intent["id"])
    assert intent["status"] == "requires_payment_method"
    assert intent["last_payment_error"]["decline_code"] == "insufficient_funds"
    failed = await shop.v1.charges.retrieve_async(intent["latest_charge"])
    assert (failed["status"], failed["paid"], failed["balance_transaction"]) == (
        "failed",
        False,
        None,
    )

    intent = await shop.v1.payment_intents.confirm_async(
        intent["id"], {"payment_method": "pm_card_visa"}
    )
    assert intent["status"] == "succeeded"
    charges = await shop.v1.charges.list_async({"payment_intent": intent["id"]})
    assert [each["status"] for each in charges["data"]] == ["succeeded", "failed"]
    await shop.v1.charges.update_async(charges["data"][0]["id"], {"metadata": {"seen": "1"}})
    with pytest.raises(stripe.InvalidRequestError) as twice:
        await shop.v1.payment_intents.confirm_async(intent["id"])
    assert twice.value.code == "payment_intent_unexpected_state"


async def test_intents_wait_for_3ds_are_changed_and_canceled(shop: Platform) -> None:
    intent = await shop.v1.payment_intents.create_async(
        {
            "amount": 900,
            "currency": "eur",
            "confirm": True,
            "payment_method": "pm_card_authenticationRequired",
            "return_url": "http://127.0.0.1:1/back",
        }
    )
    assert intent["status"] == "requires_action"
    action = intent["next_action"]["redirect_to_url"]
    assert action["return_url"] == "http://127.0.0.1:1/back"
    answer = await shop.http.post(action["url"], data={"answer": "fail"})
    assert answer.headers["location"] == "http://127.0.0.1:1/back"
    intent = await shop.v1.payment_intents.retrieve_async(intent["id"])
    assert intent["last_payment_error"]["code"] == "payment_intent_authentication_failure"

    update = {"metadata": {"order": "9"}, "description": "Stars"}
    await shop.v1.payment_intents.update_async(intent["id"], update)
    reason = {"cancellation_reason": "abandoned"}
    intent = await shop.v1.payment_intents.cancel_async(intent["id"], reason)
    assert (intent["status"], intent["cancellation_reason"]) == ("canceled", "abandoned")
    listed = await shop.v1.payment_intents.list_async()
    assert [each["metadata"]["order"] for each in listed["data"]] == ["9"]
    with pytest.raises(stripe.InvalidRequestError) as small:
        await shop.v1.payment_intents.create_async({"amount": 49, "currency": "usd"})
    assert small.value.code == "amount_too_small"


async def test_refunds_never_exceed_their_charge(shop: Platform) -> None:
    charge = (await shop.paid())["payment_intent"]["latest_charge"]["id"]
    part = await shop.v1.refunds.create_async(
        {
            "charge": charge,
            "amount": 200,
            "reason": "requested_by_customer",
            "metadata": {"order": "1"},
            "expand": ["balance_transaction"],
        }
    )
    assert (part["status"], part["balance_transaction"]["net"]) == ("succeeded", -200)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        await shop.v1.refunds.create_async({"charge": charge, "amount": 500})
    await shop.v1.refunds.create_async({"charge": charge})
    after = await shop.v1.charges.retrieve_async(charge)
    assert (after["amount_refunded"], after["refunded"]) == (699, True)
    with pytest.raises(stripe.InvalidRequestError) as again:
        await shop.v1.refunds.create_async({"charge": charge})
    assert again.value.code == "charge_already_refunded"
    await shop.v1.refunds.update_async(part["id"], {"metadata": {"seen": "1"}})
    listed = await shop.v1.refunds.list_async({"charge": charge})
    assert [each["amount"] for each in listed["data"]] == [499, 200]


async def test_refunds_fail_late_or_succeed_late(shop: Platform) -> None:
    failing = (await shop.paid("4000000000005126"))["payment_intent"]["latest_charge"]["id"]
    pending = (await shop.paid("4000000000007726"))["payment_intent"]["latest_charge"]["id"]
    refund = await shop.v1.refunds.create_async({"charge": failing})
    waiting = await shop.v1.refunds.create_async({"charge": pending})
    assert (refund["status"], waiting["status"]) == ("succeeded", "pending")
    await shop.control("clock", advance_seconds=4 * DAY)

    expand = {"expand": ["failure_balance_transaction"]}
    refund = await shop.v1.refunds.retrieve_async(refund["id"], expand)
    assert (refund["status"], refund["failure_balance_transaction"]["net"]) == ("failed", 699)
    assert (await shop.v1.charges.retrieve_async(failing))["amount_refunded"] == 0
    assert (await shop.v1.refunds.retrieve_async(waiting["id"]))["status"] == "succeeded"
    told = await shop.control("refunds/fail", id=waiting["id"])
    assert told["status"] == "failed"


async def test_disputes_are_opened_won_lost_and_given_up(shop: Platform) -> None:
    won = (await shop.paid("4000000000000259"))["payment_intent"]["latest_charge"]
    assert won["disputed"]
    [dispute] = (await shop.v1.disputes.list_async({"charge": won["id"]}))["data"]
    [withdrawn] = dispute["balance_transactions"]
    assert (withdrawn["amount"], withdrawn["fee"], withdrawn["net"]) == (-699, 1500, -2199)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.v1.refunds.create_async({"charge": won["id"]})
    assert refused.value.code == "charge_disputed"
    evidence = {"evidence": {"uncategorized_text": "winning_evidence"}, "metadata": {"a": "b"}}
    dispute = await shop.v1.disputes.update_async(dispute["id"], evidence)
    assert dispute["status"] == "won"
    assert [each["net"] for each in dispute["balance_transactions"]] == [-2199, 699]

    other = (await shop.paid())["payment_intent"]["latest_charge"]["id"]
    part = await shop.control("disputes", charge=other, amount=300)
    closed = await shop.v1.disputes.close_async(part["id"])
    assert (closed["status"], closed["amount"]) == ("lost", 300)
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        await shop.v1.disputes.close_async(part["id"])

    third = (await shop.paid())["payment_intent"]["latest_charge"]["id"]
    left = await shop.control("disputes", charge=third)
    await shop.control("clock", advance_seconds=10 * DAY)
    assert (await shop.v1.disputes.retrieve_async(left["id"]))["status"] == "lost"
    fourth = (await shop.paid())["payment_intent"]["latest_charge"]["id"]
    opened = await shop.control("disputes", charge=fourth)
    settled = await shop.control("disputes/settle", dispute=opened["id"], won=True)
    assert settled["status"] == "won"


async def test_other_currencies_settle_in_the_platforms_own(shop: Platform) -> None:
    prices = {"currency": "jpy", "unit_amount": 1000, "product_data": {"name": "Stars"}}
    session = await shop.paid(line_items=[{"price_data": prices, "quantity": 1}])
    yen = session["payment_intent"]["latest_charge"]["balance_transaction"]
    assert (yen["currency"], yen["amount"], yen["fee"]) == ("usd", 670, 49)
    assert float(yen["exchange_rate"]) == 0.0067
    assert session["payment_intent"]["latest_charge"]["amount"] == 1000
    prices["currency"] = "xxx"
    with pytest.raises(stripe.InvalidRequestError, match="The sandbox knows: usd"):
        await shop.session(line_items=[{"price_data": prices, "quantity": 1}])
