"""The worked example of the books, event by event, with its numbers: 500 Stars for 6.99."""

from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from payouts import ledger, lot_disputes, lot_returns, payout_postings, transfers
from payouts.balance_transactions import (
    book_connect_fee,
    book_platform_payout,
    book_stripe_fee,
)
from payouts.claim_models import DisputeHold, LotReturn
from payouts.creators import creator_left, earnings
from payouts.lot_returns import NothingUnused, ReturnSettled
from payouts.models import Creator, EventKind, LedgerTransaction
from payouts.postings import Share
from payouts.spending import WalletFrozen
from payouts.stripe_facts import TransferIntent
from payouts.transfers import IntentSettled
from tests.payouts.tills import TERMS, Till, charge

LATER = timedelta(days=15)
BOUGHT = {"stripe": 649, "exp:stripe": 50, "stars_liability": -699, "wallet": 500}
SPENT = {"stars_liability": -560, "creator": -100, "rev:fee": -39, "wallet": 400}


@pytest.fixture
async def lot(till: Till) -> UUID:
    """500 Stars for 6.99, of which 100 were tipped."""
    bought = await till.buy(500, 699, 50)
    await till.tip(100)
    assert await till.balances() == BOUGHT | SPENT | {"xst_issued": -400}
    return bought


async def entries(till: Till, kind: EventKind) -> dict[str, int]:
    """Of the newest transaction of the kind."""
    found = await till.session.scalar(
        sa.select(LedgerTransaction.id)
        .where(LedgerTransaction.platform_id == till.platform_id, LedgerTransaction.kind == kind)
        .order_by(LedgerTransaction.id.desc())
    )
    assert found is not None
    return await till.entries(found)


async def refund(till: Till, lot: UUID) -> LotReturn:
    return await lot_returns.request_return(
        till.session, platform_id=till.platform_id, user_id=till.listener, lot_id=lot
    )


async def test_a_refund_of_what_is_unused(till: Till, lot: UUID) -> None:
    made = await refund(till, lot)
    assert (made.stars, made.cash_minor, made.tax_minor) == (400, 560, 0)
    assert await entries(till, EventKind.REFUND_REQUESTED) == {
        "wallet": -400, "wallet_hold": 400, "stars_liability": 560, "refund_clearing": -560,
    }  # fmt: skip
    line = charge(-560, 0, kind="refund")
    for _ in range(2):
        await lot_returns.return_succeeded(till.session, return_id=made.id, line=line)
    assert await entries(till, EventKind.REFUND_SUCCEEDED) == {
        "refund_clearing": 560, "stripe": -560, "wallet_hold": -400, "xst_issued": 400,
    }  # fmt: skip
    with pytest.raises(NothingUnused):
        await refund(till, lot)
    back = charge(560, 0, kind="refund_failure")
    for _ in range(2):
        await lot_returns.return_failed(till.session, return_id=made.id, line=back)
    assert await till.balances() == BOUGHT | SPENT | {"xst_issued": -400}
    assert (await till.tip(400)).new


async def test_a_refund_that_fails_at_once(till: Till, lot: UUID) -> None:
    made = await refund(till, lot)
    await lot_returns.return_failed(till.session, return_id=made.id)
    assert await till.balances() == BOUGHT | SPENT | {"xst_issued": -400}
    with pytest.raises(ReturnSettled):
        await lot_returns.return_succeeded(
            till.session, return_id=made.id, line=charge(-560, 0, kind="refund")
        )


async def opened(
    till: Till, lot: UUID, amount: int = 699, *, after: timedelta = timedelta()
) -> str:
    name = f"dp_{uuid4().hex}"
    line = charge(-amount, 1500, kind="adjustment", at=datetime.now(UTC) + after)
    for _ in range(2):
        await lot_disputes.open_dispute(
            till.session,
            platform_id=till.platform_id,
            user_id=till.listener,
            lot_id=lot,
            stripe_dispute=name,
            line=line,
            at=line.at,
        )
    return name


async def lost(till: Till, name: str) -> dict[str, int]:
    for _ in range(2):
        await lot_disputes.dispute_lost(
            till.session, platform_id=till.platform_id, stripe_dispute=name
        )
    return await entries(till, EventKind.DISPUTE_LOST)


