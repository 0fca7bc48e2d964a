"""Orders, refunds, accounts and events of Stripe

Revision ID: eb2cc786ca66
Revises: 5b0e93d1c7fa
Created: 2026-11-22 08:14:06.522540+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = 'eb2cc786ca66'
down_revision: str | Sequence[str] | None = '5b0e93d1c7fa'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table('stripe_books',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('livemode', sa.Boolean(), nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('reconciled_to', sa.DateTime(timezone=True), nullable=True),
    sa.Column('clock_ahead', sa.Interval(), server_default='0', nullable=False),
    sa.CheckConstraint('id = 1', name=op.f('ck_stripe_books_one')),
    sa.CheckConstraint("not livemode or clock_ahead = interval '0'", name=op.f('ck_stripe_books_clock_ahead')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_stripe_books'))
    )
    op.create_table('stripe_event',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('account', sa.Text(), nullable=True),
    sa.Column('api_version', sa.Text(), nullable=True),
    sa.Column('livemode', sa.Boolean(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('state', sa.Enum('received', 'done', 'set_aside', name='inbox_state', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('settled_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_stripe_event'))
    )
    op.create_index('ix_stripe_event_waiting', 'stripe_event', ['received_at'], unique=False, postgresql_where=sa.text("state = 'received'"))
    op.create_table('connected_account',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('livemode', sa.Boolean(), nullable=False),
    sa.Column('country', sa.Text(), nullable=True),
    sa.Column('account', sa.Text(), nullable=True),
    sa.Column('transfers_active', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('payouts_enabled', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('details_submitted', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('due', sa.ARRAY(sa.Text()), server_default='{}', nullable=False),
    sa.Column('pending', sa.ARRAY(sa.Text()), server_default='{}', nullable=False),
    sa.Column('disabled_reason', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('read_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['platform_id'], ['platform.id'], name=op.f('fk_connected_account_platform_id_platform')),
    sa.ForeignKeyConstraint(['user_id'], ['user_account.id'], name=op.f('fk_connected_account_user_id_user_account')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_connected_account')),
    sa.UniqueConstraint('account', name=op.f('uq_connected_account_account')),
    sa.UniqueConstraint('platform_id', 'user_id', name=op.f('uq_connected_account_platform_id_user_id'))
    )
    op.create_table('star_order',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('client_key', sa.Text(), nullable=False),
    sa.Column('pack', sa.Text(), nullable=False),
    sa.Column('stars', sa.Integer(), nullable=False),
    sa.Column('price_minor', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('tax_minor', sa.BigInteger(), nullable=False),
    sa.Column('livemode', sa.Boolean(), nullable=False),
    sa.Column('state', sa.Enum('new', 'open', 'paid', 'expired', 'failed', name='order_state', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('checkout_session', sa.Text(), nullable=True),
    sa.Column('checkout_url', sa.Text(), nullable=True),
    sa.Column('payment_intent', sa.Text(), nullable=True),
    sa.Column('charge', sa.Text(), nullable=True),
    sa.Column('lot_id', sa.Uuid(), nullable=True),
    sa.Column('failure_code', sa.Text(), nullable=True),
    sa.Column('paid_with', sa.Text(), nullable=True),
    sa.Column('receipt_url', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('paid_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(state = 'paid') = (paid_at is not null)", name=op.f('ck_star_order_paid')),
    sa.CheckConstraint('stars > 0 and price_minor > 0', name=op.f('ck_star_order_amounts')),
    sa.CheckConstraint('tax_minor between 0 and price_minor', name=op.f('ck_star_order_tax')),
    sa.ForeignKeyConstraint(['platform_id'], ['platform.id'], name=op.f('fk_star_order_platform_id_platform')),
    sa.ForeignKeyConstraint(['user_id'], ['user_account.id'], name=op.f('fk_star_order_user_id_user_account')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_star_order')),
    sa.UniqueConstraint('charge', name=op.f('uq_star_order_charge')),
    sa.UniqueConstraint('checkout_session', name=op.f('uq_star_order_checkout_session')),
    sa.UniqueConstraint('user_id', 'client_key', name=op.f('uq_star_order_user_id_client_key'))
    )
    op.create_index('ix_star_order_user_id_id', 'star_order', ['user_id', 'id'], unique=False)
    op.create_index('ix_star_order_waiting', 'star_order', ['expires_at'], unique=False, postgresql_where=sa.text("state in ('new', 'open')"))
    op.create_table('star_refund',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('order_id', sa.Uuid(), nullable=False),
    sa.Column('stars', sa.Integer(), nullable=False),
    sa.Column('amount_minor', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.Enum('open', 'succeeded', 'failed', name='refund_state', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('stripe_refund', sa.Text(), nullable=True),
    sa.Column('failure_code', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('settled_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('amount_minor > 0', name=op.f('ck_star_refund_amount_minor')),
    sa.ForeignKeyConstraint(['id'], ['lot_return.id'], name=op.f('fk_star_refund_id_lot_return')),
    sa.ForeignKeyConstraint(['order_id'], ['star_order.id'], name=op.f('fk_star_refund_order_id_star_order')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_star_refund')),
    sa.UniqueConstraint('stripe_refund', name=op.f('uq_star_refund_stripe_refund'))
    )
    op.create_index(op.f('ix_star_refund_order_id'), 'star_refund', ['order_id'], unique=False)
    op.create_index('uq_star_refund_open', 'star_refund', ['order_id'], unique=True, postgresql_where=sa.text("state = 'open'"))


def downgrade() -> None:
    for table in ('star_refund', 'star_order', 'connected_account', 'stripe_event', 'stripe_books'):
        op.drop_table(table)
