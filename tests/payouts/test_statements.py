"""A month adds up, and is the same from entries alone."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from payouts import lot_disputes
from payouts.amounts import decimal
from payouts.claim_models import LotDispute
from payouts.creators import earnings
from payouts.earned import Earner, earned_by_minute
from payouts.models import EventKind, LedgerTransaction
from payouts.postings import Pin
from payouts.statements import NoMonth, Statement, as_csv, month_bounds, statement
from payouts.stripe_facts import TransferIntent
from payouts.transfers import intend_transfer, transfer_confirmed, transfer_reversed
from tests.payouts.tills import TERMS, Till, charge


@pytest.fixture
async def busy(till: Till) -> Till:
    """The first creator earned 300, of which 100 are disputed and 200 were transferred."""
    await till.buy(200, 250, 30)
    lot = await till.buy(500, 699, 50)
    await till.tip(200)
    await till.tip(100)
    await lot_disputes.open_dispute(
        till.session, platform_id=till.platform_id, user_id=till.listener, lot_id=lot,
        stripe_dispute=f"dp_{uuid4()}", line=charge(-699, 1500, kind="adjustment"),
    )  # fmt: skip
    intent = await intend_transfer(
        till.session, platform_id=till.platform_id, creator_id=till.creators[0],
        destination="acct_1", currency=TERMS.currency,
        now=datetime.now(UTC) + timedelta(days=15),
    )  # fmt: skip
    assert intent is not None
    assert intent.amount_minor == 200
    await transfer_confirmed(
        till.session, intent_id=intent.id, stripe_transfer=f"tr_{uuid4()}",
        line=charge(-200, 0, kind="transfer"),
    )  # fmt: skip
    return till


async def of(till: Till, month: str) -> Statement:
    return await statement(
        till.session, platform_id=till.platform_id, creator_id=till.creators[0],
        currency=TERMS.currency, month=month,
    )  # fmt: skip


def months() -> tuple[str, str]:
    """Of the tips, and of the transfer."""
    now = datetime.now(UTC)
    return f"{now:%Y-%m}", f"{now + timedelta(days=15):%Y-%m}"


async def test_months_follow_each_other(busy: Till) -> None:
    tipped, transferred = months()
    first, last = await of(busy, tipped), await of(busy, transferred)
    assert (first.opening_owed_minor, first.opening_held_minor) == (0, 0)
    by_kind = {line.kind: line for line in first.lines}
    assert (by_kind[EventKind.TIP].count, by_kind[EventKind.TIP].owed_minor) == (2, 300)
    hold = by_kind[EventKind.DISPUTE_OPENED]
    assert (hold.owed_minor, hold.held_minor) == (-100, 100)
    assert (last.closing_owed_minor, last.closing_held_minor) == (0, 100)
    if tipped != transferred:
        assert first.closing_owed_minor == last.opening_owed_minor == 200
    assert first.rooms == ((None, 300),)


async def test_a_statement_adds_up_for_anyone(busy: Till) -> None:
    found = await of(busy, months()[0])
    rows = list(csv.reader(io.StringIO(as_csv(found))))
    assert rows[0] == ["statement", "count", "owed_USD", "held_USD"]
    *parts, closing = [
        [round(float(cell) * 100) for cell in row[2:]]
        for row in rows[1:]
        if not row[0].startswith("of tips")
    ]
    assert [sum(column) for column in zip(*parts, strict=True)] == closing
    assert ["Tips", "2", "3.00", "0.00"] in rows


async def test_earnings_are_in_one_state_each(busy: Till) -> None:
    async def now(days: int) -> tuple[int, ...]:
        found = await earnings(
            busy.session, platform_id=busy.platform_id, creator_id=busy.creators[0],
            currency=TERMS.currency, now=datetime.now(UTC) + timedelta(days=days),
        )  # fmt: skip
        return (
            found.pending_minor, found.matured_minor, found.on_hold_minor,
            found.in_transfer_minor, found.transferred_minor,
        )  # fmt: skip

    assert await now(15) == (0, 0, 100, 0, 200)


async def test_tips_are_counted_by_minute(till: Till) -> None:
    await till.buy()
    room, other = uuid4(), uuid4()
    for room_ms, stars in ((59_999, 5), (60_000, 7), (61_000, 1), (0, 2)):
        await till.tip(stars, pin=Pin(room, room_ms))
    await till.tip(40, pin=Pin(other, 1))
    await till.tip(3)
    mine = Earner(till.platform_id, till.creators[0], TERMS.currency)
    minutes = await earned_by_minute(till.session, mine, room_id=room)
    assert [(m.minute, m.earned_minor, m.tips) for m in minutes] == [(0, 7, 2), (1, 8, 2)]


async def test_a_month_that_is_over_stays_as_it_was(busy: Till) -> None:
    """What Stripe did in it and we learn of later comes into the month in which we do."""
    tipped, _ = months()
    begin, end = month_bounds(tipped)
    before, later = await of(busy, tipped), end + timedelta(days=2)
    assert not before.final
    at = {"at": later}
    mine = {"platform_id": busy.platform_id}
    disputes = sa.select(LotDispute.stripe_dispute).filter_by(**mine)
    dispute = await busy.session.scalar(disputes)
    assert dispute is not None
    won, back = (
        replace(charge(amount, 0, at=end - timedelta(days=1)), kind=kind)
        for amount, kind in ((699, "adjustment"), (200, "transfer_refund"))
    )
    await lot_disputes.dispute_won(
        busy.session, platform_id=busy.platform_id, stripe_dispute=dispute, line=won, **at
    )
    intent_id = await busy.session.scalar(sa.select(TransferIntent.id).filter_by(**mine))
    assert intent_id is not None
    await transfer_reversed(
        busy.session, intent_id=intent_id, reversal=f"trr_{uuid4()}", line=back, **at
    )
    assert await of(busy, tipped) == before
    found = await of(busy, f"{later:%Y-%m}")
    moved = {line.kind: line.owed_minor for line in found.lines}
    assert (moved[EventKind.DISPUTE_WON], moved[EventKind.TRANSFER_REVERSED]) == (100, 200)
    told = sa.select(LedgerTransaction.facts["at_stripe"].astext).where(
        LedgerTransaction.at == later
    )
    assert set(await busy.session.scalars(told)) == {won.at.isoformat()}
    assert (await of(busy, f"{begin - timedelta(days=32):%Y-%m}")).final


@pytest.mark.parametrize("month", ["2026-13", "2026", "26-01", "0000-01", "2026-1", "٢٠٢٦-01"])
def test_what_is_no_month(month: str) -> None:
    with pytest.raises(NoMonth):
        month_bounds(month)


def test_months_end_where_the_next_begins() -> None:
    assert month_bounds("2026-12")[1] == month_bounds("2027-01")[0]


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (-1234, "USD", "-12.34"), (5, "EUR", "0.05"), (0, "USD", "0.00"), (1234, "JPY", "1234"),
        (1, "KWD", "0.001"), (-12345, "KWD", "-12.345"), (7, "XST", "7"),
    ],
)  # fmt: skip
def test_minor_units_are_written_out(minor: int, currency: str, text: str) -> None:
    assert decimal(minor, currency) == text
