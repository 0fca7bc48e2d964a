"""Creators who leave, mid-sweep too: fault 25."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from core.auth.leaving import NOBODY
from core.auth.models import User
from payouts.accounts import AccountKind
from payouts.alerts import REFUND_UNPAID, waiting
from payouts.creators import Earnings
from payouts.gateway_models import OrderState, RefundState, StarOrder, StarRefund
from payouts.leaving import close_left, leave
from payouts.lot_returns import NothingUnused
from payouts.models import Creator, LedgerAccount
from payouts.order_checks import expire_checkout
from payouts.orders import OrderUnknown, Wish, place_order
from payouts.refunds import refund_again
from payouts.sweep import make_transfer, sweep
from payouts.wallets import Holdings
from tests.factories import as_user
from tests.payouts.shop import MINIMUM, Person, Shop

REFUND_FAILS = "4000 0000 0000 5126"
NOTHING = Earnings(0, 0, 0, 0, 0)


async def leaves(shop: Shop, creator: Person) -> None:
    async with shop.database.transaction() as session:
        await leave(session, platform_id=creator.user.platform_id, user_id=creator.user.id)


async def closes(shop: Shop, person: Person, **wanted: Any) -> httpx.Response:
    """As the page does it."""
    return await shop.http.post("/creators/me/leave", json=wanted, headers=person.headers)


async def gone(shop: Shop, creator: Person) -> bool:
    """Whether their books are closed; their rows are there, and say nothing of them."""
    async with shop.database.transaction() as session:
        user = await session.get_one(User, creator.user.id)
        assert (user.display_name, user.email, user.external_user_id) == (NOBODY, None, None)
        accounts = sa.select(sa.func.count()).where(LedgerAccount.owner == str(user.id))
        assert await session.scalar(accounts)
        row = await session.get_one(Creator, (user.platform_id, user.id))
        return row.deleted_at is not None


async def test_fault_25_a_creator_leaves_mid_sweep(shop: Shop) -> None:
    creator = await shop.earner()
    await sweep(shop.cashier)
    (intent,) = await shop.intents(creator)
    await leaves(shop, creator)
    assert (await shop.http.get("/wallet", headers=creator.headers)).status_code == 401
    await close_left(shop.cashier)
    assert not await gone(shop, creator)  # what is under way may come back
    await make_transfer(shop.cashier, intent.id)
    await close_left(shop.cashier)
    assert await gone(shop, creator)
    assert await shop.earnings(creator) == Earnings(0, 0, 0, 0, 4000)
    assert shop.transfers(intent) == 1
    await shop.agree()


async def test_fault_25_the_last_sweep_knows_no_minimum(shop: Shop) -> None:
    """It waits for what has not matured yet."""
    creator, payer = await shop.earner(stars=MINIMUM - 1), await shop.person()
    await shop.bought(payer)
    await shop.tip(payer, creator, 100)
    await leaves(shop, creator)
    await sweep(shop.cashier)
    await close_left(shop.cashier)
    await shop.settle()
    assert (await shop.earnings(creator)).transferred_minor == MINIMUM - 1
    assert not await gone(shop, creator)
    await shop.control("clock", advance_seconds=15 * 86_400)
    await sweep(shop.cashier)
    await shop.settle()
    await close_left(shop.cashier)
    assert await gone(shop, creator)
    assert await shop.earnings(creator) == Earnings(0, 0, 0, 0, MINIMUM + 99)
    await shop.agree()


async def test_fault_25_what_nobody_can_be_paid_is_unclaimed(shop: Shop) -> None:
    """Never income; what comes in later joins it."""
    payer, creator = await shop.person(), await shop.person()
    before = await shop.balance(AccountKind.UNCLAIMED)
    await shop.bought(payer)
    for stars in (400, 100):
        await shop.tip(payer, creator, stars)
        await leaves(shop, creator)
        await shop.control("clock", advance_seconds=15 * 86_400)
        await sweep(shop.cashier)
        await close_left(shop.cashier)
        assert await gone(shop, creator)
    assert await shop.earnings(creator) == NOTHING
    assert await shop.balance(AccountKind.UNCLAIMED) - before == -500
    await shop.agree()


async def test_nobody_pays_on_the_page_of_who_has_left(shop: Shop) -> None:
    """Also where the process died between Stripe's answer and the commit."""
    for dies in (False, True):
        buyer = await shop.person()
        order = await shop.order(buyer)
        assert (await closes(shop, buyer)).status_code == 204
        if dies:
            await shop.cashier.gateway.expire_checkout(
                (await order_in(shop, order)).checkout_session or "", key=f"{order['id']}:expire"
            )
        await shop.settle()
        ended = await order_in(shop, order)
        assert (ended.state, ended.checkout_url) == (OrderState.EXPIRED, None)
        assert (await shop.pay(order["checkout_url"])).status_code == 410
        await expire_checkout(shop.cashier, ended.id)
    await shop.agree()


async def test_a_page_that_was_made_while_its_buyer_left_expires(shop: Shop) -> None:
    """Stripe had not answered yet when they left, and nobody knew the page."""
    buyer = await shop.person()
    await leaves(shop, buyer)
    late = Wish("late", "usd-500")
    order = await place_order(shop.cashier, principal=as_user(buyer.user), wish=late)
    await shop.settle()
    async with shop.database.transaction() as session:
        assert (await session.get_one(StarOrder, order.id)).state is OrderState.EXPIRED
    await shop.agree()


