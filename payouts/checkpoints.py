"""Takes checkpoints of the accounts without a stored balance, so that reading one need not sum all
of its entries. Tips never wait for a checkpoint; it waits only for tips that began before it."""

import asyncio
from typing import Final

import sqlalchemy as sa

from core.db import Database

LEAST_ENTRIES: Final = 1000
"""Fewer entries than this are summed as fast as a checkpoint is read."""

_POLL_SECONDS: Final = 0.05
_WAIT_SECONDS: Final = 60.0

# Ids are given out before they are committed, so an entry may still appear below the last id. But
# `ledger_book` writes its transaction before it asks for entry ids: whoever was given an id up to
# the last one is over, or is seen as running by a snapshot taken after the last id was read. Once
# all transactions of that snapshot are over, no entry up to that id can appear any more.
_LAST: Final = sa.text(
    "select coalesce(pg_sequence_last_value("
    "pg_get_serial_sequence('ledger_entry', 'id')::regclass), 0)"
)
_XMAX: Final = sa.text("select pg_snapshot_xmax(pg_current_snapshot())::text")
_ARE_OVER: Final = sa.text(
    "select pg_snapshot_xmin(pg_current_snapshot()) >= cast(cast(:xmax as text) as xid8)"
)
_TAKE: Final = sa.text("""
insert into ledger_checkpoint (account_id, through_id, balance)
select a.id, :last, coalesce(c.balance, 0) + sum(e.amount)
from ledger_account a
left join ledger_checkpoint c on c.account_id = a.id
join ledger_entry e on e.account_id = a.id and e.id > coalesce(c.through_id, 0) and e.id <= :last
where a.balance is null
group by a.id, c.account_id having count(*) >= :least
on conflict (account_id) do update
set through_id = excluded.through_id, balance = excluded.balance, taken_at = now()
where ledger_checkpoint.through_id < excluded.through_id
""")
_LOCK: Final = sa.text("select pg_advisory_xact_lock(hashtext('ledger_checkpoint'))")


async def take_checkpoints(database: Database, *, least_entries: int = LEAST_ENTRIES) -> bool:
    """Returns False, having taken none, if some transaction stays open for a minute."""
    async with database.transaction() as session:
        last = await session.scalar(_LAST)
        xmax = await session.scalar(_XMAX)
        assert xmax is not None  # noqa: S101 - every snapshot has one
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            while not await _are_over(database, xmax):  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        return False
    async with database.transaction() as session:
        await session.execute(_LOCK)
        await session.execute(_TAKE, {"last": last, "least": least_entries})
    return True


async def _are_over(database: Database, xmax: str) -> bool:
    async with database.transaction() as session:
        return bool(await session.scalar(_ARE_OVER, {"xmax": xmax}))
