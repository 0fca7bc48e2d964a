"""What must hold of the books at any moment, as queries that an operator can run at any time.

They run as one statement, so that all of them see the same state of a live database.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.db import raw_connection
from payouts.clock import money_now
from payouts.ledger_sql import GUARDS

MOST_BREAKS: Final = 20
"""Listed for each invariant: a wrong sum may be wrong for every account."""


@dataclass(frozen=True)
class Invariant:
    """`breaks`: what contradicts it, with ids and amounts; empty when it holds."""

    number: int
    says: str
    breaks: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.breaks


SAYS: Final = {
    1: "every transaction sums to 0 per currency",
    2: "cached balances are the sums of their entries",
    3: "no wallet or wallet hold is below 0, no creator hold above 0",
    4: "Stars that are owed are the cash that is left in lots, by what was moved of them",
    5: "wallets and holds are the Stars that were issued",
    6: "our balance at Stripe is the sum of its balance transactions, each posted once",
    7: "transfers, refunds and disputes under way are the open ones",
    8: "no creator was transferred more than had matured",
    9: "no intent has more than one transfer",
    10: "nothing that was written can be changed",
    11: "everything of Stripe's is posted or set aside",
}

# Each returns one text for each violation. $1: the platform, or null for all; $2: now; $3 and $4:
# the tables and names of triggers that must be enabled.
_ZERO: Final = """
select t.id || ' ' || coalesce(e.currency, '') || ' ' || coalesce(sum(e.amount), 0)
from ledger_transaction t left join ledger_entry e on e.transaction_id = t.id
where ($1::uuid is null or t.platform_id = $1)
group by t.id, e.currency having coalesce(sum(e.amount), 1) <> 0
"""
_CACHED: Final = """
select a.kind || ':' || a.owner || ' is ' || a.balance
    || ', entries say ' || coalesce(sum(e.amount), 0)
from ledger_account a left join ledger_entry e on e.account_id = a.id
where ($1::uuid is null or a.platform_id = $1) and a.balance is not null
group by a.id having a.balance <> coalesce(sum(e.amount), 0)
union all
select a.kind || ':' || a.owner || ' was ' || c.balance
    || ', entries say ' || coalesce(sum(e.amount), 0)
from ledger_checkpoint c join ledger_account a on a.id = c.account_id
left join ledger_entry e on e.account_id = a.id and e.id <= c.through_id
where ($1::uuid is null or a.platform_id = $1)
group by a.id, c.account_id having c.balance <> coalesce(sum(e.amount), 0)
"""
_FLOORS: Final = """
select a.kind || ':' || a.owner || ' is ' || a.balance from ledger_account a
where ($1::uuid is null or a.platform_id = $1) and (
    a.kind in ('wallet', 'wallet_hold') and a.balance < 0
    or a.kind = 'creator_hold' and a.balance > 0
)
"""
_LOTS: Final = """
select 'owed ' || sum(owed) || ' ' || currency || ', in lots ' || sum(cash) from (
    select a.platform_id, a.currency, -sum(e.amount) as owed, 0::numeric as cash
    from ledger_account a join ledger_entry e on e.account_id = a.id
    where ($1::uuid is null or a.platform_id = $1) and a.kind = 'stars_liability' group by 1, 2
    union all
    select a.platform_id, l.currency, 0, sum(l.cash_minor - l.cash_minor * l.gone / l.stars)
    from star_lot l join ledger_account a on a.id = l.wallet_id
    where ($1::uuid is null or a.platform_id = $1) group by 1, 2
) s group by platform_id, currency having sum(owed) <> sum(cash)
union all
select 'lot ' || l.id || ': ' || l.gone || ' gone, its movements say ' || coalesce(sum(m.stars), 0)
from star_lot l join ledger_account a on a.id = l.wallet_id
left join star_allocation m on m.lot_id = l.id
where ($1::uuid is null or a.platform_id = $1)
group by l.id having l.gone <> coalesce(sum(m.stars), 0)
    or l.cash_minor * l.gone / l.stars <> coalesce(sum(m.cash_minor), 0)
