"""What PostgreSQL itself holds of the books: functions and triggers, whoever writes.

`ledger_book` is the one way in; it is a function so that a tip takes two round trips, and so that
locks are taken in one order. The triggers do not trust it.
"""

from typing import Any, Final

import sqlalchemy as sa

REFUSE_CHANGE: Final = """
create or replace function ledger_refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name
        using errcode = 'integrity_constraint_violation';
end $$
"""

CHECK_ENTRIES: Final = """
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

BOOK: Final = """
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

ACCOUNTS: Final = """
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

WALLET: Final = """
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

APPEND_ONLY: Final = ("ledger_transaction", "ledger_entry", "star_allocation")

TRIGGERS: Final = (
    *(
        f"create trigger append_only before update or delete or truncate on {table} "
        "for each statement execute function ledger_refuse_change()"
        for table in APPEND_ONLY
    ),
    "create trigger check_entries after insert on ledger_entry referencing new table as added "
    "for each statement execute function ledger_check_entries()",
)

GUARDS: Final = (
    *((table, "append_only") for table in APPEND_ONLY),
    ("ledger_entry", "check_entries"),
)
"""Table and trigger: what a check of the books makes sure is on."""

FUNCTIONS: Final = (REFUSE_CHANGE, CHECK_ENTRIES, ACCOUNTS, BOOK, WALLET)


def install_with(metadata: sa.MetaData) -> None:
    """`metadata.create_all` makes functions and triggers too, as the migrations do."""
    sa.event.listen(metadata, "after_create", _install)


def _install(_target: sa.MetaData, connection: sa.Connection, **kw: Any) -> None:
    if any(table.name == "ledger_entry" for table in kw.get("tables") or ()):
        for statement in (*FUNCTIONS, *TRIGGERS):
            connection.exec_driver_sql(statement)
