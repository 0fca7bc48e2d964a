"""Faults between somebody's Stars and who gets them, by the numbers of the design."""

import asyncio
from uuid import uuid4

from payouts.lot_returns import NothingUnused
from payouts.spending import StarsMissing
from payouts.wallets import Holdings
from tests.payouts.shop import Shop


async def test_fault_11_tips_race_for_the_last_stars(shop: Shop) -> None:
    payer, creator = await shop.person(), await shop.person()
    await shop.bought(payer)
    tips = [shop.tip(payer, creator, 150) for _ in range(6)]
    said = await asyncio.gather(*tips, return_exceptions=True)
    assert [type(each) for each in said if each is not None] == [StarsMissing] * 3
    assert await shop.wallet(payer) == Holdings(stars=50)
    assert (await shop.earnings(creator)).pending_minor == 450
    await shop.agree()


async def test_fault_12_a_tip_is_sent_again_with_its_key(shop: Shop) -> None:
    payer, creator = await shop.person(), await shop.person()
    await shop.bought(payer)
    key = f"tip:{uuid4()}"
    await asyncio.gather(*(shop.tip(payer, creator, 400, key=key) for _ in range(5)))
    await shop.tip(payer, creator, 400, key=key)
    assert await shop.wallet(payer) == Holdings(stars=100)
    assert (await shop.earnings(creator)).pending_minor == 400
    await shop.agree()


async def test_fault_13_a_tip_races_a_refund_of_the_same_stars(shop: Shop) -> None:
    creator, refunded = await shop.person(), 0
    for first in (True, False):
        payer = await shop.person()
        order = await shop.bought(payer)
        calls = [shop.tip(payer, creator, 500), shop.give_back(payer, order)]
        said = await asyncio.gather(*(calls if first else calls[::-1]), return_exceptions=True)
        failed = [each for each in said if isinstance(each, Exception)]
        assert len(failed) == 1
        assert isinstance(failed[0], StarsMissing | NothingUnused | AssertionError)
        refunded += isinstance(failed[0], StarsMissing)
        await shop.settle()
        assert await shop.wallet(payer) == Holdings()
    assert (await shop.earnings(creator)).pending_minor == 500 * (2 - refunded)
    await shop.agree()
