"""Each invariant holds after every event, and says what breaks it once something does."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from payouts import alerts, invariants, ledger
from payouts.accounts import AccountKind
from payouts.balance_transactions import record_line
from payouts.lot_disputes import open_dispute
from payouts.lot_returns import request_return
from payouts.models import EventKind, LedgerAccount, StarLot
from payouts.postings import Books, Posting, Share, entries_of
from payouts.stripe_facts import TransferIntent
from payouts.transfers import intend_transfer, transfer_confirmed
from tests.payouts.tills import TERMS, Till, charge

BOOKS = Books(TERMS.currency)
MATURED = datetime.now(UTC) + timedelta(days=15)


async def broken(till: Till) -> dict[int, tuple[str, ...]]:
    found = await invariants.check(till.session, till.platform_id, now=MATURED)
    return {one.number: one.breaks for one in found if not one.holds}


@pytest.fixture
async def till(till: Till) -> Till:
    """500 Stars bought, 10 granted, 110 tipped."""
    await till.buy()
    await till.grant(10)
    await till.tip(110, [Share(creator) for creator in till.creators])
    return till


async def intended(till: Till) -> TransferIntent:
    made = await intend_transfer(
        till.session,
        platform_id=till.platform_id,
        creator_id=till.creators[0],
        destination="acct_1",
        currency=TERMS.currency,
        now=MATURED,
    )
    assert made is not None
    return made


async def test_they_hold(till: Till) -> None:
    found = await invariants.check(till.session, till.platform_id)
    assert [one.number for one in found] == list(range(1, 12))
    assert await broken(till) == {}
    await intended(till)
    assert await broken(till) == {}


@pytest.mark.parametrize(
    ("statement", "numbers", "says"),
    [
        ("alter table ledger_entry disable trigger append_only", {10}, "append_only of"),
        ("alter table ledger_entry disable trigger check_entries", {10}, "check_entries of"),
        (
            "update star_lot set gone = gone + 1 where cash_minor > 0 and gone < stars",
            {4, 5},
            "owed",
        ),
        ("update star_lot set gone = 5 where promotional", {4, 5}, "5 gone"),
        ("update ledger_account set open_disputes = 1 where kind = 'wallet'", {7}, "frozen by 1"),
        ("update ledger_account set balance = balance + 1 where kind = 'wallet'", {2, 5}, "is 4"),
        ("update transfer_intent set amount_minor = amount_minor + 1", {7, 8}, "inflight 3"),
        ("delete from stripe_balance_transaction", {6}, "Stripe says nothing"),
        (
            "update stripe_balance_transaction set net_minor = 1, fee_minor = amount_minor - 1",
            {6},
            "posted 649, Stripe says 1",
        ),
        (
            "insert into ledger_checkpoint select account_id, max(id), 1 + sum(amount) "
            "from ledger_entry group by account_id "
            "on conflict (account_id) do update set balance = ledger_checkpoint.balance + 1",
            {2},
            "was",
        ),
    ],
)
async def test_what_breaks_is_said(
    till: Till, statement: str, numbers: set[int], says: str
) -> None:
    await intended(till)
    await till.session.execute(sa.text(statement))
    found = await broken(till)
    assert set(found) == numbers
    assert says in " ".join(text for breaks in found.values() for text in breaks)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("update lot_return set cash_minor = 1 where lot_id = :other", "refund_clearing 699 USD"),
        ("update lot_dispute set amount_minor = 1", "dispute_recv 699 USD"),
        ("update dispute_hold set amount_minor = 1", "creator_hold 110 USD"),
        ("update ledger_account set open_disputes = 0", "is frozen by 0"),
        ("update lot_dispute set state = 'won'", "is frozen by 1"),
    ],
)
async def test_what_is_under_way_is_open(till: Till, statement: str, says: str) -> None:
    """A refund, and a dispute of what was tipped."""
    mine = sa.and_(LedgerAccount.platform_id == till.platform_id, ~StarLot.promotional)
    lots = sa.select(StarLot.id).join(LedgerAccount, LedgerAccount.id == StarLot.wallet_id)
    lot_id, other = (await till.session.scalars(lots.where(mine))).one(), await till.buy()
    owner: dict[str, Any] = {"platform_id": till.platform_id, "user_id": till.listener}
    await request_return(till.session, lot_id=other, **owner)
    line = charge(-699, 1500, kind="adjustment")
    await open_dispute(till.session, lot_id=lot_id, stripe_dispute="dp_1", line=line, **owner)
    assert await broken(till) == {}
    await till.session.execute(
        sa.text(statement), {"other": other} if ":other" in statement else {}
    )
    found = await broken(till)
    assert 7 in found
    assert says in " ".join(found[7])


async def test_stars_that_two_lots_swap_are_found(till: Till) -> None:
    """Sums and balances stay as they are; only what was moved of each lot tells."""
    await till.buy()
    swap = "case when gone > 0 then -1 else 1 end"
    await till.session.execute(
        sa.text(f"update star_lot set gone = gone + {swap} where not promotional")
    )
    assert "gone, its movements say" in (await broken(till))[4][-1]


async def test_an_unbalanced_transaction_is_found(till: Till) -> None:
    """Should somebody switch the trigger off."""
    await till.session.execute(sa.text("alter table ledger_entry disable trigger check_entries"))
    entries = entries_of([(BOOKS.of(AccountKind.BANK), 7)])
    booked = await ledger.book(
        till.session, till.platform_id, Posting(EventKind.TAX_PAID, "k", entries)
    )
    assert (await broken(till))[1] == (f"{booked.transaction_id} USD 7",)


async def test_a_line_of_stripes_is_posted_or_set_aside(till: Till) -> None:
    line = charge(42, 0)
    assert await record_line(till.session, till.platform_id, line)
    assert not await record_line(till.session, till.platform_id, line)
    assert (await broken(till))[11] == (f"{line.id} charge : 42 USD",)
    for _ in range(2):
        await alerts.set_aside(till.session, "foreign", line.id, platform_id=till.platform_id)
    assert await broken(till) == {}
    assert [each.reason for each in await alerts.waiting(till.session, till.platform_id)] == [
        "foreign"
    ]


async def test_a_second_transfer_of_an_intent_is_found(till: Till) -> None:
    intent = await intended(till)
    lines = [charge(-intent.amount_minor, 0, kind="transfer", source=f"tr_{n}") for n in (1, 2)]
    await transfer_confirmed(
        till.session, intent_id=intent.id, stripe_transfer="tr_1", line=lines[0]
    )
    assert await broken(till) == {}
    await record_line(till.session, till.platform_id, lines[1], transfer_intent_id=intent.id)
    found = await broken(till)
    assert found[9] == (f"intent {intent.id}: tr_1 tr_2",)
    assert set(found) == {9, 11}


async def test_platforms_have_books_of_their_own(till: Till) -> None:
    await till.session.execute(
        sa.text("update star_lot set gone = gone + 1 where cash_minor > 0 and gone < stars")
    )
    assert await broken(till)
    other = await invariants.check(till.session, uuid4())
    assert all(one.holds for one in other)
