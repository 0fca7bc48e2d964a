"""The database guards the books: whoever writes, and whatever they write."""

import asyncio
import contextlib
from collections import Counter
from uuid import UUID

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.db import Database
from core.ids import uuid7
from payouts import invariants, ledger, postings
from payouts.accounts import AccountKind
from payouts.ledger import Booked
from payouts.lot_returns import NothingUnused, request_return
from payouts.models import Creator, EventKind, LedgerAccount
from payouts.postings import ISSUED, Books, Posting, Share, entries_of, wallet
from payouts.spending import StarsMissing
from tests.payouts.tills import TERMS, Till, charge, committed_till

BOOKS = Books(TERMS.currency)


async def test_a_purchase_and_a_tip_as_in_the_example(till: Till) -> None:
    bought = await till.buy(500, 699, 50)
    assert await till.entries(bought) == {
        "stripe": 649,
        "exp:stripe": 50,
        "stars_liability": -699,
        "wallet": 500,
        "xst_issued": -500,
    }
    tipped = await till.tip(100)
    assert await till.entries(tipped.transaction_id) == {
        "wallet": -100,
        "xst_issued": 100,
        "stars_liability": 139,
        "creator": -100,
        "rev:fee": -39,
    }
    assert await till.wallet() == 400


async def test_a_key_is_booked_once(till: Till) -> None:
    await till.buy(100, 139, 0)
    first = await till.tip(100, key="tip:once")
    assert first == Booked(first.transaction_id, new=True)
    assert await till.tip(100, key="tip:once") == Booked(first.transaction_id, new=False)
    assert await till.wallet() == 0


async def test_who_earns_becomes_a_creator(till: Till) -> None:
    await till.buy()
    await till.tip(10, [Share(till.creators[0]), Share(till.creators[1])])
    found = await till.session.scalars(
        sa.select(Creator.user_id).where(Creator.platform_id == till.platform_id)
    )
    assert set(found) == set(till.creators[:2])


async def test_a_tip_is_shared_to_the_unit(till: Till) -> None:
    await till.buy()
    tipped = await till.tip(100, [Share(creator) for creator in till.creators])
    entries = await till.entries(tipped.transaction_id)
    assert sorted(entries[f"creator{n or ''}"] for n in range(3)) == [-34, -33, -33]


async def test_promotional_stars_are_our_expense(till: Till) -> None:
    await till.grant(60)
    await till.buy(500, 699, 50)
    tipped = await till.tip(100)
    assert await till.entries(tipped.transaction_id) == {
        "wallet": -100,
        "xst_issued": 100,
        "stars_liability": 55,
        "exp:promo": 60,
        "creator": -100,
        "rev:fee": -15,
    }


async def test_there_must_be_enough(till: Till) -> None:
    await till.buy(50, 70, 0)
    with pytest.raises(StarsMissing) as missing:
        await till.tip(51)
    assert missing.value.extra == {"available": 50}
    assert await till.wallet() == 50


@pytest.mark.parametrize("amounts", [(5, -4), (5,)])
async def test_what_does_not_sum_to_zero_is_refused(till: Till, amounts: tuple[int, ...]) -> None:
    accounts = [BOOKS.of(AccountKind.STRIPE), BOOKS.of(AccountKind.BANK)]
    posting = Posting(EventKind.PURCHASE, "k", entries_of(zip(accounts, amounts, strict=False)))
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="sum to zero"):
        await ledger.book(till.session, till.platform_id, posting)


async def test_currencies_do_not_balance_each_other(till: Till) -> None:
    entries = entries_of([(BOOKS.of(AccountKind.STRIPE), 5), (ISSUED, -5)])
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="sum to zero"):
        await ledger.book(till.session, till.platform_id, Posting(EventKind.TIP, "k", entries))


async def test_an_owner_is_kept_as_it_is_written(till: Till) -> None:
    """Names of accounts go to PostgreSQL as the text of an array."""
    books, owner = Books("USD"), 'acct_"a\\b", {null},\'ü'
    amounts = [(books.of(AccountKind.CONNECTED, owner), 5), (books.of(AccountKind.BANK), -5)]
    posting = Posting(EventKind.PAYOUT_PAID, "payout", entries_of(amounts))
    made = await ledger.book(till.session, till.platform_id, posting)
    entries = await ledger.entries_of(till.session, made.transaction_id)
    assert sorted(entries) == sorted(posting.entries)


async def test_a_wallet_has_a_floor(till: Till) -> None:
    posting = Posting(EventKind.TIP, "k", entries_of([(wallet(till.listener), -1), (ISSUED, 1)]))
    with pytest.raises(asyncpg.CheckViolationError):
        await ledger.book(till.session, till.platform_id, posting)


async def test_nothing_is_owed_by_a_hold(till: Till) -> None:
    hold = BOOKS.of(AccountKind.CREATOR_HOLD, till.creators[0])
    entries = entries_of([(hold, 1), (BOOKS.of(AccountKind.BANK), -1)])
    with pytest.raises(asyncpg.CheckViolationError):
        await ledger.book(till.session, till.platform_id, Posting(EventKind.TIP, "k", entries))


