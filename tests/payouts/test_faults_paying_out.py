"""Faults between what a creator has earned and their bank, by the numbers of the design."""

import asyncio
import signal
import sys
from datetime import timedelta
from typing import Any

import pytest

from payouts.gateway import OutcomeUnknown, StripeBusy
from payouts.reconcile import reconcile
from payouts.stripe_facts import IntentState, TransferIntent
from payouts.sweep import make_transfer, sweep
from tests.payouts.shop import Person, Shop

TRANSFERS = {"method": "POST", "path": "/v1/transfers"}


async def intended(shop: Shop, creator: Person) -> TransferIntent:
    """Committed, with its hold; nobody has asked Stripe yet."""
    assert await sweep(shop.cashier) >= 1
    return (await shop.intents(creator))[-1]


async def paid_once(shop: Shop, creator: Person, minor: int = 4000) -> None:
    intents = await shop.intents(creator)
    confirmed = [intent for intent in intents if intent.state is IntentState.CONFIRMED]
    assert [intent.amount_minor for intent in confirmed] == [minor]
    assert [shop.transfers(intent) for intent in confirmed] == [1]
    found = await shop.earnings(creator)
    assert (found.matured_minor, found.in_transfer_minor, found.transferred_minor) == (0, 0, minor)
    await shop.sound()


async def fail(shop: Shop, **rule: Any) -> None:
    await shop.control("faults/requests", **TRANSFERS, **rule)


async def test_matured_earnings_are_swept_once(shop: Shop) -> None:
    creator = await shop.earner()
    await sweep(shop.cashier)
    await shop.settle()
    await paid_once(shop, creator)
    assert await sweep(shop.cashier) == 0


async def test_less_than_the_minimum_waits(shop: Shop) -> None:
    creator = await shop.earner(stars=2000)
    await sweep(shop.cashier)
    assert await shop.intents(creator) == []
    assert (await shop.earnings(creator)).matured_minor == 2000


async def test_fault_16_no_answer_and_it_was_done(shop: Shop) -> None:
    creator = await shop.earner()
    intent = await intended(shop, creator)
    await fail(shop, action="disconnect", when="after", count=3)
    await make_transfer(shop.cashier, intent.id)
    await shop.control("faults/clear")
    await paid_once(shop, creator)
    await shop.settle()
    await paid_once(shop, creator)


async def test_fault_17_no_answer_and_it_was_not_done(shop: Shop) -> None:
    creator = await shop.earner()
    intent = await intended(shop, creator)
    await fail(shop, action="disconnect", when="before", count=3)
    with pytest.raises(OutcomeUnknown):
        await make_transfer(shop.cashier, intent.id)
    assert (await shop.earnings(creator)).in_transfer_minor == 4000
    await shop.sound()
    await make_transfer(shop.cashier, intent.id)
    await shop.settle()
    await paid_once(shop, creator)


@pytest.mark.slow
async def test_fault_18_killed_between_the_call_and_the_commit(shop: Shop) -> None:
    creator = await shop.earner()
    intent = await intended(shop, creator)
    arguments = (shop.database.url, shop.world.base_url, shop.world.key, str(intent.id))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.payouts.killable", *arguments
    )
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    assert shop.transfers(intent) == 1
    assert (await shop.earnings(creator)).in_transfer_minor == 4000
    await shop.sound()
    await make_transfer(shop.cashier, intent.id)
    await shop.settle()
    await paid_once(shop, creator)


async def test_fault_20_the_key_is_forgotten_after_a_day(shop: Shop) -> None:
    """What was done is found by its group; what was not is given back, and intended anew."""
    done, undone = await shop.earner(), await shop.earner()
    first, second = await intended(shop, done), (await shop.intents(undone))[0]
    await shop.cashier.gateway.transfer(
        key=str(first.id),
        destination=first.destination,
        amount_minor=first.amount_minor,
        currency=first.currency,
        group=str(first.id),
        metadata={},
    )
    await shop.control("clock", advance_seconds=25 * 3600)
    for intent in (first, second):
        await make_transfer(shop.cashier, intent.id)
    await paid_once(shop, done)
    (closed,) = await shop.intents(undone)
    assert (closed.state, closed.error_code) == (IntentState.REFUSED, "not_made")
    assert (await shop.earnings(undone)).matured_minor == 4000
    await sweep(shop.cashier)
    await shop.settle()
    await paid_once(shop, undone)


