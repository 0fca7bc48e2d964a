"""Refunds of unused Stars and disputes, through Stripe and back."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest

from payouts.accounts import AccountKind
from payouts.reconcile import reconcile
from payouts.refunds import send_refund
from payouts.sweep import make_transfer, sweep
from payouts.wallets import Holdings
from tests.factories import sign_in
from tests.payouts.shop import Person, Shop


async def test_unused_stars_are_refunded_once(shop: Shop) -> None:
    buyer, creator = await shop.person(), await shop.person()
    order = await shop.bought(buyer)
    await shop.tip(buyer, creator, 100)
    refund = await shop.give_back(buyer, order)
    assert (refund["stars"], refund["amount_minor"]) == (400, 560)
    assert (await shop.give_back(buyer, order))["id"] == refund["id"]
    assert await shop.wallet(buyer) == Holdings(stars=0, held=400)
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings()
    again = await shop.http.post(f"/orders/{order['id']}/refunds", headers=buyer.headers)
    assert (again.status_code, again.json()["code"]) == (409, "nothing_unused")
    stranger = await shop.person()
    other = await shop.http.post(f"/orders/{order['id']}/refunds", headers=stranger.headers)
    assert (other.status_code, other.json()["code"]) == (404, "order_unknown")
    await shop.agree()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_refund_that_the_queue_gave_up_is_ended(shop: Shop, when: str) -> None:
    """Its answer is lost, whether it was done or not, and nobody asks again."""
    buyer = await shop.person()
    order = await shop.bought(buyer)
    refund = await shop.give_back(buyer, order)
    await shop.forget_jobs()
    assert await shop.wallet(buyer) == Holdings(held=500)
    if when == "after":
        await shop.control("faults/webhooks", action="drop", count=50)
        await shop.refund_at_stripe(order, refund)
        await shop.control("faults/clear")
    await reconcile(shop.cashier)
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings()
    assert shop.refunds_of(order) == 1
    await shop.agree()


async def test_fault_20_the_key_of_a_refund_is_forgotten(shop: Shop) -> None:
    """What was done is found by its charge; what was not is given back to the wallet."""
    done, undone = await shop.person(), await shop.person()
    orders = [await shop.bought(done), await shop.bought(undone)]
    asked = [await shop.give_back(done, orders[0]), await shop.give_back(undone, orders[1])]
    await shop.forget_jobs()
    await shop.control("faults/webhooks", action="drop", count=50)
    await shop.refund_at_stripe(orders[0], asked[0])
    await shop.control("faults/clear")
    await shop.control("clock", advance_seconds=25 * 3600)
    for refund in asked:
        await send_refund(shop.cashier, UUID(refund["id"]))
    assert [shop.refunds_of(order) for order in orders] == [1, 0]
    assert await shop.wallet(done) == Holdings()
    assert await shop.wallet(undone) == Holdings(stars=500)
    await shop.give_back(undone, orders[1])
    await shop.settle()
    assert shop.refunds_of(orders[1]) == 1
    await shop.agree()


async def test_fault_24_a_refund_fails_late(shop: Shop) -> None:
    buyer = await shop.person()
    order = await shop.bought(buyer)
    await shop.give_back(buyer, order)
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings()
    refund = shop.world.store.select("refund", shop.world.platform, limit=1)[0]
    await shop.control("refunds/fail", id=refund["id"])
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings(stars=500)
    await shop.agree()


class Moment(StrEnum):
    """Where the tips of what is disputed are on their way to the creator."""

    PENDING = "pending"
    MATURED = "matured"
    IN_TRANSFER = "in transfer"
    TRANSFERRED = "transferred"


class End(StrEnum):
    WON = "won"
    LOST = "lost"
    PART_LOST = "a part is lost"


PRICE, TIPPED = 699, 400
PART = 300
"""Of which 140 were for Stars that are unused; the other 160 are 115/400 of the tip."""


@dataclass(frozen=True)
class Left:
    """What a dispute leaves: Stars, what the creator gets in the end, what we lose."""

    stars: int
    creator_minor: int
    loss_minor: int


LEFT = {
    (Moment.PENDING, End.WON): Left(100, 400, 0),
    (Moment.PENDING, End.LOST): Left(0, 0, 0),
    (Moment.PENDING, End.PART_LOST): Left(0, 286, 0),
    **{
        (moment, end): left
        for moment in (Moment.MATURED, Moment.IN_TRANSFER, Moment.TRANSFERRED)
        for end, left in (
            (End.WON, Left(100, 400, 0)),
            (End.LOST, Left(0, 400, 400)),
            (End.PART_LOST, Left(0, 400, 114)),
        )
    },
}


async def on_the_way(shop: Shop, buyer: Person, creator: Person, moment: Moment) -> None:
    ago = timedelta() if moment is Moment.PENDING else timedelta(days=30)
    await shop.tip(buyer, creator, TIPPED, at=shop.now - ago)
    if moment in (Moment.IN_TRANSFER, Moment.TRANSFERRED):
        await sweep(shop.cashier)
    if moment is Moment.TRANSFERRED:
        await shop.settle()


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("moment", Moment)
async def test_fault_23_a_dispute(shop: Shop, moment: Moment, end: End) -> None:
    left = LEFT[moment, end]
    buyer, creator = await shop.person(), await shop.person()
    order = await shop.bought(buyer)
    await shop.onboard(creator)
    lost_before = await shop.balance(AccountKind.LOSS_EXPENSE)
    await on_the_way(shop, buyer, creator, moment)
    asked: dict[str, Any] = {"charge": shop.charge_of(order)}
    if end is End.PART_LOST:
        asked["amount"] = PART
    dispute = await shop.control("disputes", **asked)
    await shop.settle(but="payouts.transfer")
    assert await shop.wallet(buyer) == Holdings(stars=100, frozen=True)
    held = {End.PART_LOST: 114}.get(end, 400) if moment is Moment.PENDING else 0
    assert (await shop.earnings(creator)).on_hold_minor == held
    await shop.sound()
    await shop.control("disputes/settle", dispute=dispute["id"], won=end is End.WON)
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings(stars=left.stars)

    for intent in await shop.intents(creator):
        await make_transfer(shop.cashier, intent.id)
    await shop.control("clock", advance_seconds=20 * 86_400)
    await sweep(shop.cashier)
    await shop.settle()
    found = await shop.earnings(creator)
    assert found.matured_minor + found.transferred_minor == left.creator_minor
    assert await shop.balance(AccountKind.LOSS_EXPENSE) - lost_before == left.loss_minor
    await shop.agree()


async def test_a_dispute_that_is_told_of_when_the_money_has_gone(shop: Shop) -> None:
    """The tip was immature when it was opened, but the sweep was first: it is our loss."""
    buyer, creator = await shop.person(), await shop.person()
    order = await shop.bought(buyer)
    await shop.onboard(creator)
    await shop.tip(buyer, creator, TIPPED, at=shop.now - timedelta(days=13, hours=23))
    await shop.control("faults/webhooks", action="drop", count=50)
    dispute = await shop.control("disputes", charge=shop.charge_of(order))
    await shop.control("faults/clear")
    await shop.control("clock", advance_seconds=2 * 3600)
    await sweep(shop.cashier)
    await shop.settle()
    assert (await shop.earnings(creator)).transferred_minor == TIPPED
    await reconcile(shop.cashier)
    await shop.settle()
    await shop.sound()
    await shop.control("disputes/settle", dispute=dispute["id"], won=False)
    await shop.settle()
    found = await shop.earnings(creator)
    assert (found.transferred_minor, found.matured_minor, found.on_hold_minor) == (TIPPED, 0, 0)
    await shop.agree()


async def test_a_refund_that_fails_once_its_dispute_was_lost(shop: Shop) -> None:
    """The buyer has had the money of the bank, and does not get the Stars again."""
    buyer, creator = await shop.person(), await shop.person()
    order = await shop.bought(buyer)
    await shop.tip(buyer, creator, 100)
    lost_before = await shop.balance(AccountKind.LOSS_EXPENSE)
    refund = await shop.give_back(buyer, order)
    dispute = await shop.control("disputes", charge=shop.charge_of(order))
    await shop.settle(but="payouts.refund")
    await shop.control("disputes/settle", dispute=dispute["id"], won=False)
    await shop.settle(but="payouts.refund")
    assert await shop.wallet(buyer) == Holdings(held=400)
    await shop.settle()
    receipt = await shop.http.get(f"/orders/{order['id']}/receipt", headers=buyer.headers)
    assert [(r["id"], r["state"]) for r in receipt.json()["refunds"]] == [(refund["id"], "failed")]
    assert await shop.wallet(buyer) == Holdings()
    assert await shop.balance(AccountKind.LOSS_EXPENSE) == lost_before
    await shop.agree()


async def test_nobody_makes_us_pay_fees_all_day(shop: Shop) -> None:
    """Stripe keeps the fee of what goes back. Who signs in anew is the same person."""
    buyer = await shop.person()
    order = await shop.bought(buyer)
    path = f"/orders/{order['id']}/refunds"
    async with shop.database.transaction() as session:
        again = {"Authorization": f"Bearer {await sign_in(session, buyer.user)}"}
    for headers in (buyer.headers, again) * 5:
        assert (await shop.http.post(path, headers=headers)).status_code == 202
    refused = await shop.http.post(path, headers=again)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    await shop.settle()
    await shop.agree()
