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

LEDGER_ACCOUNT_HOLDS = """create or replace function ledger_account_holds(kind text, currency text, balance bigint, open_disputes int) returns boolean language plpgsql immutable as $$
begin
    return (kind in ('stripe', 'bank', 'stars_liability', 'creator', 'creator_hold', 'transfer_inflight', 'dispute_recv', 'refund_clearing', 'tax_payable', 'unclaimed', 'rev:fee', 'exp:stripe', 'exp:dispute', 'exp:connect', 'exp:promo', 'exp:loss', 'fx', 'connected', 'connected_contra', 'creator_bank', 'creator_bank_contra', 'wallet', 'wallet_hold', 'xst_issued'))
        and (currency ~ '^[A-Z]{3}$')
        and ((balance is not null) = (kind in ('wallet', 'wallet_hold', 'creator_hold')))
        and ((currency = 'XST') = (kind in ('wallet', 'wallet_hold', 'xst_issued')))
        and (kind not in ('wallet', 'wallet_hold') or balance >= 0)
        and (kind <> 'creator_hold' or balance <= 0)
        and (open_disputes >= 0);
end $$"""
LEDGER_TRANSACTION_HOLDS = """create or replace function ledger_transaction_holds(kind text, at timestamptz, matures_at timestamptz) returns boolean language plpgsql immutable as $$
begin
    return (kind in ('purchase', 'promotion', 'tip', 'refund_requested', 'refund_succeeded', 'refund_failed', 'dispute_opened', 'dispute_won', 'dispute_lost', 'transfer_intent', 'transfer_confirmed', 'transfer_refused', 'transfer_reversed', 'payout_paid', 'payout_failed', 'platform_payout', 'connect_fee', 'stripe_fee', 'tax_paid', 'creator_deleted'))
        and (matures_at is null or matures_at <= at + interval '365 days');
end $$"""


def upgrade() -> None:
    op.execute(LEDGER_ACCOUNT_HOLDS)
    op.execute(LEDGER_TRANSACTION_HOLDS)
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
    op.create_index('ix_ledger_entry_transaction_id', 'ledger_entry', ['transaction_id'], postgresql_using='brin', postgresql_with={'pages_per_range': '16', 'autosummarize': 'on'})
    op.create_table('ledger_transaction',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('kind', sa.Enum('purchase', 'promotion', 'tip', 'refund_requested', 'refund_succeeded', 'refund_failed', 'dispute_opened', 'dispute_won', 'dispute_lost', 'transfer_intent', 'transfer_confirmed', 'transfer_refused', 'transfer_reversed', 'payout_paid', 'payout_failed', 'platform_payout', 'connect_fee', 'stripe_fee', 'tax_paid', 'creator_deleted', name='event_kind', native_enum=False, create_constraint=False), nullable=False),
    sa.Column('external_key', sa.Text(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('balance_transaction', sa.Text(), nullable=True),
    sa.Column('matures_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('room_id', sa.Uuid(), nullable=True),
    sa.Column('room_ms', sa.BigInteger(), nullable=True),
    sa.Column('facts', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.CheckConstraint('ledger_transaction_holds(kind, at, matures_at)', name=op.f('ck_ledger_transaction_holds')),
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
    sa.Column('kind', sa.Enum('stripe', 'bank', 'stars_liability', 'creator', 'creator_hold', 'transfer_inflight', 'dispute_recv', 'refund_clearing', 'tax_payable', 'unclaimed', 'rev:fee', 'exp:stripe', 'exp:dispute', 'exp:connect', 'exp:promo', 'exp:loss', 'fx', 'connected', 'connected_contra', 'creator_bank', 'creator_bank_contra', 'wallet', 'wallet_hold', 'xst_issued', name='account_kind', native_enum=False, create_constraint=False), nullable=False),
    sa.Column('owner', sa.Text(), server_default='', nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('balance', sa.BigInteger(), nullable=True),
    sa.Column('open_disputes', sa.Integer(), server_default='0', nullable=False),
    sa.CheckConstraint('ledger_account_holds(kind, currency, balance, open_disputes)', name=op.f('ck_ledger_account_holds')),
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


def downgrade() -> None:
    for table in (
        'dispute_hold', 'dispute_claim', 'transfer_intent', 'lot_return', 'lot_dispute',
        'star_lot', 'ledger_checkpoint', 'creator', 'stripe_balance_transaction',
        'money_exception', 'ledger_account', 'star_allocation', 'ledger_transaction',
        'ledger_entry',
    ):
        op.drop_table(table)
    op.execute('drop function ledger_transaction_holds')
    op.execute('drop function ledger_account_holds')
