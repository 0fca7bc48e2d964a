"""Entries come with their transaction

An entry that is added to a transaction of the books later is refused, also one of a balanced pair.

Revision ID: d07b3c95a1e4
Revises: 6a3f0be81c57
Created: 2026-11-22 16:45:00.000000+00:00
"""

from collections.abc import Sequence

from alembic import op

revision: str = 'd07b3c95a1e4'
down_revision: str | Sequence[str] | None = '6a3f0be81c57'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

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
            or t.xmin <> pg_current_xact_id()::xid and not ledger_is_ours(t.xmin)
    ) then
        raise exception
            'an entry is not of its account''s currency, platform or transaction, or comes after it'
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


def upgrade() -> None:
    for statement in (IS_OURS, CHECK_ENTRIES):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(OLD_CHECK_ENTRIES)
    op.execute("drop function ledger_is_ours")
