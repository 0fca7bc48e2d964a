"""Tips are booked in batches

Revision ID: 8c41d0a7be52
Revises: 4b7e0d5a91c2
Created: 2026-11-22 10:45:00.000000+00:00
"""

from collections.abc import Sequence

from alembic import op

revision: str = '8c41d0a7be52'
down_revision: str | Sequence[str] | None = '4b7e0d5a91c2'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


BOOK = """
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
OLD_BOOK = """
create or replace function ledger_book(
    p_id uuid, p_platform uuid, p_kind text, p_key text, p_at timestamptz, p_txn text,
    p_matures_at timestamptz, p_room uuid, p_room_ms bigint, p_facts jsonb,
    p_kinds text[], p_owners text[], p_currencies text[], p_amounts bigint[],
    p_lots uuid[], p_offsets int[], p_stars int[], p_cash bigint[]
) returns boolean language plpgsql as $$
declare
    accounts bigint[];
    moved record;
begin
    insert into ledger_transaction
        (id, platform_id, kind, external_key, at, balance_transaction, matures_at, room_id,
            room_ms, facts)
    values (p_id, p_platform, p_kind, p_key, p_at, p_txn, p_matures_at, p_room, p_room_ms, p_facts)
    on conflict (platform_id, external_key) do nothing;
    if not found then
        return false;
    end if;
    accounts := ledger_accounts(p_platform, p_kinds, p_owners, p_currencies);
    for moved in
        select a.id, sum(e.amount) as amount
        from unnest(accounts, p_amounts) as e (account_id, amount)
        join ledger_account a on a.id = e.account_id
        where a.balance is not null
        group by a.id order by a.id
    loop
        update ledger_account set balance = balance + moved.amount where id = moved.id;
    end loop;
    insert into ledger_entry (account_id, transaction_id, at, amount, currency)
    select account_id, p_id, p_at, amount, currency
    from unnest(accounts, p_amounts, p_currencies) as e (account_id, amount, currency);
    if cardinality(p_lots) > 0 then
        update star_lot l set gone = l.gone + m.stars
        from unnest(p_lots, p_stars) as m (lot_id, stars) where l.id = m.lot_id;
        insert into star_allocation (lot_id, transaction_id, "offset", stars, cash_minor)
        select lot_id, p_id, first, stars, cash
        from unnest(p_lots, p_offsets, p_stars, p_cash) as m (lot_id, first, stars, cash);
    end if;
    return true;
end $$
"""
OLD_WALLET = """
create or replace function star_wallet(p_platform uuid, p_user text, p_key text)
returns table (
    booked uuid, wallet_id bigint, open_disputes int,
    lot_id uuid, stars int, gone int, cash_minor bigint, currency text, promotional boolean
) language plpgsql as $$
declare
    wallet record;
begin
    select a.id, a.open_disputes into wallet from ledger_account a
    where a.platform_id = p_platform and a.kind = 'wallet' and a.owner = p_user
        and a.currency = 'XST'
    for no key update;
    return query
    select (
            select t.id from ledger_transaction t
            where t.platform_id = p_platform and t.external_key = p_key
        ),
        wallet.id, wallet.open_disputes,
        l.id, l.stars, l.gone, l.cash_minor, l.currency, l.promotional
    from (select 1) as one
    left join star_lot l on l.wallet_id = wallet.id and l.gone < l.stars
    order by l.bought_at, l.id;
end $$
"""


def upgrade() -> None:
    op.execute("drop function ledger_book")
    op.execute("drop function star_wallet")
    for statement in (BOOK, WALLETS):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.execute("drop function ledger_book")
    op.execute("drop function star_wallets")
    for statement in (OLD_BOOK, OLD_WALLET):
        op.get_bind().exec_driver_sql(statement)
