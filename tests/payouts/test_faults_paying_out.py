"""Faults between what a creator has earned and their bank, by the numbers of the design."""

import asyncio
import signal
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from payouts.gateway import (
    KEYS_KEPT,
    Gateway,
    KeyReused,
    OutcomeUnknown,
    StripeBusy,
    StripeClosed,
)
from payouts.onboarding import DISCONNECTED
from payouts.reconcile import reconcile
from payouts.stripe_facts import IntentState, TransferIntent
from payouts.sweep import make_transfer, sweep
from tests.payouts.shop import MINIMUM, Person, Shop
from tests.polling import until

TRANSFERS = {"method": "POST", "path": "/v1/transfers"}
MUCH = 100_000_000


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
    creator, poor = await shop.earner(), await shop.earner(stars=MINIMUM - 1)
    await sweep(shop.cashier)
    await shop.settle()
    await paid_once(shop, creator)
    assert await sweep(shop.cashier) == 0
    assert await shop.intents(poor) == []
    assert (await shop.earnings(poor)).matured_minor == MINIMUM - 1
    await shop.agree()


@pytest.mark.slow
async def test_fault_16_no_answer_and_it_was_done(shop: Shop) -> None:
    creator = await shop.earner()
    intent = await intended(shop, creator)
    await fail(shop, action="disconnect", when="after", count=3)
    await make_transfer(shop.cashier, intent.id)
    await shop.control("faults/clear")
    await paid_once(shop, creator)
    await shop.settle()
    await paid_once(shop, creator)
    await shop.agree()


@pytest.mark.slow
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
    await shop.agree()


@pytest.mark.slow
async def test_fault_18_killed_mid_sweep_between_call_and_commit(shop: Shop) -> None:
    """The first is paid; of the second only Stripe knows; the third has not been thought of."""
    creators = [await shop.earner() for _ in range(3)]
    arguments = (shop.database.url, shop.world.base_url, shop.world.key)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.payouts.killable", *arguments
    )
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    (first,), (second,), none = [await shop.intents(creator) for creator in creators]
    assert (first.state, second.state, none) == (IntentState.CONFIRMED, IntentState.OPEN, [])
    assert shop.transfers(second) == 1
    assert (await shop.earnings(creators[1])).in_transfer_minor == 4000
    await shop.sound()
    await sweep(shop.cashier)
    await make_transfer(shop.cashier, second.id)
    await shop.settle()
    for creator in creators:
        await paid_once(shop, creator)
    await shop.agree()


async def test_fault_19_one_key_for_another_body(shop: Shop) -> None:
    """Whether the other call was ours is not known, so nothing is given up before the key is old;
    then the creator is paid under another one, and the other transfer is found."""
    creator, other = await shop.earner(), await shop.earner()
    intent = await intended(shop, creator)
    strange = await shop.cashier.gateway.transfer(
        key=str(intent.id),
        destination=(await shop.intents(other))[0].destination,
        amount_minor=123,
        currency="USD",
        group="another",
        metadata={},
    )
    with pytest.raises(KeyReused):
        await make_transfer(shop.cashier, intent.id)
    assert (await shop.earnings(creator)).in_transfer_minor == 4000
    await shop.sound()
    await make_transfer(shop.cashier, intent.id, now=shop.now + timedelta(hours=21))
    await sweep(shop.cashier)
    await shop.settle()
    for each in (creator, other):
        await paid_once(shop, each)
    assert await shop.exceptions(strange.id) == ["foreign_transfer"]
    assert strange.destination is not None
    await shop.agree(known={strange.destination: 123})


async def test_fault_20_the_key_is_forgotten_after_a_day(shop: Shop) -> None:
    """What was done is found by its group; what was not is given back, and intended anew."""
    done, undone = await shop.earner(), await shop.earner()
    first, second = await intended(shop, done), (await shop.intents(undone))[0]
    await shop.forget_jobs()
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
    await shop.agree()


