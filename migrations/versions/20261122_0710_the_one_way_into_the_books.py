"""The one way into the books: functions that write them, triggers that hold them

Revision ID: 5b0e93d1c7fa
Revises: a3cfbeef1808
Created: 2026-11-22 07:10:00.000000+00:00
"""

from collections.abc import Sequence

from alembic import op

revision: str = '5b0e93d1c7fa'
down_revision: str | Sequence[str] | None = 'a3cfbeef1808'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

PLANS = (
    "set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off"
    " set enable_mergejoin = off set enable_bitmapscan = off"
)
REFUSE_CHANGE = """
create or replace function ledger_refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name
        using errcode = 'integrity_constraint_violation';
end $$
"""
IS_OURS = """
create or replace function ledger_is_ours(p_made_by xid) returns boolean language plpgsql as $$
declare
    ours xid8 := pg_current_xact_id();
    ahead bigint := age(ours::xid)::bigint - age(p_made_by);
begin
    return ahead >= 0
        and pg_xact_status((ours::text::bigint + ahead)::text::xid8) = 'in progress';
end $$
"""
CHECK_ENTRIES = f"""
create or replace function ledger_check_entries() returns trigger language plpgsql {PLANS} as $$
declare
    strange boolean;
    uneven boolean;
begin
    select bool_or(
        not g.fits or t.at is distinct from g.at or t.platform_id is distinct from g.platform_id
        or t.xmin <> pg_current_xact_id()::xid and not ledger_is_ours(t.xmin)
    ), bool_or(g.amount <> 0) into strange, uneven
    from (
        select e.transaction_id, e.currency, e.at, a.platform_id, sum(e.amount) as amount,
            bool_and(a.currency is not distinct from e.currency) as fits
        from added e left join ledger_account a on a.id = e.account_id
        group by 1, 2, 3, 4
    ) g left join ledger_transaction t on t.id = g.transaction_id;
    if strange then
        raise exception
            'an entry is not of its account''s currency, platform or transaction, or comes after it'
            using errcode = 'integrity_constraint_violation';
    elsif uneven then
        raise exception 'a transaction does not sum to zero'
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end $$
"""
ACCOUNTS = f"""
create or replace function ledger_accounts(
    p_platform uuid, p_kinds text[], p_owners text[], p_currencies text[]
) returns bigint[] language plpgsql {PLANS} as $$
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
BOOK = f"""
create or replace function ledger_book(
    p_platform uuid,
    p_ids uuid[], p_kinds text[], p_keys text[], p_ats timestamptz[], p_txns text[],
    p_matures timestamptz[], p_rooms uuid[], p_room_ms bigint[], p_facts jsonb[],
    p_accounts bigint[], p_account_kinds text[], p_owners text[], p_currencies text[],
    p_entry_of int[], p_entry_on int[], p_amounts bigint[],
    p_taken_by int[], p_lots uuid[], p_offsets int[], p_stars int[], p_cash bigint[]
) returns bigint[] language plpgsql {PLANS} as $$
declare
    accounts bigint[] := p_accounts;
    added int;
begin
    insert into ledger_transaction
        (id, platform_id, kind, external_key, at, balance_transaction, matures_at, room_id,
            room_ms, facts)
    select p_ids[i], p_platform, p_kinds[i], p_keys[i], p_ats[i], p_txns[i], p_matures[i],
        p_rooms[i], p_room_ms[i], p_facts[i]
    from generate_subscripts(p_ids, 1) i
    on conflict do nothing;
    get diagnostics added = row_count;
    if added = 0 and exists (
        select from ledger_transaction t
        where t.platform_id = p_platform and t.external_key = p_keys[1]
    ) then
        return null;
    elsif added < cardinality(p_ids) then
        raise exception 'a key or a balance transaction has been booked'
            using errcode = 'unique_violation';
    end if;
    if array_position(accounts, null) is not null then
        accounts := ledger_accounts(p_platform, p_account_kinds, p_owners, p_currencies);
    end if;
    update ledger_account a set balance = a.balance + m.amount
    from (
        select accounts[p_entry_on[i]] as id, sum(p_amounts[i]) as amount
        from generate_subscripts(p_amounts, 1) i
        where p_account_kinds[p_entry_on[i]] in ('wallet', 'wallet_hold', 'creator_hold')
        group by 1 order by 1
    ) m where a.id = m.id;
    insert into ledger_entry (account_id, transaction_id, at, amount, currency)
    select accounts[p_entry_on[i]], p_ids[p_entry_of[i]], p_ats[p_entry_of[i]], p_amounts[i],
        p_currencies[p_entry_on[i]]
    from generate_subscripts(p_amounts, 1) i;
    if cardinality(p_lots) > 0 then
        update star_lot l set gone = l.gone + m.stars
        from (
            select p_lots[i] as id, sum(p_stars[i]) as stars
            from generate_subscripts(p_lots, 1) i group by 1 order by 1
        ) m where l.id = m.id;
        insert into star_allocation (lot_id, transaction_id, "offset", stars, cash_minor)
        select p_lots[i], p_ids[p_taken_by[i]], p_offsets[i], p_stars[i], p_cash[i]
        from generate_subscripts(p_lots, 1) i;
    end if;
    return accounts;
