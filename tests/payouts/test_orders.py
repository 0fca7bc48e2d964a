"""Somebody buys Stars: an order, Stripe's page, an event, Stars in the wallet."""

import asyncio
from dataclasses import replace

import sqlalchemy as sa

from payouts.crediting import settle_charge
from payouts.gateway_models import StarOrder
from payouts.models import StarLot
from payouts.refund_requests import in_currency_of
from payouts.wallets import Holdings
from tests.payouts.shop import Shop
from tests.polling import until


async def test_stars_are_there_once_they_are_paid(shop: Shop) -> None:
    buyer = await shop.person()
    order = await shop.order(buyer)
    assert (order["state"], order["stars"], order["price_minor"]) == ("open", 500, 699)
    assert order["test_money"]
    assert await shop.wallet(buyer) == Holdings()

    answer = await shop.pay(order["checkout_url"])
    assert answer.headers["location"].endswith(f"/orders/{order['id']}")
    await shop.settle()
    paid = await shop.see(buyer, order)
    assert (paid["state"], paid["checkout_url"], paid["paid_with"]) == ("paid", None, "visa 4242")
    assert paid["paid_at"]
    assert await shop.wallet(buyer) == Holdings(stars=500)
    await shop.sound()


async def test_what_settles_in_another_currency_is_no_lot_of_these_books(shop: Shop) -> None:
    """Stripe settles in the currency of its account, whatever ours is set to: a lot whose cash is
    another currency's would be spent as if it were of this one."""
    settings = shop.cashier.settings.model_copy(update={"settlement_currency": "EUR"})
    euros = replace(shop.cashier, settings=settings)
    buyer = await shop.person()
    order = await shop.order(buyer)
    await shop.pay(order["checkout_url"])
    charge = shop.charge_of(order)
    assert await settle_charge(euros, charge) is None
    assert await shop.exceptions(charge) == ["settled_in_another_currency"]
    assert await shop.wallet(buyer) == Holdings()
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings(stars=500)
    await shop.agree()


async def test_who_waits_for_stripe_holds_no_connection(shop: Shop) -> None:
    """A dozen would be all that the process has, and nobody else would be answered."""
    buyer, creator = await shop.person(), await shop.person()
    await shop.control("faults/requests", method="POST", action="slow", seconds=1, count=2)
    asked = [
        asyncio.create_task(shop.order(buyer)),
        asyncio.create_task(shop.http.post("/creators/me/onboarding", headers=creator.headers)),
    ]
    left = "select 1 from faults where target = 'request' and remaining > 0"
    await until(lambda: shop.world.store.sql.execute(left).fetchone() is None)
    held = shop.database.engine.pool.status()
    await asyncio.gather(*asked)
    assert "Current Checked out connections: 0" in held


async def test_a_stopped_process_does_not_lock_wallets_for_good(shop: Shop) -> None:
    async with shop.database.transaction() as session:
        limit = await session.scalar(sa.text("show idle_in_transaction_session_timeout"))
    assert limit == "1min"


def test_what_goes_back_is_what_stripe_can_pay() -> None:
    order = StarOrder(price_minor=1_990, currency="KWD")
    lot = StarLot(cash_minor=600, tax_minor=50)
    assert [in_currency_of(order, lot, back) for back in (650, 10, 3)] == [1_990, 30, 0]