async def test_a_page_that_was_paid_before_its_end_is_credited_and_given_back(shop: Shop) -> None:
    """No webhook came; Stripe refuses to close what is complete."""
    buyer = await shop.person()
    order = await shop.order(buyer)
    await shop.control("faults/webhooks", action="drop", count=50)
    await shop.pay(order["checkout_url"])
    await leaves(shop, buyer)
    await shop.work()
    await shop.control("faults/clear")
    assert (await order_in(shop, order)).state is OrderState.PAID
    assert (shop.refunds_of(order), await shop.wallet(buyer)) == (1, Holdings())
    await shop.agree()


async def order_in(shop: Shop, order: dict[str, Any]) -> StarOrder:
    async with shop.database.transaction() as session:
        return await session.get_one(StarOrder, UUID(order["id"]))


async def test_what_is_paid_after_leaving_goes_back(shop: Shop) -> None:
    """The page at Stripe was still open: nobody could spend it, or give it back."""
    buyer = await shop.person()
    order = await shop.order(buyer)
    assert (await closes(shop, buyer)).status_code == 204
    assert (await shop.pay(order["checkout_url"])).status_code == 303
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings()
    async with shop.database.transaction() as session:
        mine = sa.select(StarRefund).where(StarRefund.order_id == UUID(order["id"]))
        refund = (await session.scalars(mine)).one()
    assert (refund.state, refund.amount_minor) == (RefundState.SUCCEEDED, 699)
    await shop.agree()


async def test_what_is_paid_after_leaving_goes_back_though_the_wallet_is_frozen(shop: Shop) -> None:
    """A bank may take Stars of the payment that it disputes, and of no other."""
    buyer = await shop.person()
    disputed, order = await shop.bought(buyer), await shop.order(buyer)
    dispute = await shop.control("disputes", charge=shop.charge_of(disputed))
    await shop.settle()
    assert (await closes(shop, buyer, give_up=True)).status_code == 204
    await shop.pay(order["checkout_url"])
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings(stars=500, frozen=True)
    assert [shop.refunds_of(each) for each in (disputed, order)] == [0, 1]
    await shop.control("disputes/settle", dispute=dispute["id"], won=False)
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings()
    await shop.agree()


async def refused_by_the_bank(shop: Shop, buyer: Person) -> str:
    """What then waits for somebody."""
    await shop.settle()
    await shop.control("clock", advance_seconds=4 * 86_400)
    await shop.settle()
    assert await shop.wallet(buyer) == Holdings(stars=500)
    return (await refunds_set_aside(shop))[0]


async def refunds_set_aside(shop: Shop) -> list[str]:
    async with shop.database.transaction() as session:
        found = await waiting(session)
    return [each.object_id for each in found if each.reason == REFUND_UNPAID]


async def test_what_a_bank_refuses_after_leaving_waits_for_somebody(shop: Shop) -> None:
    """Who tries again is told again; what is paid by hand then stands in the books."""
    buyer = await shop.person()
    order = await shop.order(buyer)
    await closes(shop, buyer)
    await shop.pay(order["checkout_url"], REFUND_FAILS)
    told = await refused_by_the_bank(shop, buyer)
    async with shop.database.transaction() as session:
        await refund_again(session, told)
    assert await refused_by_the_bank(shop, buyer) != told
    bank = await shop.balance(AccountKind.BANK)
    async with shop.database.transaction() as session:
        made, _ = await refund_again(session, shop.charge_of(order), paid_by_hand=True)
        assert (made.state, made.amount_minor) == (RefundState.SUCCEEDED, 699)
        with pytest.raises(NothingUnused):
            await refund_again(session, order["id"])
        with pytest.raises(OrderUnknown):
            await refund_again(session, "ch_other")
    assert await shop.wallet(buyer) == Holdings()
    assert await shop.balance(AccountKind.BANK) == bank - 699
    assert await refunds_set_aside(shop) == []
    await shop.agree()


async def test_leaving_races_what_comes_in(shop: Shop) -> None:
    """A payment, and a tip: no Stars stay with somebody who has left, and the books hold."""
    for _ in range(3):
        buyer, creator, payer = [await shop.person() for _ in range(3)]
        await shop.bought(payer)
        order = await shop.order(buyer)
        await shop.pay(order["checkout_url"])
        left, *_ = await asyncio.gather(
            closes(shop, buyer), shop.settle(), leaves(shop, creator), shop.tip(payer, creator, 100)
        )
        await shop.settle()
        stays = left.status_code == 409
        assert await shop.wallet(buyer) == Holdings(stars=500 if stays else 0)
        assert stays or left.status_code == 204
    await shop.agree()


async def test_an_account_is_closed_by_its_owner(shop: Shop) -> None:
    """What would be lost is said first: unused Stars, and money that nobody could be paid."""
    payer, creator = await shop.person(), await shop.person()
    await shop.bought(payer)
    await shop.tip(payer, creator, 100)
    refused = [(await closes(shop, each)).json() for each in (payer, creator)]
    assert [each["code"] for each in refused] == ["something_left"] * 2
    assert [(each["stars"], each["unpaid_minor"]) for each in refused] == [(400, 0), (0, 100)]
    assert "give them back" in refused[0]["detail"]
    assert "1.00 USD can't be paid to you: finish your onboarding" in refused[1]["detail"]
    await shop.onboard(creator)
    left = await closes(shop, creator)
    assert (left.status_code, 'encore_session=""' in left.headers["set-cookie"]) == (204, True)
    assert (await closes(shop, creator)).status_code == 401
    assert (await closes(shop, payer, give_up=True)).status_code == 204
    await shop.control("clock", advance_seconds=15 * 86_400)
    await sweep(shop.cashier)
    await shop.settle()
    await close_left(shop.cashier)
    assert await gone(shop, creator)
    assert await shop.earnings(creator) == Earnings(0, 0, 0, 0, 100)
    await shop.agree()
