"""Tips of many people in one transaction: each is as if it were alone."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from core.batches import Batches
from core.db import Database, raw_connection
from core.errors import Conflict
from payouts import invariants
from payouts.ledger import Booked
from payouts.lot_disputes import open_dispute
from payouts.postings import Share
from payouts.spending import StarsMissing, Tip, WalletFrozen
from payouts.tip_jar import TipJar
from payouts.tip_models import RoomTip
from payouts.tip_wishes import Sent
from tests.payouts.booking import book_tips
from tests.payouts.killable_tips import wishes
from tests.payouts.tills import TERMS, Till, charge, committed_till
from tests.payouts.tipping import CAPS, Hall, make_hall
from tests.polling import eventually, is_waited_for


def tip_of(till: Till, stars: int, key: str = "", payer: UUID | None = None) -> Tip:
    shares = [Share(creator) for creator in till.creators[1:]]
    return Tip(payer or till.listener, key or f"tip:{uuid4()}", stars, shares)


async def together(till: Till, *tips: Tip) -> list[Booked | Conflict]:
    raw = await raw_connection(till.session)
    return await book_tips(raw, platform_id=till.platform_id, tips=tips, terms=TERMS)


async def sound(till: Till) -> None:
    found = await invariants.check(till.session, till.platform_id)
    assert [one for one in found if not one.holds] == []


async def test_one_that_is_refused_leaves_the_others_be(till: Till) -> None:
    await till.buy(100, 139, 0)
    poor = till.creators[0]
    outcomes = await together(
        till, tip_of(till, 60), tip_of(till, 41), tip_of(till, 5, payer=poor), tip_of(till, 40)
    )
    first, dear, penniless, last = outcomes
    assert isinstance(first, Booked)
    assert isinstance(last, Booked)
    assert isinstance(dear, StarsMissing)
    assert dear.extra == {"available": 40}
    assert isinstance(penniless, StarsMissing)
    assert penniless.extra == {"available": 0}
    assert await till.entries(last.transaction_id) == {
        "wallet": -40,
        "xst_issued": 40,
        "stars_liability": 56,
        "creator1": -20,
        "creator2": -20,
        "rev:fee": -16,
    }
    assert await till.wallet() == 0
    await sound(till)


async def test_one_wallet_several_times_is_as_one_tip_after_another(till: Till) -> None:
    """Across its lots, whose cash is released to the unit as if each tip came alone."""
    for cents in (10, 14, 99):
        await till.buy(7, cents, 0)
    outcomes = await together(till, *(tip_of(till, 3) for _ in range(7)))
    made = [each for each in outcomes if isinstance(each, Booked)]
    assert [each.new for each in made] == [True] * 7
    released = [(await till.entries(each.transaction_id))["stars_liability"] for each in made]
    assert released == [4, 4, 6, 6, 18, 42, 43]
    assert await till.wallet() == 0
    await sound(till)


async def test_a_key_twice_in_one_batch_is_booked_once(till: Till) -> None:
    await till.buy(100, 139, 0)
    [before] = await together(till, tip_of(till, 10, "tip:before"))
    first, again, old = await together(
        till,
        tip_of(till, 10, "tip:twice"),
        tip_of(till, 10, "tip:twice"),
        tip_of(till, 10, "tip:before"),
    )
    assert isinstance(first, Booked)
    assert isinstance(before, Booked)
    assert again == first._replace(new=False)
    assert old == before._replace(new=False)
    assert await till.wallet() == 80
    await sound(till)


async def test_a_frozen_wallet_is_frozen_for_it_alone(till: Till) -> None:
    await till.buy(100, 139, 0)
    frozen, till.listener = till.listener, till.creators[0]
    await till.buy(100, 139, 0)
    rich, till.listener = till.listener, frozen
    lot = await till.buy(10, 14, 0)
    await open_dispute(
        till.session,
        platform_id=till.platform_id,
        user_id=frozen,
        lot_id=lot,
        stripe_dispute="dp_1",
        line=charge(-14, 1500, kind="adjustment"),
    )
    refused, booked = await together(till, tip_of(till, 1), tip_of(till, 1, payer=rich))
    assert isinstance(refused, WalletFrozen)
    assert isinstance(booked, Booked)
    await sound(till)


async def test_batches_of_several_processes_spend_each_star_once(database: Database) -> None:
    """Two sets of batches at once, with the same keys and the same wallets in other orders."""
    till = await committed_till(database, creators=4)
    payers = [till.listener, *till.creators[:2]]
    async with database.transaction() as session:
        till.session = session
        for payer in payers:
            till.listener = payer
            await till.buy(50, 70, 0)

    async def work(tips: Sequence[Tip]) -> Sequence[Booked | Exception]:
        async with database.raw_transaction() as raw:
            return await book_tips(raw, platform_id=till.platform_id, tips=tips, terms=TERMS)

    tips = [tip_of(till, 5, f"tip:{payer}:{n}", payer) for n in range(20) for payer in payers]
    sides = [Batches(work, at_once=2, most=16) for _ in range(2)]
    answers = await asyncio.gather(
        *(sides[0].ask(tip) for tip in tips),
        *(sides[1].ask(tip) for tip in reversed(tips)),
        return_exceptions=True,
    )
    said = Counter(
        each.new if isinstance(each, Booked) else type(each).__name__ for each in answers
    )
    assert said[True] == 30
    assert said[True] + said[False] + said["StarsMissing"] == 120
    async with database.transaction() as session:
        till.session = session
        for payer in payers:
            till.listener = payer
            assert await till.wallet() == 0
        await sound(till)


async def test_a_wallet_that_changes_while_its_tip_is_decided(database: Database) -> None:
    """The tip waits for who writes to the wallet, and is then decided anew."""
    async with database.transaction() as session:
        hall = await make_hall(session)
        fan = (await hall.fan(100)).user_id
    assert fan is not None
    jar = TipJar(database, TERMS, CAPS)
    wish, *_ = wishes(hall.room, [fan], "waiting")
    dear = replace(wish, wish=replace(wish.wish, stars=60))
    async with database.raw_transaction() as raw:
        other = Tip(fan, "tip:other", 60, [Share(hall.room.host_id)])
        await book_tips(raw, platform_id=hall.room.platform_id, tips=[other], terms=TERMS)
        both = [asyncio.create_task(jar.send(one)) for one in (dear, wish)]
        await eventually(partial(is_waited_for, raw))
    refused, tip = await asyncio.gather(*both, return_exceptions=True)
    assert isinstance(refused, StarsMissing)
    assert refused.extra == {"available": 40}
    assert isinstance(tip, Sent)
    async with database.transaction() as session:
        assert await hall.on(session).broken() == []


@pytest.mark.slow
async def test_a_batch_that_dies_before_its_commit_has_moved_nothing(database: Database) -> None:
    """Nobody was answered, so everybody asks again: for what was committed and what was not."""
    async with database.transaction() as session:
        hall = await make_hall(session)
        fans = [(await hall.fan(100)).user_id for _ in range(3)]
    payers = [fan for fan in fans if fan is not None]
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.payouts.killable_tips", database.url, str(hall.room.id)),
        *map(str, payers),
    )
    assert await killed.wait() == -signal.SIGKILL
    before = await tips_in(database, hall)
    assert len(before) == 3
    jar = TipJar(database, TERMS, CAPS)
    asked = [one for batch in ("first", "second") for one in wishes(hall.room, payers, batch)]
    tips = await asyncio.gather(*map(jar.send, asked))
    assert {tip.id for tip in tips[:3]} == before
    assert await tips_in(database, hall) == {tip.id for tip in tips}
    async with database.transaction() as session:
        assert await hall.on(session).earned(hall.host) == [60]
        assert await hall.on(session).broken() == []


async def tips_in(database: Database, hall: Hall) -> set[UUID]:
    async with database.transaction() as session:
        return set(
            await session.scalars(sa.select(RoomTip.id).where(RoomTip.room_id == hall.room.id))
        )
