"""Stripe's books, as the sandbox keeps them, beside ours: to the last unit, line by line."""

from collections import Counter
from collections.abc import Mapping

import sqlalchemy as sa

from core.auth.models import Platform
from core.auth.platforms import DEFAULT_SLUG
from core.db import Database
from payouts.sandbox.store import Object
from payouts.sandbox.world import World

OURS = sa.text("""
select s.id, sum(s.net_minor) as net, bool_and(t.id is not null) as posted,
    bool_or(x.id is not null) as aside,
    sum((select sum(e.amount) from ledger_entry e join ledger_account a on a.id = e.account_id
         where e.transaction_id = t.id and a.kind = 'stripe')) as booked
from stripe_balance_transaction s
left join ledger_transaction t
    on t.platform_id = s.platform_id and t.balance_transaction = s.id
left join lateral (
    select m.id from money_exception m
    where m.platform_id = s.platform_id and m.object_id in (s.id, nullif(s.source, '')) limit 1
) x on true
where s.id = any(:lines) or s.platform_id = :site
group by s.id
""")
CONNECTED = sa.text("""
select a.owner, sum(e.amount) from ledger_account a join ledger_entry e on e.account_id = a.id
where a.kind = 'connected' group by a.owner
""")


async def differences(database: Database, world: World, foreign: Mapping[str, int]) -> list[str]:
    """Both at rest: everything that the sandbox did is posted for what it was, or set aside; and
    what lies in connected accounts, but for `foreign` transfers, is what our memo says."""
    theirs = {line["id"]: line for line in _lines(world, world.platform)}
    async with database.transaction() as session:
        named = sa.select(Platform.id).where(Platform.slug == DEFAULT_SLUG)
        site = await session.scalar(named)
        ours = {
            row.id: row
            for row in await session.execute(OURS, {"lines": list(theirs), "site": site})
        }
        rows = await session.execute(CONNECTED)
        memo = {account: int(lies) for account, lies in rows}
    said = [f"{line} is not Stripe's" for line in ours.keys() - theirs.keys()]
    for line, row in theirs.items():
        if line not in ours:
            said.append(f"{line} {row['type']} {row['net']} is not in our books")
        elif ours[line].net != row["net"]:
            said.append(f"{line} {row['type']} is {row['net']}, we have {ours[line].net}")
        elif not (ours[line].aside or (ours[line].posted and ours[line].booked == row["net"])):
            said.append(f"{line} {row['type']} {row['net']} is booked as {ours[line].booked}")
    lie = _in_accounts(world)
    said += [
        f"{account} has {lie[account]}, our memo says {memo.get(account, 0)}"
        for account in lie
        if lie[account] - foreign.get(account, 0) != memo.get(account, 0)
    ]
    return said


def _lines(world: World, account: str) -> list[Object]:
    return world.store.select("balance_transaction", account)


def _in_accounts(world: World) -> Counter[str]:
    """What was transferred to each and has not reached a bank."""
    lie = Counter[str]()
    for account in world.store.select("account", world.platform):
        name = account["id"]
        lie[name] += sum(line["net"] for line in _lines(world, name))
        under_way = world.store.select("payout", name)
        lie[name] += sum(p["amount"] for p in under_way if p["status"] in ("pending", "in_transit"))
    return lie
