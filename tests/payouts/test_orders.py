"""Somebody buys Stars: an order, Stripe's page, an event, Stars in the wallet."""

from payouts.wallets import Holdings
from tests.payouts.shop import Shop


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