@pytest.mark.parametrize("table", ["ledger_transaction", "ledger_entry", "star_allocation"])
@pytest.mark.parametrize("change", ["delete from {}", "update {} set at = now()", "truncate {}"])
async def test_the_books_are_append_only(till: Till, table: str, change: str) -> None:
    await till.buy()
    await till.tip(1)
    statement = change.format(table)
    if table == "star_allocation":
        statement = statement.replace("at = now()", "stars = 1")
    if statement.startswith("truncate"):
        statement += " cascade"
    with pytest.raises(IntegrityError, match="append-only"):
        await till.session.execute(sa.text(statement))


async def test_entries_belong_to_their_account_and_transaction(till: Till) -> None:
    bought = await till.buy()
    wallet_id = await till.session.scalar(
        sa.select(LedgerAccount.id).where(
            LedgerAccount.platform_id == till.platform_id,
            LedgerAccount.kind == AccountKind.WALLET,
        )
    )
    insert = sa.text(
        "insert into ledger_entry (account_id, transaction_id, at, amount, currency) "
        "select :a, :t, now(), n, :c from unnest(array[1, -1]) n"
    )
    for account, transaction, currency in (
        (wallet_id, bought, "USD"),
        (wallet_id, uuid7(), "XST"),
        (0, bought, "XST"),
    ):
        with pytest.raises(IntegrityError, match="an entry is not of"):
            async with till.session.begin_nested():
                await till.session.execute(insert, {"a": account, "t": transaction, "c": currency})


async def test_entries_come_with_their_transaction(database: Database) -> None:
    """Also a balanced pair is refused later, in a savepoint too: what was booked is what it was."""
    till = await committed_till(database)
    async with database.transaction() as session:
        till.session = session
        async with session.begin_nested():
            first = await till.buy()
    pair = sa.text(
        "insert into ledger_entry (account_id, transaction_id, at, amount, currency) "
        "select e.account_id, e.transaction_id, e.at, n, e.currency "
        "from (select * from ledger_entry where transaction_id = :id limit 1) e, "
        "unnest(array[1, -1]) n"
    )
    async with database.transaction() as session:
        till.session = session
        async with session.begin_nested():
            second = await till.buy()
            await session.execute(pair, {"id": second})
        for _ in range(2):
            with pytest.raises(IntegrityError, match="comes after it"):
                async with session.begin_nested():
                    await session.execute(pair, {"id": first})


async def test_one_posting_for_each_balance_transaction(till: Till) -> None:
    paid = charge()
    for key in ("purchase:1", "purchase:2"):
        posting = postings.purchase(
            key=key, user_id=till.listener, stars=1, tax_minor=0, charge=paid
        )
        if key == "purchase:1":
            await ledger.book(till.session, till.platform_id, posting)
            continue
        with pytest.raises(asyncpg.UniqueViolationError):
            await ledger.book(till.session, till.platform_id, posting)


async def test_the_last_stars_are_spent_once(database: Database) -> None:
    """Forty tips and ten repeats at once, on 16 connections, for Stars that do for twenty."""
    till = await committed_till(database)
    async with database.transaction() as session:
        till.session = session
        await till.buy(100, 139, 0)

    async def tip(key: str) -> str:
        async with database.transaction() as session:
            mine = Till(session, till.platform_id, till.listener, till.creators)
            try:
                return "new" if (await mine.tip(5, key=key)).new else "repeat"
            except StarsMissing:
                return "missing"

    keys = [f"tip:{n}" for n in range(40)]
    said = Counter(await asyncio.gather(*(tip(key) for key in (*keys, *keys[:10]))))
    assert said["new"] == 20
    assert said["repeat"] + said["missing"] == 30
    async with database.transaction() as session:
        till.session = session
        assert await till.wallet() == 0
        assert await till.balances() == {
            "stripe": 139,
            "creator": -100,
            "rev:fee": -39,
        }


async def test_a_key_that_two_book_at_once_is_booked_once(database: Database) -> None:
    till = await committed_till(database)
    paid = charge()

    async def book() -> tuple[UUID, bool]:
        async with database.transaction() as session:
            posting = postings.purchase(
                key="purchase:same", user_id=till.listener, stars=9, tax_minor=0, charge=paid
            )
            booked = await ledger.book(session, till.platform_id, posting)
            return booked.transaction_id, booked.new

    answers = await asyncio.gather(*(book() for _ in range(6)))
    assert sorted(new for _, new in answers) == [False] * 5 + [True]
    assert len({transaction_id for transaction_id, _ in answers}) == 1


async def test_a_tip_and_a_refund_race_for_the_same_stars(database: Database) -> None:
    """One of them gets all of them, every time."""
    for _ in range(5):
        till = await committed_till(database)
        async with database.transaction() as session:
            till.session = session
            lot = await till.buy(100, 139, 0)

        async def tip(till: Till = till) -> bool:
            async with database.transaction() as session:
                mine = Till(session, till.platform_id, till.listener, till.creators)
                with contextlib.suppress(StarsMissing):
                    return (await mine.tip(100)).new
            return False

        async def refund(till: Till = till, lot: UUID = lot) -> bool:
            async with database.transaction() as session:
                with contextlib.suppress(NothingUnused):
                    made = await request_return(
                        session, platform_id=till.platform_id, user_id=till.listener, lot_id=lot
                    )
                    return made.stars == 100
            return False

        assert sorted(await asyncio.gather(tip(), refund())) == [False, True]
        async with database.transaction() as session:
            found = await invariants.check(session, till.platform_id)
            assert [one for one in found if not one.holds] == []