"""
_ISSUED: Final = """
select 'issued ' || -sum(e.amount) || ', held ' || (
    select coalesce(sum(w.balance), 0) from ledger_account w
    where w.platform_id = a.platform_id and w.kind in ('wallet', 'wallet_hold')
) from ledger_account a join ledger_entry e on e.account_id = a.id
where ($1::uuid is null or a.platform_id = $1) and a.kind = 'xst_issued' group by a.platform_id
having -sum(e.amount) <> (
    select coalesce(sum(w.balance), 0) from ledger_account w
    where w.platform_id = a.platform_id and w.kind in ('wallet', 'wallet_hold')
)
union all
select a.kind || ':' || a.owner || ' has ' || a.balance
    || ', its lots ' || coalesce(sum(l.stars - l.gone), 0)
from ledger_account a left join star_lot l on l.wallet_id = a.id
where ($1::uuid is null or a.platform_id = $1) and a.kind = 'wallet'
group by a.id having a.balance <> coalesce(sum(l.stars - l.gone), 0)
union all
select a.kind || ':' || a.owner || ' has ' || a.balance || ', refunds ' || coalesce(sum(r.stars), 0)
from ledger_account a left join lot_return r
    on r.platform_id = a.platform_id and r.user_id::text = a.owner and r.state = 'requested'
where ($1::uuid is null or a.platform_id = $1) and a.kind = 'wallet_hold'
group by a.id having a.balance <> coalesce(sum(r.stars), 0)
"""
_STRIPE: Final = """
select t.id || ' ' || coalesce(t.balance_transaction, 'without a balance transaction')
    || ': posted ' || coalesce(sum(e.amount), 0)
    || ', Stripe says ' || coalesce(s.net_minor::text, 'nothing')
from ledger_transaction t
join ledger_entry e on e.transaction_id = t.id
join ledger_account a on a.id = e.account_id and a.kind = 'stripe'
left join stripe_balance_transaction s
    on s.platform_id = t.platform_id and s.id = t.balance_transaction
where ($1::uuid is null or t.platform_id = $1)
group by t.id, s.net_minor having sum(e.amount) is distinct from s.net_minor
union all
select t.id || ' ' || t.balance_transaction || ': posted 0, Stripe says ' || s.net_minor
from ledger_transaction t join stripe_balance_transaction s
    on s.platform_id = t.platform_id and s.id = t.balance_transaction
where ($1::uuid is null or t.platform_id = $1) and s.net_minor <> 0 and not exists (
    select from ledger_entry e join ledger_account a on a.id = e.account_id
    where e.transaction_id = t.id and a.kind = 'stripe'
)
"""
_UNDER_WAY: Final = """
select s.kind || ' ' || sum(s.booked) || ' ' || s.currency || ', open ones ' || sum(s.open) from (
    select a.platform_id, a.currency, a.kind, 0::numeric as open,
        sum(case when a.kind = 'dispute_recv' then e.amount else -e.amount end) as booked
    from ledger_account a join ledger_entry e on e.account_id = a.id
    where ($1::uuid is null or a.platform_id = $1) and a.kind in
        ('transfer_inflight', 'refund_clearing', 'dispute_recv', 'creator_hold') group by 1, 2, 3
    union all
    select i.platform_id, i.currency, 'transfer_inflight', i.amount_minor, 0
    from transfer_intent i where i.state = 'open'
    union all
    select r.platform_id, r.currency, 'refund_clearing', r.cash_minor + r.tax_minor, 0
    from lot_return r where r.state = 'requested'
    union all
    select d.platform_id, l.currency, 'dispute_recv', d.amount_minor, 0
    from lot_dispute d join star_lot l on l.id = d.lot_id where d.state = 'open'
    union all
    select d.platform_id, l.currency, 'creator_hold', h.amount_minor, 0
    from dispute_hold h join lot_dispute d on d.id = h.dispute_id join star_lot l on l.id = d.lot_id
    where d.state = 'open' and h.held
) s where ($1::uuid is null or s.platform_id = $1)
group by s.platform_id, s.currency, s.kind having sum(s.booked) <> sum(s.open)
union all
select a.kind || ':' || a.owner || ' is frozen by ' || a.open_disputes || ', open ones ' || count(d)
from ledger_account a left join star_lot l on l.wallet_id = a.id
left join lot_dispute d on d.lot_id = l.id and d.state = 'open'
where ($1::uuid is null or a.platform_id = $1) and a.kind = 'wallet'
group by a.id having a.open_disputes <> count(d)
"""
_MATURED: Final = """
select 'creator ' || creator || ': transferred ' || sum(sent) || ', matured ' || sum(matured)
from (
    select i.platform_id, i.creator_id::text as creator,
        sum(i.amount_minor - i.reversed_minor) as sent, 0::numeric as matured
    from transfer_intent i where ($1::uuid is null or i.platform_id = $1) and i.state <> 'refused'
    group by 1, 2
    union all
    select a.platform_id, a.owner, 0, -sum(e.amount)
    from ledger_account a
    join ledger_entry e on e.account_id = a.id
    join ledger_transaction t on t.id = e.transaction_id
    where ($1::uuid is null or a.platform_id = $1)
        and a.kind = 'creator' and t.kind = 'tip' and t.matures_at <= $2
    group by 1, 2
    union all
    select d.platform_id, h.creator_id::text, 0, -sum(h.amount_minor)
    from dispute_hold h
    join lot_dispute d on d.id = h.dispute_id
    join ledger_transaction t on t.id = h.tip_id
    where ($1::uuid is null or d.platform_id = $1)
        and h.held and d.state <> 'won' and t.matures_at <= $2
    group by 1, 2
) s group by platform_id, creator having sum(sent) > greatest(sum(matured), 0)
"""
_ONE_TRANSFER: Final = """
select 'intent ' || s.transfer_intent_id || ': ' || string_agg(distinct s.source, ' ')
from stripe_balance_transaction s
where ($1::uuid is null or s.platform_id = $1)
    and s.transfer_intent_id is not null and s.kind = 'transfer'
