"""Lines of Stripe's that no sale is behind, in the books of a site with several platforms."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import Platform
from payouts import invariants
from payouts.accounts import AccountKind
from payouts.balance_transactions import book_platform_payout
from payouts.gateway_models import StripeBooks
from payouts.ledger import balance
from payouts.postings import BalanceTransaction, Books
from payouts.site_lines import book_site_fee, book_site_payout
from payouts.stripe_objects import balance_transaction
from tests.payouts.tills import TERMS, Till, charge, make_till


@pytest.fixture
async def tills(session: AsyncSession) -> list[Till]:
    """The site's, and two platforms': 6.49 and 12.98 at Stripe."""
    row = {"id": 1, "livemode": False, "currency": TERMS.currency}
    await session.execute(insert(StripeBooks).values(row).on_conflict_do_nothing())
    await _take_from_others(session)
    site, one, two = [await make_till(session) for _ in range(3)]
    await one.buy()
    await two.buy()
    await two.buy()
    return [site, one, two]


async def _take_from_others(session: AsyncSession) -> None:
    """Of a payout everybody with something at Stripe has a part, whom other tests left too."""
    account = Books(TERMS.currency).of(AccountKind.STRIPE)
    for platform_id in await session.scalars(sa.select(Platform.id)):
        if (has := await balance(session, platform_id, account)) > 0:
            earlier = charge(-has, kind="payout")
            await book_platform_payout(session, platform_id=platform_id, line=earlier)


async def at_stripe(tills: list[Till]) -> list[tuple[int, int]]:
    """Of each: what is at Stripe, and in the bank."""
    found = [await till.balances() for till in tills]
    return [(each.get("stripe", 0), each.get("bank", 0)) for each in found]


async def sound(tills: list[Till]) -> None:
    for till in tills:
        assert all(each.holds for each in await invariants.check(till.session, till.platform_id))


def line(amount: int, fee: int = 0, kind: str = "payout") -> BalanceTransaction:
    return charge(amount, fee, kind=kind, source="po_1")


async def test_a_payout_takes_of_each_what_is_its_own(tills: list[Till]) -> None:
    site = tills[0]
    paid = line(-1000, 7)
    for _ in range(2):
        await book_site_payout(site.session, site=site.platform_id, line=paid)
    assert await at_stripe(tills) == [(-7, 0), (649 - 333, 333), (1298 - 667, 667)]
    back = line(1000, kind="payout_failure")
    await book_site_payout(site.session, site=site.platform_id, line=back)
    assert await at_stripe(tills) == [(-7, 0), (649, 0), (1298, 0)]
    await sound(tills)


async def test_what_is_topped_up_is_the_sites(tills: list[Till]) -> None:
    site = tills[0]
    await book_site_payout(site.session, site=site.platform_id, line=line(500, kind="topup"))
    assert await at_stripe(tills) == [(500, -500), (649, 0), (1298, 0)]
    await sound(tills)


async def test_what_connect_costs_is_told_by_its_words(tills: list[Till]) -> None:
    site = tills[0]
    told = {
        "id": "txn_fee_1",
        "type": "stripe_fee",
        "amount": -200,
        "fee": 0,
        "currency": "usd",
        "created": 1_790_000_000,
        "reporting_category": "fee",
        "description": "Connect (2026-11-01 - 2026-11-30): Active Account Billing",
    }
    connect = balance_transaction(told)
    other = balance_transaction(told | {"id": "txn_fee_2", "description": "Radar (2026-11-01)"})
    for each in (connect, other, replace(other, id="txn_fee_3", amount_minor=-1)):
        await book_site_fee(site.session, site=site.platform_id, line=each)
    balances = await site.balances()
    assert (balances["exp:connect"], balances["exp:stripe"], balances["stripe"]) == (200, 201, -401)
    await sound(tills)
