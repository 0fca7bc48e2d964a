"""A balance is a checkpoint and what came since, whoever commits when."""

import asyncio

import sqlalchemy as sa

from core.db import Database
from payouts import invariants, ledger
from payouts.accounts import AccountKind
from payouts.checkpoints import take_checkpoints
from payouts.models import LedgerAccount, LedgerCheckpoint
from payouts.postings import Books
from tests.payouts.tills import TERMS, Till, committed_till

CREATOR = Books(TERMS.currency)


async def owed(database: Database, till: Till) -> int:
    async with database.transaction() as session:
        account = CREATOR.of(AccountKind.CREATOR, till.creators[0])
        return -await ledger.balance(session, till.platform_id, account)


async def checkpoints(database: Database, till: Till) -> int:
    query = (
        sa.select(sa.func.count())
        .select_from(LedgerCheckpoint)
        .join(LedgerAccount, LedgerAccount.id == LedgerCheckpoint.account_id)
        .where(LedgerAccount.platform_id == till.platform_id)
    )
    async with database.transaction() as session:
        return await session.scalar(query) or 0


async def tip(database: Database, till: Till, stars: int) -> None:
    async with database.transaction() as session:
        till.session = session
        await till.tip(stars)


async def test_a_tip_that_commits_late_is_not_left_out(database: Database) -> None:
    """Its ids are lower than those of what the checkpoint holds."""
    till = await committed_till(database, creators=2)
    async with database.transaction() as session:
        till.session = session
        await till.buy()
        await till.grant(100)
    late = Till(till.session, till.platform_id, till.creators[1], till.creators)
    async with database.transaction() as session:
        late.session = session
        await late.buy()
        await late.tip(9)  # makes the accounts: who makes one is waited for
    async with database.transaction() as session:
        late.session = session
        await late.tip(7)
        await tip(database, till, 10)
        taking = asyncio.create_task(take_checkpoints(database, least_entries=1))
        await tip(database, till, 5)
        assert not taking.done()
    assert await taking
    assert await checkpoints(database, till) == 6
    assert await owed(database, till) == 31
    await tip(database, till, 1)
    assert await owed(database, till) == 32
    assert await take_checkpoints(database, least_entries=1)
    assert await owed(database, till) == 32
    async with database.transaction() as session:
        found = await invariants.check(session, till.platform_id)
        assert [one for one in found if not one.holds] == []
