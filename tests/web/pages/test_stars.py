"""Packs, orders, receipts and the wallet, as their owner sees them."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from core.auth.principal import Principal
from core.ids import uuid7
from payouts.accounts import STARS, AccountKind
from payouts.gateway_models import OrderState, StarOrder
from payouts.limits import set_own_limits
from payouts.models import LedgerAccount
from payouts.postings import Pin, Share
from payouts.refunds import request_refund
from tests.payouts.tills import Till
from tests.rooms.conftest import House
from tests.web.pages.conftest import Look, live
from web.pages.render import counted, figure, money


async def ordered(house: House, buyer: Principal, **values: Any) -> StarOrder:
    order = StarOrder(
        id=uuid7(),
        platform_id=house.platform.id,
        user_id=buyer.user_id,
        client_key=uuid4().hex,
        **{
            "pack": "usd-500",
            "stars": 500,
            "price_minor": 699,
            "currency": "USD",
            "tax_minor": 0,
            "livemode": False,
            "expires_at": datetime.now(UTC),
            "state": OrderState.OPEN,
            "checkout_url": "https://stripe.example/c/pay/cs_1",
            **values,
        },
    )
    house.session.add(order)
    await house.session.flush()
    return order


async def bought(house: House, buyer: Principal) -> tuple[StarOrder, Till]:
    """500 Stars for 6.99, paid, and what moves them on."""
    assert buyer.user_id is not None
    till = Till(house.session, house.platform.id, buyer.user_id, [house.host.id])
    order = await ordered(
        house,
        buyer,
        state=OrderState.PAID,
        checkout_url=None,
        paid_at=datetime.now(UTC),
        paid_with="visa 4242",
        tax_minor=99,
        lot_id=await till.buy(tax=99),
    )
    return order, till


async def test_packs_are_shown_in_one_currency(house: House, look: Look) -> None:
    stranger = await look(house.stranger).text("/stars?next=/rooms/new")
    assert "$6.99" in stranger
    assert "data-pack" not in stranger
    assert 'href="/sign-in?next=/stars%3Fnext%3D/rooms/new"' in stranger
    buyer = await house.user()
    euros = await look(buyer).text("/stars?currency=EUR&next=https://evil.example")
    assert "€6.99" in euros
    assert "$6.99" not in euros
    assert "evil.example" not in euros
    assert "Stars are not sold here yet" in euros, "there is no cashier"
    await ordered(house, buyer, pack="gbp-500", currency="GBP")
    assert "£6.99" in await look(buyer).text("/stars"), "as one paid last"


@pytest.mark.parametrize(
    ("values", "address", "words"),
    [
        ({}, "", "Waiting for your payment"),
        ({}, "?left=1", "Not paid yet"),
        ({"failure_code": "insufficient_funds"}, "", "not enough money"),
        ({"failure_code": "card_declined"}, "?left=1", "gave no reason"),
        ({"state": OrderState.EXPIRED}, "", "has expired"),
        ({"state": OrderState.FAILED, "failure_code": "x"}, "", "could not be paid"),
    ],
)
async def test_an_order_says_plainly_where_it_is(
    house: House, look: Look, values: dict[str, Any], address: str, words: str
) -> None:
    buyer = await house.user()
    order = await ordered(house, buyer, **values)
    html = await look(buyer).text(f"/orders/{order.id}{address}")
    assert words in html
    assert "Test money" in html
    assert ("https://stripe.example/c/pay/cs_1" in html) == (order.state is OrderState.OPEN)


async def test_orders_and_receipts_are_their_buyers_alone(house: House, look: Look) -> None:
    order, _ = await bought(house, await house.user())
    for path in (f"/orders/{order.id}", f"/orders/{order.id}/receipt"):
        assert (await look(house.hosting).get(path)).status_code == 404
        assert (await look(house.stranger).get(path)).status_code == 401
    assert (await look(house.stranger).get("/wallet")).status_code == 401


async def test_a_receipt_adds_up(house: House, look: Look) -> None:
    buyer = await house.user("Ada <3")
    order, till = await bought(house, buyer)
    await till.tip(100)
    await request_refund(house.session, principal=buyer, order_id=order.id)
    html = await look(buyer).text(f"/orders/{order.id}/receipt")
    for cell in (
        "Ada &lt;3",
        "Visa ending in 4242",
        "<td>$6.00</td>",
        "<td>$0.99</td>",
        "<td>$6.99</td>",
        "Acme &amp; Sons, 1 Sound Street",
    ):
        assert cell in html
    assert "400 Stars given back" in html
    assert "−$5.60" in html


async def test_a_wallet_says_what_its_stars_did(house: House, look: Look) -> None:
    buyer = await house.user()
    empty = await look(buyer).text("/wallet")
    assert "You have not bought any Stars yet" in empty
    order, till = await bought(house, buyer)
    room = await live(house, "Night <b>radio</b>")
    await till.tip(100, [Share(house.host.id)], pin=Pin(room.id, 61_000))
    html = await look(buyer).text("/wallet")
    assert f'<a href="/rooms/{room.id}#t=61000">Night &lt;b&gt;radio&lt;/b&gt;</a>' in html
    assert "+500" in html
    assert "−100" in html
    assert f'data-give-back="{order.id}"' in html
    assert "$5.60 goes back to the card" in html
    others = await look(await house.user()).text("/wallet")
    assert str(order.id) not in others
    assert str(room.id) not in others
    await request_refund(house.session, principal=buyer, order_id=order.id)
    given = await look(buyer).text("/wallet")
    assert "400 more are on their way back" in given
    assert "data-give-back" not in given


async def test_a_wallet_shows_ones_own_limits(house: House, look: Look) -> None:
    buyer = await house.user()
    assert buyer.user_id is not None
    assert "0 of 50,000 Stars tipped within a day" in await look(buyer).text("/wallet")
    await set_own_limits(house.session, buyer.user_id, hour_stars=None, day_stars=300)
    html = await look(buyer).text("/wallet")
    assert "0 of 300 Stars tipped within a day</summary>" in html
    assert 'value="300"' in html
    await set_own_limits(house.session, buyer.user_id, hour_stars=20, day_stars=None)
    assert "within a day, 0 of 20 within an hour</summary>" in await look(buyer).text("/wallet")


async def test_a_frozen_wallet_says_what_to_do(house: House, look: Look) -> None:
    buyer = await house.user()
    await bought(house, buyer)
    mine = (LedgerAccount.owner == str(buyer.user_id), LedgerAccount.currency == STARS)
    wallet = LedgerAccount.kind == AccountKind.WALLET
    await house.session.execute(
        sa.update(LedgerAccount).where(*mine, wallet).values(open_disputes=1)
    )
    html = await look(buyer).text("/wallet")
    assert "Your Stars are frozen" in html
    assert "tell your bank so" in html
    assert "data-give-back" not in html


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (699, "USD", "$6.99"),
        (-123_456, "EUR", "−€1,234.56"),
        (5, "GBP", "£0.05"),
        (1_000_000, "JPY", "¥1,000,000"),
        (1_234, "KWD", "1.234 KWD"),
        (0, "CHF", "0.00 CHF"),
    ],
)
def test_sums_as_people_read_them(minor: int, currency: str, text: str) -> None:
    assert money(minor, currency) == text


def test_figures_and_counts_are_written_for_people() -> None:
    texts = ("-1234567.50", "-0.05", "1000", "0.00")
    assert [figure(text) for text in texts] == ["−1,234,567.50", "−0.05", "1,000", "0.00"]
    counts = [counted(number, "unused Star") for number in (0, 1, 1_200)]
    assert counts == ["0 unused Stars", "1 unused Star", "1,200 unused Stars"]
