"""Tips, goals, own limits, shares of the stage

Revision ID: 4b7e0d5a91c2
Revises: 8b1f3d6ae940
Created: 2026-11-22 10:03:11.204518+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '4b7e0d5a91c2'
down_revision: str | Sequence[str] | None = '8b1f3d6ae940'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

COURSE = (
    "kind in ('stage.joined', 'stage.left', 'recording.started', 'recording.paused', "
    "'recording.resumed', 'recording.stopped')"
)


def upgrade() -> None:
    op.create_table('room_goal',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('room_id', sa.Uuid(), nullable=False),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('target_stars', sa.Integer(), nullable=False),
    sa.Column('raised_stars', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('set_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('reached_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('raised_stars >= 0', name=op.f('ck_room_goal_raised_stars')),
    sa.CheckConstraint('target_stars > 0', name=op.f('ck_room_goal_target_stars')),
    sa.ForeignKeyConstraint(['room_id'], ['room.id'], name=op.f('fk_room_goal_room_id_room'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_room_goal')),
    postgresql_with={'fillfactor': '50'}
    )
    op.create_index('uq_room_goal_open', 'room_goal', ['room_id'], unique=True, postgresql_where=sa.text('closed_at is null'))
    op.create_table('room_tip',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('room_id', sa.Uuid(), nullable=False),
    sa.Column('payer_id', sa.Uuid(), nullable=False),
    sa.Column('goal_id', sa.Uuid(), nullable=True),
    sa.Column('stars', sa.Integer(), nullable=False),
    sa.Column('message', sa.Text(), nullable=True),
    sa.Column('anonymous', sa.Boolean(), nullable=False),
    sa.Column('live', sa.Boolean(), nullable=False),
    sa.Column('room_ms', sa.BigInteger(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('wish_sha256', sa.LargeBinary(), nullable=False),
    sa.Column('thanked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('hidden_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('room_ms >= 0', name=op.f('ck_room_tip_room_ms')),
    sa.CheckConstraint('stars > 0', name=op.f('ck_room_tip_stars')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_room_tip'))
    )
    op.create_index('ix_room_tip_payer_id_at', 'room_tip', ['payer_id', 'at'], unique=False)
    op.create_index('ix_room_tip_room_id_room_ms_id', 'room_tip', ['room_id', 'room_ms', 'id'], unique=False)
    op.create_table('spending_limit',
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('hour_stars', sa.Integer(), nullable=True),
    sa.Column('day_stars', sa.Integer(), nullable=True),
    sa.Column('set_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('hour_stars >= 0 and day_stars >= 0', name=op.f('ck_spending_limit_stars')),
    sa.ForeignKeyConstraint(['user_id'], ['user_account.id'], name=op.f('fk_spending_limit_user_id_user_account')),
    sa.PrimaryKeyConstraint('user_id', name=op.f('pk_spending_limit'))
    )
    op.add_column('room', sa.Column('speakers_share_bps', sa.Integer(), server_default='0', nullable=False))
    op.create_check_constraint(op.f('ck_room_speakers_share_bps'), 'room', 'speakers_share_bps between 0 and 10000')
    op.add_column('participant', sa.Column('share_bps', sa.Integer(), server_default='0', nullable=False))
    op.create_index('ix_room_event_course', 'room_event', ['room_id', 'seq'], unique=False, postgresql_where=sa.text(COURSE))


def downgrade() -> None:
    op.drop_index('ix_room_event_course', table_name='room_event', postgresql_where=sa.text(COURSE))
    op.drop_column('participant', 'share_bps')
    op.drop_constraint(op.f('ck_room_speakers_share_bps'), 'room', type_='check')
    op.drop_column('room', 'speakers_share_bps')
    op.drop_table('spending_limit')
    op.drop_index('ix_room_tip_room_id_room_ms_id', table_name='room_tip')
    op.drop_index('ix_room_tip_payer_id_at', table_name='room_tip')
    op.drop_table('room_tip')
    op.drop_index('uq_room_goal_open', table_name='room_goal', postgresql_where=sa.text('closed_at is null'))
    op.drop_table('room_goal')