end $$
"""
WALLETS = f"""
create or replace function star_wallets(
    p_platform uuid, p_users text[], p_keys text[], p_locked boolean
) returns table (
    payer text, wallet_id bigint, version bigint, open_disputes int,
    lot_id uuid, stars int, gone int, cash_minor bigint, promotional boolean,
    key text, booked uuid
) language plpgsql {PLANS} as $$
begin
    if p_locked then
        perform from ledger_account a
        where a.platform_id = p_platform and a.kind = 'wallet' and a.owner = any(p_users)
            and a.currency = 'XST'
        order by a.id for no key update;
    end if;
    return query
    select a.owner, a.id, a.xmin::text::bigint, a.open_disputes, l.id, l.stars, l.gone,
        l.cash_minor, l.promotional, null::text, null::uuid
    from ledger_account a left join star_lot l on l.wallet_id = a.id and l.gone < l.stars
    where a.platform_id = p_platform and a.kind = 'wallet' and a.owner = any(p_users)
        and a.currency = 'XST'
    order by l.bought_at, l.id;
    if cardinality(p_keys) > 0 then
        return query
        select null::text, null::bigint, null::bigint, null::int, null::uuid, null::int, null::int,
            null::bigint, null::boolean, t.external_key, t.id
        from ledger_transaction t
        where t.platform_id = p_platform and t.external_key = any(p_keys);
    end if;
end $$
"""
UNCHANGED = f"""
create or replace function star_wallets_unchanged(p_wallets bigint[], p_versions bigint[])
returns boolean language plpgsql {PLANS} as $$
begin
    return not exists (
        select from (
            select a.id, a.xmin::text::bigint as version from ledger_account a
            where a.id = any(p_wallets) order by a.id for no key update
        ) l join unnest(p_wallets, p_versions) as r (id, version) on r.id = l.id
        where r.version <> l.version
    );
end $$
"""
FUNCTIONS = (REFUSE_CHANGE, IS_OURS, CHECK_ENTRIES, ACCOUNTS, BOOK, WALLETS, UNCHANGED)
TRIGGERS = (
    'create trigger append_only before update or delete or truncate on ledger_transaction for each statement execute function ledger_refuse_change()',
    'create trigger append_only before update or delete or truncate on ledger_entry for each statement execute function ledger_refuse_change()',
    'create trigger append_only before update or delete or truncate on star_allocation for each statement execute function ledger_refuse_change()',
    'create trigger check_entries after insert on ledger_entry referencing new table as added for each statement execute function ledger_check_entries()',
)


def upgrade() -> None:
    for statement in (*FUNCTIONS, *TRIGGERS):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.execute('drop trigger check_entries on ledger_entry')
    for table in ('ledger_transaction', 'ledger_entry', 'star_allocation'):
        op.execute(f'drop trigger append_only on {table}')
    for function in (
        'star_wallets_unchanged', 'star_wallets', 'ledger_book', 'ledger_accounts',
        'ledger_check_entries', 'ledger_is_ours', 'ledger_refuse_change',
    ):
        op.execute(f'drop function {function}')
