"""Refunds of unused Stars and disputes, through Stripe and back."""

from typing import Any

import pytest

from payouts.wallets import Holdings
from tests.payouts.shop import Person, Shop

FROZEN = Holdings(stars=400, frozen=True)


async def give_back(shop: Shop, buyer: Person, order: dict[str, Any]) -> dict[str, Any]:
    answer = await shop.http.post(f"/orders/{order['id']}/refunds", headers=buyer.headers)
    assert answer.status_code == 202, answer.text
    refund: dict[str, Any] = answer.json()
    return refund


async def test_unused_stars_are_refunded_once(shop: Shop) -> None:
    buyer, creator = await shop.person(), await shop.person()
    order = await shop.bought(buyer)
    await shop.tip(buyer, creator, 100)
    refund = await give_back(shop, buyer, order)
    assert (refund["stars"], refund["amount_minor"]) == (400, 560)
    assert (await give_back(shop, buyer, order))["id"] == refund["id"]
    assert await shop.wallet(buyer) == Holdings(stars=0, held=400)
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings()
    again = await shop.http.post(f"/orders/{order['id']}/refunds", headers=buyer.headers)
    assert (again.status_code, again.json()["code"]) == (409, "nothing_unused")
    stranger = await shop.person()
    other = await shop.http.post(f"/orders/{order['id']}/refunds", headers=stranger.headers)
    assert (other.status_code, other.json()["code"]) == (404, "order_unknown")
    await shop.sound()


async def test_fault_24_a_refund_fails_late(shop: Shop) -> None:
    buyer = await shop.person()
    order = await shop.bought(buyer)
    await give_back(shop, buyer, order)
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings()
    refund = shop.world.store.select("refund", shop.world.platform, limit=1)[0]
    await shop.control("refunds/fail", id=refund["id"])
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings(stars=500)
    await shop.sound()


@pytest.mark.parametrize("won", [True, False])
async def test_fault_23_a_dispute_freezes_and_is_settled(shop: Shop, won: bool) -> None:
    buyer, creator = await shop.person(), await shop.person()
    await shop.bought(buyer)
    await shop.tip(buyer, creator, 100)
    charge = shop.world.store.select("charge", shop.world.platform, limit=1)[0]
    dispute = await shop.control("disputes", charge=charge["id"])
    await shop.settle()
    assert await shop.wallet(buyer) == FROZEN
    assert (await shop.earnings(creator)).on_hold_minor == 100
    await shop.sound()
    await shop.control("disputes/settle", dispute=dispute["id"], won=won)
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings(stars=400 if won else 0)
    found = await shop.earnings(creator)
    assert (found.pending_minor, found.on_hold_minor) == (100 if won else 0, 0)
    await shop.sound()


async def test_fault_23_a_part_is_disputed_after_the_transfer(shop: Shop) -> None:
    """What creators were paid stays theirs; the loss is ours."""
    creator = await shop.earner()
    charge = shop.world.store.select("charge", shop.world.platform, limit=1)[0]
    dispute = await shop.control("disputes", charge=charge["id"], amount=1000)
    await shop.settle()
    await shop.control("disputes/settle", dispute=dispute["id"], won=False)
    await shop.settle()
    assert (await shop.earnings(creator)).matured_minor == 4000
    await shop.sound()
