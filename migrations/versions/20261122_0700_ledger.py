"""Ledger

Revision ID: a3cfbeef1808
Revises: 570d6ca3997d
Created: 2026-11-22 07:00:46.859555+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = 'a3cfbeef1808'
down_revision: str | Sequence[str] | None = '570d6ca3997d'
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
BOOK = f"""
create or replace function ledger_book(
    p_platform uuid,
    p_ids uuid[], p_kinds text[], p_keys text[], p_ats timestamptz[], p_txns text[],
    p_matures timestamptz[], p_rooms uuid[], p_room_ms bigint[], p_facts jsonb[],
    p_account_kinds text[], p_owners text[], p_currencies text[],
    p_entry_of int[], p_entry_on int[], p_amounts bigint[],
    p_taken_by int[], p_lots uuid[], p_offsets int[], p_stars int[], p_cash bigint[]
) returns boolean language plpgsql {PLANS} as $$
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
WALLETS = f"""
create or replace function star_wallets(p_platform uuid, p_users text[], p_keys text[])
returns table (
    payer text, wallet_id bigint, open_disputes int,
    lot_id uuid, stars int, gone int, cash_minor bigint, promotional boolean,
    key text, booked uuid
) language plpgsql {PLANS} as $$
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

FUNCTIONS = (REFUSE_CHANGE, IS_OURS, CHECK_ENTRIES, ACCOUNTS, BOOK, WALLETS)
TRIGGERS = (
    'create trigger append_only before update or delete or truncate on ledger_transaction for each statement execute function ledger_refuse_change()',
    'create trigger append_only before update or delete or truncate on ledger_entry for each statement execute function ledger_refuse_change()',
    'create trigger append_only before update or delete or truncate on star_allocation for each statement execute function ledger_refuse_change()',
    'create trigger check_entries after insert on ledger_entry referencing new table as added for each statement execute function ledger_check_entries()',
)


def upgrade() -> None:
    op.create_table('ledger_entry',
    sa.Column('account_id', sa.BigInteger(), nullable=False),
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('transaction_id', sa.Uuid(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.CheckConstraint('amount <> 0', name=op.f('ck_ledger_entry_amount')),
    sa.PrimaryKeyConstraint('account_id', 'id', name=op.f('pk_ledger_entry'), postgresql_include=['at', 'amount'])
    )
    op.create_index('ix_ledger_entry_transaction_id', 'ledger_entry', ['transaction_id'], unique=False)
    op.create_table('ledger_transaction',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('kind', sa.Enum('purchase', 'promotion', 'tip', 'refund_requested', 'refund_succeeded', 'refund_failed', 'dispute_opened', 'dispute_won', 'dispute_lost', 'transfer_intent', 'transfer_confirmed', 'transfer_refused', 'transfer_reversed', 'payout_paid', 'payout_failed', 'platform_payout', 'connect_fee', 'stripe_fee', 'tax_paid', 'creator_deleted', name='event_kind', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('external_key', sa.Text(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('balance_transaction', sa.Text(), nullable=True),
    sa.Column('matures_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('room_id', sa.Uuid(), nullable=True),
    sa.Column('room_ms', sa.BigInteger(), nullable=True),
    sa.Column('facts', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.CheckConstraint("matures_at <= at + interval '365 days'", name=op.f('ck_ledger_transaction_matures_at')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ledger_transaction')),
    sa.UniqueConstraint('platform_id', 'external_key', name=op.f('uq_ledger_transaction_platform_id_external_key'))
    )
    op.create_index('ix_ledger_transaction_room_id', 'ledger_transaction', ['room_id'], unique=False, postgresql_where=sa.text('room_id is not null'))
    op.create_index('uq_ledger_transaction_balance_transaction', 'ledger_transaction', ['platform_id', 'balance_transaction'], unique=True, postgresql_where=sa.text('balance_transaction is not null'))
    op.create_table('star_allocation',
    sa.Column('lot_id', sa.Uuid(), nullable=False),
    sa.Column('transaction_id', sa.Uuid(), nullable=False),
    sa.Column('offset', sa.Integer(), nullable=False),
    sa.Column('stars', sa.Integer(), nullable=False),
    sa.Column('cash_minor', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('lot_id', 'transaction_id', name=op.f('pk_star_allocation'))
    )
    op.create_table('ledger_account',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('kind', sa.Enum('stripe', 'bank', 'stars_liability', 'creator', 'creator_hold', 'transfer_inflight', 'dispute_recv', 'refund_clearing', 'tax_payable', 'unclaimed', 'rev:fee', 'exp:stripe', 'exp:dispute', 'exp:connect', 'exp:promo', 'exp:loss', 'fx', 'connected', 'connected_contra', 'creator_bank', 'creator_bank_contra', 'wallet', 'wallet_hold', 'xst_issued', name='account_kind', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('owner', sa.Text(), server_default='', nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('balance', sa.BigInteger(), nullable=True),
    sa.Column('open_disputes', sa.Integer(), server_default='0', nullable=False),
    sa.CheckConstraint("(balance is not null) = (kind in ('wallet', 'wallet_hold', 'creator_hold'))", name=op.f('ck_ledger_account_cached')),
    sa.CheckConstraint("(currency = 'XST') = (kind in ('wallet', 'wallet_hold', 'xst_issued'))", name=op.f('ck_ledger_account_stars')),
    sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f('ck_ledger_account_currency')),
    sa.CheckConstraint("kind <> 'creator_hold' or balance <= 0", name=op.f('ck_ledger_account_ceiling')),
    sa.CheckConstraint("kind not in ('wallet', 'wallet_hold') or balance >= 0", name=op.f('ck_ledger_account_floor')),
    sa.CheckConstraint('open_disputes >= 0', name=op.f('ck_ledger_account_open_disputes')),
    sa.ForeignKeyConstraint(['platform_id'], ['platform.id'], name=op.f('fk_ledger_account_platform_id_platform')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ledger_account')),
    sa.UniqueConstraint('platform_id', 'kind', 'owner', 'currency', name=op.f('uq_ledger_account_platform_id_kind_owner_currency'))
    )
    op.create_table('money_exception',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('object_id', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('resolved_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('resolution', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['platform_id'], ['platform.id'], name=op.f('fk_money_exception_platform_id_platform')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_money_exception')),
    sa.UniqueConstraint('platform_id', 'object_id', 'reason', name=op.f('uq_money_exception_platform_id_object_id_reason'))
    )
    op.create_index('ix_money_exception_unresolved', 'money_exception', ['platform_id'], unique=False, postgresql_where=sa.text('resolved_at is null'))
    op.create_table('stripe_balance_transaction',
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('source', sa.Text(), server_default='', nullable=False),
    sa.Column('amount_minor', sa.BigInteger(), nullable=False),
    sa.Column('fee_minor', sa.BigInteger(), nullable=False),
    sa.Column('net_minor', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('transfer_intent_id', sa.Uuid(), nullable=True),
    sa.Column('seen_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('net_minor = amount_minor - fee_minor', name=op.f('ck_stripe_balance_transaction_net')),
    sa.ForeignKeyConstraint(['platform_id'], ['platform.id'], name=op.f('fk_stripe_balance_transaction_platform_id_platform')),
    sa.PrimaryKeyConstraint('platform_id', 'id', name=op.f('pk_stripe_balance_transaction'))
    )
    op.create_index('ix_stripe_balance_transaction_platform_id_at', 'stripe_balance_transaction', ['platform_id', 'at'], unique=False)
    op.create_index('ix_stripe_balance_transaction_transfer_intent_id', 'stripe_balance_transaction', ['transfer_intent_id'], unique=False, postgresql_where=sa.text('transfer_intent_id is not null'))
    op.create_table('creator',
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('payouts_failed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('leaving_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['platform_id'], ['platform.id'], name=op.f('fk_creator_platform_id_platform')),
    sa.ForeignKeyConstraint(['user_id'], ['user_account.id'], name=op.f('fk_creator_user_id_user_account')),
    sa.PrimaryKeyConstraint('platform_id', 'user_id', name=op.f('pk_creator'))
    )
    op.create_table('ledger_checkpoint',
    sa.Column('account_id', sa.BigInteger(), nullable=False),
    sa.Column('through_id', sa.BigInteger(), nullable=False),
    sa.Column('balance', sa.BigInteger(), nullable=False),
    sa.Column('taken_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['ledger_account.id'], name=op.f('fk_ledger_checkpoint_account_id_ledger_account')),
    sa.PrimaryKeyConstraint('account_id', name=op.f('pk_ledger_checkpoint'))
    )
    op.create_table('star_lot',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('wallet_id', sa.BigInteger(), nullable=False),
    sa.Column('stars', sa.Integer(), nullable=False),
    sa.Column('gone', sa.Integer(), server_default='0', nullable=False),
    sa.Column('cash_minor', sa.BigInteger(), nullable=False),
    sa.Column('tax_minor', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('charged_in', sa.Text(), nullable=False),
    sa.Column('promotional', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('bought_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('cash_minor >= 0 and tax_minor >= 0', name=op.f('ck_star_lot_cash_minor')),
    sa.CheckConstraint('gone between 0 and stars', name=op.f('ck_star_lot_gone')),
    sa.CheckConstraint('not promotional or cash_minor = 0', name=op.f('ck_star_lot_promotional')),
    sa.CheckConstraint('stars > 0', name=op.f('ck_star_lot_stars')),
    sa.ForeignKeyConstraint(['id'], ['ledger_transaction.id'], name=op.f('fk_star_lot_id_ledger_transaction')),
    sa.ForeignKeyConstraint(['wallet_id'], ['ledger_account.id'], name=op.f('fk_star_lot_wallet_id_ledger_account')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_star_lot')),
    postgresql_with={'fillfactor': '70'}
    )
    op.create_index('ix_star_lot_wallet_id_bought_at_id', 'star_lot', ['wallet_id', 'bought_at', 'id'], unique=False)
    op.create_table('lot_dispute',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('stripe_dispute', sa.Text(), nullable=False),
    sa.Column('lot_id', sa.Uuid(), nullable=False),
    sa.Column('amount_minor', sa.BigInteger(), nullable=False),
    sa.Column('tax_minor', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.Enum('open', 'won', 'lost', name='dispute_state', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('amount_minor > 0', name=op.f('ck_lot_dispute_amount_minor')),
    sa.ForeignKeyConstraint(['lot_id'], ['star_lot.id'], name=op.f('fk_lot_dispute_lot_id_star_lot')),
    sa.ForeignKeyConstraint(['platform_id'], ['platform.id'], name=op.f('fk_lot_dispute_platform_id_platform')),
    sa.ForeignKeyConstraint(['user_id'], ['user_account.id'], name=op.f('fk_lot_dispute_user_id_user_account')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_lot_dispute')),
    sa.UniqueConstraint('platform_id', 'stripe_dispute', name=op.f('uq_lot_dispute_platform_id_stripe_dispute'))
    )
    op.create_index('ix_lot_dispute_lot_id', 'lot_dispute', ['lot_id'], unique=False)
    op.create_table('lot_return',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('lot_id', sa.Uuid(), nullable=False),
    sa.Column('stars', sa.Integer(), nullable=False),
    sa.Column('cash_minor', sa.BigInteger(), nullable=False),
    sa.Column('tax_minor', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('state', sa.Enum('requested', 'succeeded', 'failed', name='return_state', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('requested_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('settled_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('stars > 0', name=op.f('ck_lot_return_stars')),
    sa.ForeignKeyConstraint(['lot_id'], ['star_lot.id'], name=op.f('fk_lot_return_lot_id_star_lot')),
    sa.ForeignKeyConstraint(['platform_id'], ['platform.id'], name=op.f('fk_lot_return_platform_id_platform')),
    sa.ForeignKeyConstraint(['user_id'], ['user_account.id'], name=op.f('fk_lot_return_user_id_user_account')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_lot_return'))
    )
    op.create_index('ix_lot_return_lot_id', 'lot_return', ['lot_id'], unique=False)
    op.create_table('transfer_intent',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('creator_id', sa.Uuid(), nullable=False),
    sa.Column('amount_minor', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('destination', sa.Text(), nullable=False),
    sa.Column('state', sa.Enum('open', 'confirmed', 'refused', name='intent_state', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('stripe_transfer', sa.Text(), nullable=True),
    sa.Column('reversed_minor', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('error_code', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('settled_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(state = 'confirmed') = (stripe_transfer is not null)", name=op.f('ck_transfer_intent_confirmed')),
    sa.CheckConstraint('amount_minor > 0', name=op.f('ck_transfer_intent_amount_minor')),
    sa.CheckConstraint('reversed_minor between 0 and amount_minor', name=op.f('ck_transfer_intent_reversed_minor')),
    sa.ForeignKeyConstraint(['platform_id', 'creator_id'], ['creator.platform_id', 'creator.user_id'], name=op.f('fk_transfer_intent_platform_id_creator_id_creator')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_transfer_intent')),
    sa.UniqueConstraint('stripe_transfer', name=op.f('uq_transfer_intent_stripe_transfer'))
    )
    op.create_index('ix_transfer_intent_platform_id_creator_id', 'transfer_intent', ['platform_id', 'creator_id'], unique=False)
    op.create_index('uq_transfer_intent_open', 'transfer_intent', ['platform_id', 'creator_id'], unique=True, postgresql_where=sa.text("state = 'open'"))
    op.create_table('dispute_claim',
    sa.Column('dispute_id', sa.Uuid(), nullable=False),
    sa.Column('tip_id', sa.Uuid(), nullable=False),
    sa.Column('cash_minor', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['dispute_id'], ['lot_dispute.id'], name=op.f('fk_dispute_claim_dispute_id_lot_dispute')),
    sa.ForeignKeyConstraint(['tip_id'], ['ledger_transaction.id'], name=op.f('fk_dispute_claim_tip_id_ledger_transaction')),
    sa.PrimaryKeyConstraint('dispute_id', 'tip_id', name=op.f('pk_dispute_claim'))
    )
    op.create_index(op.f('ix_dispute_claim_tip_id'), 'dispute_claim', ['tip_id'], unique=False)
    op.create_table('dispute_hold',
    sa.Column('dispute_id', sa.Uuid(), nullable=False),
    sa.Column('tip_id', sa.Uuid(), nullable=False),
    sa.Column('creator_id', sa.Uuid(), nullable=False),
    sa.Column('amount_minor', sa.BigInteger(), nullable=False),
    sa.Column('held', sa.Boolean(), nullable=False),
    sa.CheckConstraint('amount_minor > 0', name=op.f('ck_dispute_hold_amount_minor')),
    sa.ForeignKeyConstraint(['dispute_id', 'tip_id'], ['dispute_claim.dispute_id', 'dispute_claim.tip_id'], name=op.f('fk_dispute_hold_dispute_id_tip_id_dispute_claim')),
    sa.PrimaryKeyConstraint('dispute_id', 'tip_id', 'creator_id', name=op.f('pk_dispute_hold'))
    )
    op.create_index('ix_dispute_hold_creator_id', 'dispute_hold', ['creator_id'], unique=False)
    for statement in (*FUNCTIONS, *TRIGGERS):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.execute('drop function star_wallets')
    op.execute('drop function ledger_book')
    op.execute('drop function ledger_accounts')
    for table in (
        'dispute_hold', 'dispute_claim', 'transfer_intent', 'lot_return', 'lot_dispute',
        'star_lot', 'ledger_checkpoint', 'creator', 'stripe_balance_transaction',
        'money_exception', 'ledger_account', 'star_allocation', 'ledger_transaction',
        'ledger_entry',
    ):
        op.drop_table(table)
    op.execute('drop function ledger_check_entries')
    op.execute('drop function ledger_is_ours')
    op.execute('drop function ledger_refuse_change')