group by s.transfer_intent_id having count(distinct s.source) > 1
union all
select 'transfer ' || i.stripe_transfer || ': ' || string_agg(i.id::text, ' ')
from transfer_intent i where ($1::uuid is null or i.platform_id = $1)
    and i.stripe_transfer is not null
group by i.stripe_transfer having count(*) > 1
"""
_GUARDED: Final = """
select g.name || ' of ' || g.relation || ' is missing or off'
from unnest($3::text[], $4::text[]) as g (relation, name)
where not exists (
    select from pg_trigger t
    where t.tgrelid = to_regclass(g.relation) and t.tgname = g.name and t.tgenabled in ('O', 'A')
)
"""
_EXPLAINED: Final = """
select s.id || ' ' || s.kind || ' ' || s.source || ': ' || s.net_minor || ' ' || s.currency
from stripe_balance_transaction s
where ($1::uuid is null or s.platform_id = $1)
    and not exists (
        select from ledger_transaction t
        where t.platform_id = s.platform_id and t.balance_transaction = s.id
    )
    and not exists (
        select from money_exception x
        where x.platform_id = s.platform_id and x.object_id in (s.id, nullif(s.source, ''))
    )
"""
_QUERIES: Final = (
    _ZERO, _CACHED, _FLOORS, _LOTS, _ISSUED, _STRIPE, _UNDER_WAY, _MATURED, _ONE_TRANSFER,
    _GUARDED, _EXPLAINED,
)  # fmt: skip
_ALL: Final = " union all ".join(
    f"select {number}, breaks from ({query}) as i{number} (breaks)"  # noqa: S608 - constants
    for number, query in enumerate(_QUERIES, start=1)
)


async def check(
    session: AsyncSession, platform_id: UUID | None = None, *, now: datetime | None = None
) -> list[Invariant]:
    """All eleven, in order, of one platform or of all. Reads every entry of the ledger.

    What has matured at `now`, or else by payouts/clock.py, may have been transferred.
    """
    await session.flush()
    raw = await raw_connection(session)
    breaks: dict[int, list[str]] = {number: [] for number in SAYS}
    tables, triggers = zip(*GUARDS, strict=True)
    moment = now or await money_now(session)
    found = await raw.fetch(_ALL, platform_id, moment, tables, triggers)
    for number, text in found:
        breaks[number].append(text)
    return [Invariant(number, says, _few(breaks[number])) for number, says in SAYS.items()]


def _few(breaks: list[str]) -> tuple[str, ...]:
    more = len(breaks) - MOST_BREAKS
    return (*breaks[:MOST_BREAKS], f"and {more} more") if more > 0 else tuple(breaks)