async def test_fault_20_a_call_is_on_its_way_when_the_key_grows_old(shop: Shop) -> None:
    """Somebody else finds nothing at Stripe, and must not give the intent up yet."""
    creator = await shop.earner()
    intent = await intended(shop, creator)
    await shop.forget_jobs()
    await fail(shop, action="slow", seconds=0.3)
    old = intent.created_at + KEYS_KEPT
    calling = asyncio.create_task(make_transfer(shop.cashier, intent.id, now=old))
    left = "select 1 from faults where target = 'request' and remaining > 0"
    await until(lambda: shop.world.store.sql.execute(left).fetchone() is None)
    with pytest.raises(OutcomeUnknown):
        await make_transfer(shop.cashier, intent.id, now=old + timedelta(seconds=1))
    await calling
    await sweep(shop.cashier)
    await shop.settle()
    await paid_once(shop, creator)
    await shop.agree()


async def test_fault_16_and_our_key_is_changed_before_we_know(shop: Shop) -> None:
    """That Stripe lets nobody in by the old one says nothing of what was done with it."""
    creator = await shop.earner()
    intent = await intended(shop, creator)
    await shop.forget_jobs()
    await shop.cashier.gateway.transfer(
        key=str(intent.id),
        destination=intent.destination,
        amount_minor=intent.amount_minor,
        currency=intent.currency,
        group=str(intent.id),
        metadata={},
    )
    base = shop.cashier.settings.stripe_base
    revoked = replace(shop.cashier, gateway=Gateway("sk_test_" + "r" * 32, base=base))
    with pytest.raises(StripeClosed):
        await make_transfer(revoked, intent.id)
    await revoked.gateway.close()
    await sweep(shop.cashier)
    await make_transfer(shop.cashier, intent.id)
    await shop.settle()
    await paid_once(shop, creator)
    await shop.agree()


async def test_fault_21_two_sweepers_one_creator(shop: Shop) -> None:
    creator = await shop.earner()
    await asyncio.gather(*(sweep(shop.cashier) for _ in range(4)))
    (intent,) = await shop.intents(creator)
    await asyncio.gather(
        *(make_transfer(shop.cashier, intent.id) for _ in range(4)), return_exceptions=True
    )
    await shop.settle()
    await paid_once(shop, creator)
    await shop.agree()


async def test_fault_22_there_is_not_enough_at_stripe(shop: Shop) -> None:
    creator = await shop.earner()
    intent = await intended(shop, creator)
    await shop.control("balance/adjust", amount=-MUCH, currency="usd")
    await make_transfer(shop.cashier, intent.id)
    (refused,) = await shop.intents(creator)
    assert (refused.state, refused.error_code) == (IntentState.REFUSED, "balance_insufficient")
    assert refused.settled_at is not None
    assert refused.settled_at >= refused.created_at, "in the same month of the statement, or later"
    assert (await shop.earnings(creator)).matured_minor == 4000
    await shop.sound()
    await shop.control("balance/adjust", amount=MUCH, currency="usd")
    await sweep(shop.cashier)
    await shop.settle()
    await paid_once(shop, creator)
    await shop.agree()


async def test_fault_22_too_many_calls(shop: Shop) -> None:
    creator = await shop.earner()
    intent = await intended(shop, creator)
    await fail(shop, action="error", status=429, count=4)
    with pytest.raises(StripeBusy):
        await make_transfer(shop.cashier, intent.id)
    assert shop.transfers(intent) == 0
    await fail(shop, action="error", status=429, count=2)
    await shop.settle()
    await paid_once(shop, creator)
    await shop.agree()


@pytest.mark.slow
@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
async def test_fault_22_stripe_says_500(shop: Shop, when: str, made: int) -> None:
    """Which it says again to the same key for a day, whether it had made the transfer or not."""
    creator = await shop.earner()
    intent = await intended(shop, creator)
    await shop.forget_jobs()
    await fail(shop, action="error", status=500, when=when, count=1)
    if when == "before":
        with pytest.raises(OutcomeUnknown):
            await make_transfer(shop.cashier, intent.id)
        assert (await shop.earnings(creator)).in_transfer_minor == 4000
    else:
        await make_transfer(shop.cashier, intent.id)
    assert shop.transfers(intent) == made
    await make_transfer(shop.cashier, intent.id, now=shop.now + timedelta(hours=21))
    await sweep(shop.cashier)
    await shop.settle()
    await paid_once(shop, creator)
    await shop.agree()


