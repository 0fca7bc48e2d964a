"""One key, one thing done: the rules that the intent log of payouts stands on."""

import asyncio
from typing import Any

import pytest
import stripe

from tests.payouts.sandbox.platform import KEY, Platform

HOUR = 3600
KEYED = {"idempotency_key": "intent-1"}
HEADERS = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "intent-1"}


async def customers(shop: Platform) -> list[Any]:
    return list((await shop.v1.customers.list_async())["data"])


async def test_the_first_answer_is_repeated_for_a_day(shop: Platform) -> None:
    first = await shop.v1.customers.create_async({"name": "Ada"}, KEYED)
    answer = await shop.http.post("/v1/customers", data={"name": "Ada"}, headers=HEADERS)
    assert answer.json()["id"] == first["id"]
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.headers["request-id"] == answer.headers["original-request"]
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        await shop.v1.customers.create_async({"name": "Grace"}, KEYED)
    with pytest.raises(stripe.IdempotencyError):
        await shop.v1.payment_intents.create_async({"amount": 100, "currency": "usd"}, KEYED)
    await shop.control("clock", advance_seconds=23 * HOUR)
    again = await shop.v1.customers.create_async({"name": "Ada"}, KEYED)
    assert again["id"] == first["id"]
    assert len(await customers(shop)) == 1

    await shop.control("clock", advance_seconds=2 * HOUR)
    second = await shop.v1.customers.create_async({"name": "Ada"}, KEYED)
    assert second["id"] != first["id"]
    assert len(await customers(shop)) == 2


async def test_accounts_have_keys_of_their_own(shop: Platform) -> None:
    creator = await shop.creator()
    ours = await shop.v1.customers.create_async({"name": "Ada"}, KEYED)
    theirs = await shop.v1.customers.create_async(
        {"name": "Grace"}, KEYED | {"stripe_account": creator}
    )
    assert ours["id"] != theirs["id"]


async def test_declines_are_kept_and_wrong_parameters_are_not(shop: Platform) -> None:
    params = {
        "amount": 700,
        "currency": "usd",
        "confirm": True,
        "payment_method": "pm_card_chargeDeclined",
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
    }
    for _ in range(2):
        with pytest.raises(stripe.CardError) as declined:
            await shop.v1.payment_intents.create_async(params, KEYED)
    assert declined.value.headers is not None
    assert declined.value.headers["idempotent-replayed"] == "true"
    assert len((await shop.v1.charges.list_async())["data"]) == 1
    wrong = {"idempotency_key": "intent-2"}
    with pytest.raises(stripe.InvalidRequestError):
        await shop.v1.customers.create_async({"nickname": "Ada"}, wrong)
    await shop.v1.customers.create_async({"name": "Ada"}, wrong)


async def test_a_short_balance_is_kept_too(shop: Platform) -> None:
    """A later try with the same key brings the refusal again, though there is money by then."""
    creator = await shop.creator()
    params = {"amount": 100, "currency": "usd", "destination": creator}
    with pytest.raises(stripe.InvalidRequestError):
        await shop.v1.transfers.create_async(params, KEYED)
    await shop.paid("4000000000000077")
    with pytest.raises(stripe.InvalidRequestError) as replayed:
        await shop.v1.transfers.create_async(params, KEYED)
    assert replayed.value.code == "balance_insufficient"
    await shop.v1.transfers.create_async(params, {"idempotency_key": "intent-2"})


async def test_a_key_in_flight_is_a_conflict(shop: Platform) -> None:
    rule = {"action": "slow", "seconds": 0.3, "path": "/v1/customers", "method": "POST"}
    await shop.control("faults/requests", **rule)
    slow = asyncio.create_task(shop.v1.customers.create_async({"name": "Ada"}, KEYED))
    answer = None
    while answer is None or answer.status_code == 200:
        answer = await shop.http.get("/_control/state", headers=HEADERS)
        if not answer.json()["faults"][0]["remaining"]:
            answer = await shop.http.post("/v1/customers", data={"name": "Ada"}, headers=HEADERS)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "idempotency_key_in_use"
    made = await slow
    again = await shop.v1.customers.create_async({"name": "Ada"}, KEYED)
    assert again["id"] == made["id"]
