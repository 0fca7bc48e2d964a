"""Tips in fewer steps: one CHECK of a table, and functions that do more at once

Revision ID: c41d7f02a9be
Revises: e96573d0dcd0
Created: 2026-11-22 17:00:00.000000+00:00
"""

from collections.abc import Sequence

from alembic import op

revision: str = 'c41d7f02a9be'
down_revision: str | Sequence[str] | None = 'e96573d0dcd0'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

PLANS = (
    "set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off"
    " set enable_mergejoin = off set enable_bitmapscan = off"
)
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
ROOM_HOLDS = """create or replace function room_holds(state text, visibility text, recording_state text, group_id uuid, live_at timestamptz, speakers_share_bps int) returns boolean language plpgsql immutable as $$
begin
    return (state in ('scheduled', 'live', 'ended'))
        and (visibility in ('public', 'unlisted', 'group'))
        and (recording_state in ('off', 'on', 'paused'))
        and ((visibility = 'group') = (group_id is not null))
        and ((state = 'scheduled') = (live_at is null))
        and (speakers_share_bps between 0 and 10000);
end $$"""
CHECKS = (
    ('ledger_account', 'ck_ledger_account_account_kind', "kind in ('stripe', 'bank', 'stars_liability', 'creator', 'creator_hold', 'transfer_inflight', 'dispute_recv', 'refund_clearing', 'tax_payable', 'unclaimed', 'rev:fee', 'exp:stripe', 'exp:dispute', 'exp:connect', 'exp:promo', 'exp:loss', 'fx', 'connected', 'connected_contra', 'creator_bank', 'creator_bank_contra', 'wallet', 'wallet_hold', 'xst_issued')"),
    ('ledger_account', 'ck_ledger_account_currency', "currency ~ '^[A-Z]{3}$'"),
    ('ledger_account', 'ck_ledger_account_cached', "(balance is not null) = (kind in ('wallet', 'wallet_hold', 'creator_hold'))"),
    ('ledger_account', 'ck_ledger_account_stars', "(currency = 'XST') = (kind in ('wallet', 'wallet_hold', 'xst_issued'))"),
    ('ledger_account', 'ck_ledger_account_floor', "kind not in ('wallet', 'wallet_hold') or balance >= 0"),
    ('ledger_account', 'ck_ledger_account_ceiling', "kind <> 'creator_hold' or balance <= 0"),
    ('ledger_account', 'ck_ledger_account_open_disputes', 'open_disputes >= 0'),
    ('ledger_transaction', 'ck_ledger_transaction_event_kind', "kind in ('purchase', 'promotion', 'tip', 'refund_requested', 'refund_succeeded', 'refund_failed', 'dispute_opened', 'dispute_won', 'dispute_lost', 'transfer_intent', 'transfer_confirmed', 'transfer_refused', 'transfer_reversed', 'payout_paid', 'payout_failed', 'platform_payout', 'connect_fee', 'stripe_fee', 'tax_paid', 'creator_deleted')"),
    ('ledger_transaction', 'ck_ledger_transaction_matures_at', "matures_at <= at + interval '365 days'"),
    ('room', 'ck_room_group_room', "(visibility = 'group') = (group_id is not null)"),
    ('room', 'ck_room_live_at', "(state = 'scheduled') = (live_at is null)"),
    ('room', 'ck_room_speakers_share_bps', 'speakers_share_bps between 0 and 10000'),
    ('room', 'ck_room_room_state', "state in ('scheduled', 'live', 'ended')"),
    ('room', 'ck_room_visibility', "visibility in ('public', 'unlisted', 'group')"),
    ('room', 'ck_room_recording_state', "recording_state in ('off', 'on', 'paused')"),
)
HOLDS = (
    ('ledger_account', 'ck_ledger_account_holds', 'ledger_account_holds(kind, currency, balance, open_disputes)'),
    ('ledger_transaction', 'ck_ledger_transaction_holds', 'ledger_transaction_holds(kind, at, matures_at)'),
    ('room', 'ck_room_holds', 'room_holds(state, visibility, recording_state, group_id, live_at, speakers_share_bps)'),
)

def upgrade() -> None:
    op.execute(LEDGER_ACCOUNT_HOLDS)
    op.execute(LEDGER_TRANSACTION_HOLDS)
    op.execute(ROOM_HOLDS)
    for table, name, _ in CHECKS:
        op.drop_constraint(op.f(name), table)
    for table, name, check in HOLDS:
        op.create_check_constraint(op.f(name), table, check)
    op.drop_index('ix_ledger_entry_transaction_id', table_name='ledger_entry')
    op.create_index('ix_ledger_entry_transaction_id', 'ledger_entry', ['transaction_id'], postgresql_using='brin', postgresql_with={'pages_per_range': '16', 'autosummarize': 'on'})


def downgrade() -> None:
    for table, name, _ in HOLDS:
        op.drop_constraint(op.f(name), table)
    for table, name, check in CHECKS:
        op.create_check_constraint(op.f(name), table, check)
    op.execute('drop function ledger_account_holds')
    op.execute('drop function ledger_transaction_holds')
    op.execute('drop function room_holds')
    op.drop_index('ix_ledger_entry_transaction_id', table_name='ledger_entry')
    op.create_index('ix_ledger_entry_transaction_id', 'ledger_entry', ['transaction_id'])