async def test_a_dispute_that_is_lost(till: Till, lot: UUID) -> None:
    name = await opened(till, lot)
    assert await entries(till, EventKind.DISPUTE_OPENED) == {
        "dispute_recv": 699, "exp:dispute": 1500, "stripe": -2199,
        "creator": 100, "creator_hold": -100,
    }  # fmt: skip
    with pytest.raises(WalletFrozen):
        await till.tip(1)
    with pytest.raises(WalletFrozen):
        await refund(till, lot)
    assert await lost(till, name) == {
        "wallet": -400, "xst_issued": 400, "stars_liability": 560,
        "creator_hold": 100, "rev:fee": 39, "dispute_recv": -699,
    }  # fmt: skip
    assert await till.balances() == {"stripe": -1550, "exp:stripe": 50, "exp:dispute": 1500}
    with pytest.raises(lot_disputes.DisputeClosed):
        await won(till, name)


async def won(till: Till, name: str) -> None:
    line = charge(699, 0, kind="adjustment")
    for _ in range(2):
        await lot_disputes.dispute_won(
            till.session, platform_id=till.platform_id, stripe_dispute=name, line=line
        )


async def test_a_dispute_that_is_won(till: Till, lot: UUID) -> None:
    await won(till, await opened(till, lot))
    assert await entries(till, EventKind.DISPUTE_WON) == {
        "stripe": 699, "dispute_recv": -699, "creator": -100, "creator_hold": 100,
    }  # fmt: skip
    assert (await till.tip(400)).new


async def test_a_dispute_after_maturity_is_our_loss(till: Till, lot: UUID) -> None:
    name = await opened(till, lot, after=LATER)
    assert "creator_hold" not in await entries(till, EventKind.DISPUTE_OPENED)
    assert await lost(till, name) == {
        "wallet": -400, "xst_issued": 400, "stars_liability": 560,
        "exp:loss": 100, "rev:fee": 39, "dispute_recv": -699,
    }  # fmt: skip


async def test_a_partial_dispute_takes_unspent_stars_first(till: Till, lot: UUID) -> None:
    name = await opened(till, lot, 300)
    held = sa.select(sa.func.count()).where(DisputeHold.creator_id.in_(till.creators))
    assert await till.session.scalar(held) == 0
    # 214 Stars released 299 of the 300: the rest is less than a Star, and ours.
    assert await lost(till, name) == {
        "wallet": -214, "xst_issued": 214, "stars_liability": 299,
        "exp:loss": 1, "dispute_recv": -300,
    }  # fmt: skip
    assert (await till.tip(186)).new


async def test_a_partial_dispute_takes_of_the_newest_tip(till: Till, lot: UUID) -> None:
    await till.tip(400, [Share(till.creators[1]), Share(till.creators[2], 3)])
    name = await opened(till, lot, 56)
    assert await lost(till, name) == {
        "creator_hold1": 10, "creator_hold2": 30, "rev:fee": 16, "dispute_recv": -56,
    }  # fmt: skip
    again = await opened(till, lot, 643)
    assert await lost(till, again) == {
        "creator_hold": 100, "creator_hold1": 90, "creator_hold2": 270, "rev:fee": 183,
        "dispute_recv": -643,
    }  # fmt: skip
    assert await till.balances() == {"stripe": -3050, "exp:stripe": 50, "exp:dispute": 3000}


async def intended(till: Till, *, now: datetime | None = None) -> TransferIntent | None:
    return await transfers.intend_transfer(
        till.session,
        platform_id=till.platform_id,
        creator_id=till.creators[0],
        destination="acct_1",
        currency=TERMS.currency,
        now=now or datetime.now(UTC) + LATER,
    )


async def matured(till: Till) -> int:
    return (
        await earnings(
            till.session,
            platform_id=till.platform_id,
            creator_id=till.creators[0],
            currency=TERMS.currency,
            now=datetime.now(UTC) + LATER,
        )
    ).matured_minor