async def test_fault_21_two_sweepers_one_creator(shop: Shop) -> None:
    creator = await shop.earner()
    await asyncio.gather(*(sweep(shop.cashier) for _ in range(4)))
    (intent,) = await shop.intents(creator)
    await asyncio.gather(
        *(make_transfer(shop.cashier, intent.id) for _ in range(4)), return_exceptions=True
    )
    await shop.settle()
    await paid_once(shop, creator)


async def test_fault_22_no_money_too_many_calls_and_500(shop: Shop) -> None:
    creator = await shop.earner()
    intent = await intended(shop, creator)
    await fail(shop, action="error", status=429, count=4)
    with pytest.raises(StripeBusy):
        await make_transfer(shop.cashier, intent.id)
    await fail(shop, action="error", status=500, count=3)
    with pytest.raises(OutcomeUnknown):
        await make_transfer(shop.cashier, intent.id)
    await shop.control("faults/clear")
    await make_transfer(shop.cashier, intent.id, now=shop.now + timedelta(hours=21))
    await sweep(shop.cashier)
    await shop.settle()
    await paid_once(shop, creator)


async def test_fault_24_reversed_transfer_and_failed_payout(shop: Shop) -> None:
    creator = await shop.earner()
    await sweep(shop.cashier)
    await shop.settle()
    (intent,) = await shop.intents(creator)
    payout = await arrived(shop, intent.destination)
    await shop.settle()
    await shop.control("payouts/fail", id=payout)
    await shop.settle()
    found = await shop.earnings(creator)
    assert found.transferred_minor == 4000
    await shop.sound()

    client = shop.cashier.gateway._v1.transfers.reversals  # the dashboard's button
    assert intent.stripe_transfer is not None
    await client.create_async(intent.stripe_transfer, {"amount": 1500})
    await shop.settle()
    await reconcile(shop.cashier)
    found = await shop.earnings(creator)
    assert (found.matured_minor, found.transferred_minor) == (1500, 2500)
    await shop.sound()


async def arrived(shop: Shop, account: str) -> str:
    """The clock moves until the account's payout is in its owner's bank."""
    await shop.control("clock", advance_seconds=8 * 86_400)
    (payout,) = shop.world.store.select("payout", account)
    return str(payout["id"])


async def test_fault_25_restricted_unknown_and_foreign(shop: Shop) -> None:
    creator = await shop.earner()
    intent = await intended(shop, creator)
    await shop.control("accounts/restrict", account=intent.destination)
    await make_transfer(shop.cashier, intent.id)
    (closed,) = await shop.intents(creator)
    assert closed.state is IntentState.REFUSED
    assert (await shop.earnings(creator)).matured_minor == 4000
    await shop.settle()
    state = await shop.http.get("/creators/me/onboarding", headers=creator.headers)
    assert state.json()["step"] == "fix"
    await sweep(shop.cashier)
    assert len(await shop.intents(creator)) == 1
    await shop.control("accounts/enable", id=intent.destination)
    await shop.settle()
    await sweep(shop.cashier)
    await shop.settle()
    await paid_once(shop, creator)

    unknown = await shop.control("events", type="radar.rule.made", object={"id": "rule_1"})
    old = await shop.control(
        "events", type="balance.available", object={"id": "b"}, api_version="2020-08-27"
    )
    await shop.settle()
    assert await shop.exceptions(unknown["id"]) == ["unknown_event"]
    assert await shop.exceptions(old["id"]) == ["event_of_another_api_version"]
    foreign = await shop.control("balance/adjust", amount=-123, currency="usd")
    await reconcile(shop.cashier)
    assert await shop.exceptions(foreign["id"]) == ["unexplained_movement"]
    await shop.sound()