@pytest.mark.slow
async def test_fault_24_a_payout_is_paid_then_fails(shop: Shop) -> None:
    creator = await shop.earner()
    intent = await intended(shop, creator)
    await shop.settle()
    await shop.control("clock", advance_seconds=8 * 86_400)
    (payout,) = shop.world.store.select("payout", intent.destination)
    await shop.settle()
    assert await shop.in_bank(intent.destination) == 4000
    await shop.control("payouts/fail", id=payout["id"])
    await shop.settle()
    assert await shop.in_bank(intent.destination) == 0
    assert (await shop.earnings(creator)).transferred_minor == 4000
    state = await shop.http.get("/creators/me/onboarding", headers=creator.headers)
    assert (state.json()["step"], state.json()["payouts_enabled"]) == ("fix", False)
    await shop.agree()


async def test_fault_24_a_transfer_is_reversed(shop: Shop) -> None:
    creator = await shop.earner()
    await intended(shop, creator)
    await shop.settle()
    (intent,) = await shop.intents(creator)
    assert intent.stripe_transfer is not None
    client = shop.cashier.gateway._v1.transfers.reversals  # the dashboard's button
    await client.create_async(intent.stripe_transfer, {"amount": 1500})
    await shop.settle()
    found = await shop.earnings(creator)
    assert (found.matured_minor, found.transferred_minor) == (1500, 2500)
    await shop.agree()


@pytest.mark.slow
async def test_fault_25_an_account_is_restricted_mid_sweep(shop: Shop) -> None:
    creator = await shop.earner()
    intent = await intended(shop, creator)
    await shop.control("accounts/restrict", account=intent.destination)
    await make_transfer(shop.cashier, intent.id)
    (closed,) = await shop.intents(creator)
    assert closed.state is IntentState.REFUSED
    assert closed.error_code == "insufficient_capabilities_for_transfer"
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
    await shop.agree()


async def test_fault_04_what_connected_accounts_tell_is_asked_for_too(shop: Shop) -> None:
    creator = await shop.person()
    await shop.control("faults/webhooks", action="drop", count=50)
    await shop.onboard(creator)
    await shop.control("faults/clear")
    state = await shop.http.get("/creators/me/onboarding", headers=creator.headers)
    assert state.json()["step"] == "continue"
    assert (await reconcile(shop.cashier)).missed_events >= 1
    await shop.settle()
    state = await shop.http.get("/creators/me/onboarding", headers=creator.headers)
    assert state.json()["step"] == "ready"
    await shop.agree()


async def test_fault_25_an_account_is_gone_and_nobody_told_us(shop: Shop) -> None:
    """It does not hold up what else is to be reconciled."""
    creator = await shop.person()
    account = await shop.onboard(creator)
    await shop.control("faults/webhooks", action="drop", count=50)
    await shop.cashier.gateway._v1.accounts.delete_async(account)  # the dashboard's button
    await shop.control("faults/clear")
    for _ in range(2):
        await reconcile(shop.cashier)
        await shop.settle()
    state = await shop.http.get("/creators/me/onboarding", headers=creator.headers)
    assert (state.json()["step"], state.json()["disabled_reason"]) == ("begin", DISCONNECTED)
    await shop.agree()


@pytest.mark.parametrize("told", [True, False])
async def test_whose_account_is_gone_is_paid_to_another(shop: Shop, told: bool) -> None:
    """It is asked for as if there had been none, whether we knew that it is gone or not."""
    creator = await shop.earner(stars=MINIMUM)
    gone = await shop.onboard(creator)
    if not told:
        await shop.control("faults/webhooks", action="drop", count=5)
    await shop.cashier.gateway._v1.accounts.delete_async(gone)
    await shop.settle()
    await shop.control("faults/clear")
    refused = await shop.http.post("/creators/me/dashboard", headers=creator.headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_onboarded")
    assert await shop.onboard(creator) != gone
    await sweep(shop.cashier)
    await shop.settle()
    await paid_once(shop, creator, MINIMUM)
    await shop.agree()