async def test_a_transfer_and_its_payout(till: Till, lot: UUID) -> None:
    assert await intended(till, now=datetime.now(UTC)) is None
    intent = await intended(till)
    assert intent is not None
    assert await intended(till) is None
    assert await entries(till, EventKind.TRANSFER_INTENT) == {
        "creator": 100, "transfer_inflight": -100,
    }  # fmt: skip
    line = charge(-100, 0, kind="transfer")
    for _ in range(2):
        await transfers.transfer_confirmed(
            till.session, intent_id=intent.id, stripe_transfer="tr_1", line=line
        )
    assert await entries(till, EventKind.TRANSFER_CONFIRMED) == {
        "transfer_inflight": 100, "stripe": -100,
        "connected:acct_1": 100, "connected_contra:acct_1": -100,
    }  # fmt: skip
    with pytest.raises(IntentSettled):
        await transfers.transfer_refused(till.session, intent_id=intent.id, error_code="x")
    paid, failed = (
        partial(
            book,
            till.session,
            platform_id=till.platform_id,
            creator_id=till.creators[0],
            payout="po_1",
            account="acct_1",
            amount_minor=60,
            currency=TERMS.currency,
        )
        for book in (transfers.payout_paid, transfers.payout_failed)
    )
    assert await paid() != await paid()
    assert await entries(till, EventKind.PAYOUT_PAID) == {
        "connected:acct_1": -60, "connected_contra:acct_1": 60,
        "creator_bank:acct_1": 60, "creator_bank_contra:acct_1": -60,
    }  # fmt: skip
    await failed()
    row = await till.session.get_one(Creator, (till.platform_id, till.creators[0]))
    assert row.payouts_failed_at is not None
    await paid()
    assert "creator_bank:acct_1" not in await till.balances()
    back = charge(40, 0, kind="transfer_refund")
    for _ in range(2):
        await transfers.transfer_reversed(
            till.session, intent_id=intent.id, reversal="trr_1", line=back
        )
    assert await entries(till, EventKind.TRANSFER_REVERSED) == {
        "stripe": 40, "creator": -40, "connected:acct_1": -40, "connected_contra:acct_1": 40,
    }  # fmt: skip
    assert intent.reversed_minor == 40
    assert await matured(till) == 40


async def test_a_transfer_that_is_refused(till: Till, lot: UUID) -> None:
    intent = await intended(till)
    assert intent is not None
    assert await matured(till) == 0
    for _ in range(2):
        await transfers.transfer_refused(till.session, intent_id=intent.id, error_code="closed")
    assert await till.balances() == BOUGHT | SPENT | {"xst_issued": -400}
    assert await matured(till) == 100


async def test_what_stripe_and_the_tax_office_take(till: Till) -> None:
    await till.buy(500, 699, 50, tax=111)
    for book, line in (
        (book_platform_payout, charge(-300, 0, kind="payout")),
        (book_connect_fee, charge(-20, 0, kind="stripe_fee")),
        (book_stripe_fee, charge(0, 7, kind="stripe_fee")),
    ):
        assert (await book(till.session, platform_id=till.platform_id, line=line)).new
        assert not (await book(till.session, platform_id=till.platform_id, line=line)).new
    paid = payout_postings.tax_paid(key="2026-Q4", amount_minor=111, currency="USD")
    await ledger.book(till.session, till.platform_id, paid)
    assert await till.balances() == {
        "stripe": 322, "bank": 189, "exp:stripe": 57, "exp:connect": 20,
        "stars_liability": -588, "wallet": 500, "xst_issued": -500,
    }  # fmt: skip


async def test_tax_and_exchange_come_back_with_a_refund(till: Till) -> None:
    lot = await till.buy(500, 699, 50, tax=111, charged_in="EUR")
    await till.tip(100)
    made = await refund(till, lot)
    assert (made.cash_minor, made.tax_minor) == (471, 89)
    await lot_returns.return_succeeded(
        till.session, return_id=made.id, line=charge(-565, 0, kind="refund")
    )
    balances = await till.balances()
    assert (balances["tax_payable"], balances["fx:EUR"], balances["stripe"]) == (-22, 5, 84)
    assert "refund_clearing" not in balances


async def test_what_is_owed_to_somebody_who_left_is_no_income(till: Till, lot: UUID) -> None:
    for _ in range(2):
        await creator_left(
            till.session,
            platform_id=till.platform_id,
            creator_id=till.creators[0],
            currency=TERMS.currency,
        )
    assert await entries(till, EventKind.CREATOR_DELETED) == {"creator": 100, "unclaimed": -100}
    name = await opened(till, lot)
    assert (await lost(till, name))["exp:loss"] == 100
