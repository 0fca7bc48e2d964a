"""Tips land in batches

Revision ID: c2e95b70d416
Revises: 2f9c71d08be6
Created: 2026-11-22 11:20:00.000000+00:00
"""

from collections.abc import Sequence

from alembic import op

revision: str = 'c2e95b70d416'
down_revision: str | Sequence[str] | None = '2f9c71d08be6'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


COURSES = """
create or replace function room_courses(p_rooms uuid[])
returns table (
    room_id uuid, now_ms bigint, kind text, room_ms bigint, user_id text, share_bps int
) language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off as $$
begin
    return query
    select r.id, coalesce(
            r.duration_ms, floor(extract(epoch from clock_timestamp() - r.live_at) * 1000)::bigint
        ), e.kind, e.room_ms, e.data->>'user_id', (e.data->>'share_bps')::int
    from room r left join lateral (
        select m.seq, m.kind, m.room_ms, m.data from room_event m
        where m.room_id = r.id and m.kind in ('stage.joined', 'stage.left', 'recording.started', 'recording.paused', 'recording.resumed', 'recording.stopped') offset 0
    ) e on true
    where r.id = any(p_rooms) order by r.id, e.seq;
end $$
"""
RECORD = """
create or replace function record_room_events(
    p_rooms uuid[], p_kinds text[], p_actors uuid[], p_room_ms bigint[], p_data jsonb[]
) returns void language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off as $$
begin
    perform from room r where r.id = any(p_rooms) order by r.id for no key update;
    with told as (
        select t.*, row_number() over (partition by t.room order by t.number) as nth
        from unnest(p_rooms, p_kinds, p_actors, p_room_ms, p_data) with ordinality
            as t (room, kind, actor, room_ms, data, number)
    ), counted as (
        select t.room, count(*) as events, max(t.room_ms) as latest,
            bool_or(t.room_ms is null) as now
        from told t group by t.room
    ), moved as (
        update room r set event_seq = r.event_seq + c.events,
            event_ms = case when r.state <> 'live' then r.event_ms else greatest(
                r.event_ms, c.latest, case when c.now then
                    floor(extract(epoch from clock_timestamp() - r.live_at) * 1000)::bigint end
            ) end
        from counted c where r.id = c.room
        returning r.id, r.event_seq - c.events as before,
            case when r.state = 'live' then r.event_ms end as now_ms
    )
    insert into room_event (room_id, seq, room_ms, kind, actor_id, data)
    select t.room, m.before + t.nth, coalesce(t.room_ms, m.now_ms), t.kind, t.actor, t.data
    from told t join moved m on m.id = t.room;
    perform pg_notify('encore_room', json_build_object('room_id', r.id, 'seq', r.event_seq)::text)
    from room r where r.id = any(p_rooms);
end $$
"""
SPENDING = """
create or replace function tip_spending(
    p_payers uuid[], p_hour timestamptz, p_day timestamptz
) returns table (
    payer uuid, hour_stars bigint, day_stars bigint, own_hour_stars int, own_day_stars int
) language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off as $$
begin
    return query
    select p.id, coalesce(t.hour, 0), coalesce(t.day, 0), l.hour_stars, l.day_stars
    from unnest(p_payers) as p (id)
    cross join lateral (
        select sum(t.stars) filter (where t.at > p_hour) as hour, sum(t.stars) as day
        from room_tip t where t.payer_id = p.id and t.at > p_day
    ) t
    left join spending_limit l on l.user_id = p.id;
end $$
"""
LAND = """
create or replace function land_tips(
    p_platform uuid, p_at timestamptz, p_ids uuid[], p_rooms uuid[], p_payers uuid[],
    p_stars int[], p_messages text[], p_anonymous boolean[], p_live boolean[],
    p_room_ms bigint[], p_wishes bytea[]
) returns table (room_id uuid, goal_id uuid, title text, target_stars int, raised_stars bigint)
language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off as $$
declare
    goals uuid[];
begin
    select array_agg(l.id) into goals from (
        select g.id from room_goal g where g.room_id = any(p_rooms) and g.closed_at is null
        order by g.id for no key update
    ) l;
    return query
    with counted as (
        update room_goal g set raised_stars = n.raised, reached_at = case
            when n.raised >= g.target_stars then coalesce(g.reached_at, now())
            else g.reached_at end
        from room_goal o, lateral (
            select o.raised_stars + sum(t.stars) as raised
            from unnest(p_rooms, p_stars) as t (room, stars) where t.room = o.room_id
        ) n where o.id = any(goals) and g.id = o.id
        returning g.room_id, g.id, g.title, g.target_stars, g.raised_stars
    ), landed as (
        insert into room_tip (id, platform_id, room_id, payer_id, goal_id, stars, message,
            anonymous, live, room_ms, at, wish_sha256)
        select t.id, p_platform, t.room, t.payer, c.id, t.stars, t.message,
            t.anonymous, t.live, t.room_ms, p_at, t.wish
        from unnest(p_ids, p_rooms, p_payers, p_stars, p_messages, p_anonymous, p_live,
            p_room_ms, p_wishes) as t (id, room, payer, stars, message, anonymous, live,
            room_ms, wish)
        left join counted c on c.room_id = t.room
    )
    select c.room_id, c.id, c.title, c.target_stars, c.raised_stars from counted c;
end $$
"""
CHECK_ENTRIES = """
create or replace function ledger_check_entries() returns trigger language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off as $$
begin
    if exists (
        select from added e
        left join ledger_account a on a.id = e.account_id
        left join ledger_transaction t on t.id = e.transaction_id
        where a.currency is distinct from e.currency
            or t.platform_id is distinct from a.platform_id
            or t.at is distinct from e.at
    ) then
        raise exception 'an entry is not of its account''s currency, platform or transaction'
            using errcode = 'integrity_constraint_violation';
    end if;
    if exists (
        select from added group by transaction_id, currency having sum(amount) <> 0
    ) then
        raise exception 'a transaction does not sum to zero'
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end $$
"""
OLD_CHECK_ENTRIES = """
create or replace function ledger_check_entries() returns trigger language plpgsql as $$
begin
    if exists (
        select from added e
        left join ledger_account a on a.id = e.account_id
        left join ledger_transaction t on t.id = e.transaction_id
        where a.currency is distinct from e.currency
            or t.platform_id is distinct from a.platform_id
            or t.at is distinct from e.at
    ) then
        raise exception 'an entry is not of its account''s currency, platform or transaction'
            using errcode = 'integrity_constraint_violation';
    end if;
    if exists (
        select from added group by transaction_id, currency having sum(amount) <> 0
    ) then
        raise exception 'a transaction does not sum to zero'
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end $$
"""
ACCOUNTS = """
create or replace function ledger_accounts(
    p_platform uuid, p_kinds text[], p_owners text[], p_currencies text[]
) returns bigint[] language plpgsql as $$
declare
    found_ids bigint[];
begin
    for attempt in 1..2 loop
        select array_agg((
            select a.id from ledger_account a
            where a.platform_id = p_platform and a.kind = n.kind
                and a.owner = n.owner and a.currency = n.currency
        ) order by n.number) into found_ids
        from unnest(p_kinds, p_owners, p_currencies) with ordinality
            as n (kind, owner, currency, number);
        if array_position(found_ids, null) is null then
            return found_ids;
        end if;
        insert into ledger_account (platform_id, kind, owner, currency, balance)
        select distinct p_platform, n.kind, n.owner, n.currency,
            case when n.kind in ('wallet', 'wallet_hold', 'creator_hold') then 0 end
        from unnest(p_kinds, p_owners, p_currencies) as n (kind, owner, currency)
        order by 2, 3, 4
        on conflict (platform_id, kind, owner, currency) do nothing;
        insert into creator (platform_id, user_id)
        select distinct p_platform, n.owner::uuid
        from unnest(p_kinds, p_owners) as n (kind, owner) where n.kind = 'creator'
        order by 2
        on conflict (platform_id, user_id) do nothing;
    end loop;
    raise exception 'accounts were not made';
end $$
"""
OLD_ACCOUNTS = """
create or replace function ledger_accounts(
    p_platform uuid, p_kinds text[], p_owners text[], p_currencies text[]
) returns bigint[] language plpgsql as $$
declare
    found_ids bigint[];
begin
    for attempt in 1..2 loop
        select array_agg(a.id order by n.number) into found_ids
        from unnest(p_kinds, p_owners, p_currencies) with ordinality
            as n (kind, owner, currency, number)
        left join ledger_account a on a.platform_id = p_platform and a.kind = n.kind
            and a.owner = n.owner and a.currency = n.currency;
        if array_position(found_ids, null) is null then
            return found_ids;
        end if;
        insert into ledger_account (platform_id, kind, owner, currency, balance)
        select distinct p_platform, n.kind, n.owner, n.currency,
            case when n.kind in ('wallet', 'wallet_hold', 'creator_hold') then 0 end
        from unnest(p_kinds, p_owners, p_currencies) as n (kind, owner, currency)
        order by 2, 3, 4
        on conflict (platform_id, kind, owner, currency) do nothing;
        insert into creator (platform_id, user_id)
        select distinct p_platform, n.owner::uuid
        from unnest(p_kinds, p_owners) as n (kind, owner) where n.kind = 'creator'
        order by 2
        on conflict (platform_id, user_id) do nothing;
    end loop;
    raise exception 'accounts were not made';
end $$
"""
BOOK = """
create or replace function ledger_book(
    p_platform uuid,
    p_ids uuid[], p_kinds text[], p_keys text[], p_ats timestamptz[], p_txns text[],
    p_matures timestamptz[], p_rooms uuid[], p_room_ms bigint[], p_facts jsonb[],
    p_account_kinds text[], p_owners text[], p_currencies text[],
    p_entry_of int[], p_entry_on int[], p_amounts bigint[],
    p_taken_by int[], p_lots uuid[], p_offsets int[], p_stars int[], p_cash bigint[]
) returns boolean language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off as $$
declare
    accounts bigint[];
    added int;
begin
    insert into ledger_transaction
        (id, platform_id, kind, external_key, at, balance_transaction, matures_at, room_id,
            room_ms, facts)
    select t.id, p_platform, t.kind, t.key, t.at, t.txn, t.matures_at, t.room, t.room_ms, t.facts
    from unnest(p_ids, p_kinds, p_keys, p_ats, p_txns, p_matures, p_rooms, p_room_ms, p_facts)
        as t (id, kind, key, at, txn, matures_at, room, room_ms, facts)
    on conflict do nothing;
    get diagnostics added = row_count;
    if added = 0 and exists (
        select from ledger_transaction t
        where t.platform_id = p_platform and t.external_key = p_keys[1]
    ) then
        return false;
    elsif added < cardinality(p_ids) then
        raise exception 'a key or a balance transaction has been booked'
            using errcode = 'unique_violation';
    end if;
    accounts := ledger_accounts(p_platform, p_account_kinds, p_owners, p_currencies);
    perform from ledger_account a where a.id = any(accounts) and a.balance is not null
    order by a.id for no key update;
    update ledger_account a set balance = a.balance + m.amount
    from (
        select accounts[e.account] as id, sum(e.amount) as amount
        from unnest(p_entry_on, p_amounts) as e (account, amount) group by 1
    ) m where a.id = m.id and a.balance is not null;
    insert into ledger_entry (account_id, transaction_id, at, amount, currency)
    select accounts[e.account], p_ids[e.number], p_ats[e.number], e.amount, p_currencies[e.account]
    from unnest(p_entry_of, p_entry_on, p_amounts) as e (number, account, amount);
    if cardinality(p_lots) > 0 then
        update star_lot l set gone = l.gone + m.stars
        from (
            select t.lot_id, sum(t.stars) as stars
            from unnest(p_lots, p_stars) as t (lot_id, stars) group by 1
        ) m where l.id = m.lot_id;
        insert into star_allocation (lot_id, transaction_id, "offset", stars, cash_minor)
        select t.lot_id, p_ids[t.number], t.first, t.stars, t.cash
        from unnest(p_taken_by, p_lots, p_offsets, p_stars, p_cash)
            as t (number, lot_id, first, stars, cash);
    end if;
    return true;
end $$
"""
OLD_BOOK = """
create or replace function ledger_book(
    p_platform uuid,
    p_ids uuid[], p_kinds text[], p_keys text[], p_ats timestamptz[], p_txns text[],
    p_matures timestamptz[], p_rooms uuid[], p_room_ms bigint[], p_facts jsonb[],
    p_account_kinds text[], p_owners text[], p_currencies text[],
    p_entry_of int[], p_entry_on int[], p_amounts bigint[],
    p_taken_by int[], p_lots uuid[], p_offsets int[], p_stars int[], p_cash bigint[]
) returns boolean language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
    accounts bigint[];
    added int;
begin
    insert into ledger_transaction
        (id, platform_id, kind, external_key, at, balance_transaction, matures_at, room_id,
            room_ms, facts)
    select t.id, p_platform, t.kind, t.key, t.at, t.txn, t.matures_at, t.room, t.room_ms, t.facts
    from unnest(p_ids, p_kinds, p_keys, p_ats, p_txns, p_matures, p_rooms, p_room_ms, p_facts)
        as t (id, kind, key, at, txn, matures_at, room, room_ms, facts)
    on conflict (platform_id, external_key) do nothing;
    get diagnostics added = row_count;
    if added = 0 then
        return false;
    elsif added < cardinality(p_ids) then
        raise exception 'some of these keys have been booked' using errcode = 'unique_violation';
    end if;
    accounts := ledger_accounts(p_platform, p_account_kinds, p_owners, p_currencies);
    perform from ledger_account a where a.id = any(accounts) and a.balance is not null
    order by a.id for no key update;
    update ledger_account a set balance = a.balance + m.amount
    from (
        select accounts[e.account] as id, sum(e.amount) as amount
        from unnest(p_entry_on, p_amounts) as e (account, amount) group by 1
    ) m where a.id = m.id and a.balance is not null;
    insert into ledger_entry (account_id, transaction_id, at, amount, currency)
    select accounts[e.account], p_ids[e.number], p_ats[e.number], e.amount, p_currencies[e.account]
    from unnest(p_entry_of, p_entry_on, p_amounts) as e (number, account, amount);
    if cardinality(p_lots) > 0 then
        update star_lot l set gone = l.gone + m.stars
        from (
            select t.lot_id, sum(t.stars) as stars
            from unnest(p_lots, p_stars) as t (lot_id, stars) group by 1
        ) m where l.id = m.lot_id;
        insert into star_allocation (lot_id, transaction_id, "offset", stars, cash_minor)
        select t.lot_id, p_ids[t.number], t.first, t.stars, t.cash
        from unnest(p_taken_by, p_lots, p_offsets, p_stars, p_cash)
            as t (number, lot_id, first, stars, cash);
    end if;
    return true;
end $$
"""
WALLETS = """
create or replace function star_wallets(p_platform uuid, p_users text[], p_keys text[])
returns table (
    payer text, wallet_id bigint, open_disputes int,
    lot_id uuid, stars int, gone int, cash_minor bigint, promotional boolean,
    key text, booked uuid
) language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off as $$
begin
    perform from ledger_account a
    where a.platform_id = p_platform and a.kind = 'wallet' and a.owner = any(p_users)
        and a.currency = 'XST'
    order by a.id for no key update;
    return query
    select a.owner, a.id, a.open_disputes, l.id, l.stars, l.gone, l.cash_minor, l.promotional,
        null::text, null::uuid
    from ledger_account a left join star_lot l on l.wallet_id = a.id and l.gone < l.stars
    where a.platform_id = p_platform and a.kind = 'wallet' and a.owner = any(p_users)
        and a.currency = 'XST'
    order by l.bought_at, l.id;
    return query
    select null::text, null::bigint, null::int, null::uuid, null::int, null::int, null::bigint,
        null::boolean, t.external_key, t.id
    from ledger_transaction t where t.platform_id = p_platform and t.external_key = any(p_keys);
end $$
"""
OLD_WALLETS = """
create or replace function star_wallets(p_platform uuid, p_users text[], p_keys text[])
returns table (
    payer text, wallet_id bigint, open_disputes int,
    lot_id uuid, stars int, gone int, cash_minor bigint, promotional boolean,
    key text, booked uuid
) language plpgsql set plan_cache_mode = force_generic_plan as $$
begin
    perform from ledger_account a
    where a.platform_id = p_platform and a.kind = 'wallet' and a.owner = any(p_users)
        and a.currency = 'XST'
    order by a.id for no key update;
    return query
    select a.owner, a.id, a.open_disputes, l.id, l.stars, l.gone, l.cash_minor, l.promotional,
        null::text, null::uuid
    from ledger_account a left join star_lot l on l.wallet_id = a.id and l.gone < l.stars
    where a.platform_id = p_platform and a.kind = 'wallet' and a.owner = any(p_users)
        and a.currency = 'XST'
    order by l.bought_at, l.id;
    return query
    select null::text, null::bigint, null::int, null::uuid, null::int, null::int, null::bigint,
        null::boolean, t.external_key, t.id
    from ledger_transaction t where t.platform_id = p_platform and t.external_key = any(p_keys);
end $$
"""


def upgrade() -> None:
    for statement in (COURSES, RECORD, SPENDING, LAND, CHECK_ENTRIES, ACCOUNTS, BOOK, WALLETS):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.execute("drop function land_tips")
    op.execute("drop function tip_spending")
    op.execute("drop function record_room_events")
    op.execute("drop function room_courses")
    for statement in (OLD_CHECK_ENTRIES, OLD_ACCOUNTS, OLD_BOOK, OLD_WALLETS,):
        op.get_bind().exec_driver_sql(statement)
