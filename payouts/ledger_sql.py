"""What PostgreSQL itself holds of the books: functions and triggers, whoever writes.

`ledger_book` is the one way in; it is a function so that postings take one round trip, however many
they are, and so that locks are taken in one order. The triggers do not trust it.
"""

from typing import Any, Final

import sqlalchemy as sa

from core.db import PLANS

BALANCED: Final = "'wallet', 'wallet_hold', 'creator_hold'"
"""Kinds of accounts that have a balance and a floor, as SQL (`ledger_account_holds`)."""

REFUSE_CHANGE: Final = """
create or replace function ledger_refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name
        using errcode = 'integrity_constraint_violation';
end $$
"""

# A row that we see is ours where its (sub)transaction is still open: savepoints have ids of their
# own, behind that of their transaction.
IS_OURS: Final = """
create or replace function ledger_is_ours(p_made_by xid) returns boolean language plpgsql as $$
declare
    ours xid8 := pg_current_xact_id();
    ahead bigint := age(ours::xid)::bigint - age(p_made_by);
begin
    return ahead >= 0
        and pg_xact_status((ours::text::bigint + ahead)::text::xid8) = 'in progress';
end $$
"""

# Entries of a transaction, currency and platform are looked at together, their transaction once.
CHECK_ENTRIES: Final = f"""
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
"""  # noqa: S608 - constants

SHEET: Final = """
    p_platform uuid,
    p_ids uuid[], p_kinds text[], p_keys text[], p_ats timestamptz[], p_txns text[],
    p_matures timestamptz[], p_rooms uuid[], p_room_ms bigint[], p_facts jsonb[],
    p_accounts bigint[], p_account_kinds text[], p_owners text[], p_currencies text[],
    p_entry_of int[], p_entry_on int[], p_amounts bigint[],
    p_taken_by int[], p_lots uuid[], p_offsets int[], p_stars int[], p_cash bigint[]
"""
"""The parameters of `ledger_book`, for functions that book among other things. `p_accounts`: ids of
the accounts as far as the caller knows them, otherwise null."""

# Null where all of the keys have been booked; otherwise the ids of the accounts. Arrays are read by
# number: unnest would put each of them into a table first. Wallets are locked in one order: joins
# are nested loops here (PLANS), and the update follows its subquery.
#
# Two that book one key at once may meet first in the index of balance transactions: no conflict
# raises by itself, and which it was is looked up.
BOOK: Final = f"""
create or replace function ledger_book({SHEET}) returns bigint[] language plpgsql {PLANS} as $$
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
        where p_account_kinds[p_entry_on[i]] in ({BALANCED})
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
"""  # noqa: S608 - constants

ACCOUNTS: Final = f"""
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
            case when n.kind in ({BALANCED}) then 0 end
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
"""  # noqa: S608 - constants

# Whatever moves Stars writes the wallet's row, so its xmin is a version of all that is read here.
WALLETS: Final = f"""
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
"""  # noqa: S608 - constants

# Waits for who writes to one of them, and holds them then.
UNCHANGED: Final = f"""
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
"""  # noqa: S608 - constants

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

FUNCTIONS: Final = (REFUSE_CHANGE, IS_OURS, CHECK_ENTRIES, ACCOUNTS, BOOK, WALLETS, UNCHANGED)


def install_with(metadata: sa.MetaData) -> None:
    """`metadata.create_all` makes functions and triggers too, as the migrations do."""
    sa.event.listen(metadata, "after_create", _install)


def _install(_target: sa.MetaData, connection: sa.Connection, **kw: Any) -> None:
    if any(table.name == "ledger_entry" for table in kw.get("tables") or ()):
        for statement in (*FUNCTIONS, *TRIGGERS):
            connection.exec_driver_sql(statement)
