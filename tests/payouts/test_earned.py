"""Where earnings come from, when they mature, and the entries behind a statement."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from core.db import Database
from payouts import lot_disputes
from payouts.creators import earnings
from payouts.earned import Earner, arrived, maturing, months_of, rooms_earned
from payouts.postings import Pin
from payouts.statement_entries import COLUMNS, entries_csv
from payouts.statements import statement
from tests.payouts.tills import TERMS, Till, charge, committed_till


def first(till: Till) -> Earner:
    return Earner(till.platform_id, till.creators[0], TERMS.currency)


async def dispute(till: Till, lot_id: UUID) -> None:
    await lot_disputes.open_dispute(
        till.session, platform_id=till.platform_id, user_id=till.listener, lot_id=lot_id,
        stripe_dispute=f"dp_{uuid4()}", line=charge(-699, 1500, kind="adjustment"),
    )  # fmt: skip


async def test_what_is_pending_matures_on_its_days(till: Till) -> None:
    await till.buy(200, 250, 30)
    lot = await till.buy()
    await till.tip(200)
    await till.tip(50)
    await dispute(till, lot)
    now = datetime.now(UTC)
    days = await maturing(till.session, first(till), now=now)
    assert [each.on for each in days] == [(now + TERMS.maturity).date()]
    found = await earnings(
        till.session, platform_id=till.platform_id, creator_id=till.creators[0],
        currency=TERMS.currency, now=now,
    )  # fmt: skip
    assert sum(each.amount_minor for each in days) == found.pending_minor == 200
    assert await maturing(till.session, first(till), now=now + timedelta(days=15)) == []


async def test_months_are_told_without_a_gap(till: Till) -> None:
    now = datetime.now(UTC)
    assert await months_of(till.session, first(till), now=now) == []
    await till.buy()
    await till.tip(1)
    months = await months_of(till.session, first(till), now=now + timedelta(days=70))
    assert months[-1] == f"{now:%Y-%m}"
    assert months[0] == f"{now + timedelta(days=70):%Y-%m}"
    assert len(months) == len(set(months)) >= 3
    assert await arrived(till.session, first(till)) == {}


async def test_rooms_that_are_gone_are_in_no_list(till: Till) -> None:
    await till.buy()
    await till.tip(10, pin=Pin(uuid4(), 0))
    assert await rooms_earned(till.session, first(till), limit=10) == []


async def test_a_statement_is_the_sum_of_its_entries(database: Database) -> None:
    till = await committed_till(database)
    async with database.transaction() as session:
        till.session = session
        lot = await till.buy()
        await till.tip(100, pin=Pin(uuid4(), 61_000))
        await till.tip(7)
        await dispute(till, lot)
    month = f"{datetime.now(UTC):%Y-%m}"
    written = "".join([part async for part in entries_csv(database, first(till), month)])
    head, *rows = list(csv.reader(io.StringIO(written)))
    assert tuple(head) == COLUMNS
    assert str(till.listener) not in written, "who tipped is not told"
    async with database.transaction() as session:
        found = await statement(
            session, platform_id=till.platform_id, creator_id=till.creators[0],
            currency=TERMS.currency, month=month,
        )  # fmt: skip
    for line in found.lines:
        for account, minor in (("owed", line.owed_minor), ("held", line.held_minor)):
            mine = [Decimal(row[4]) for row in rows if row[2:4] == [line.kind.value, account]]
            assert sum(mine) * 100 == minor
    assert {row[2] for row in rows} == {line.kind.value for line in found.lines}
