"""Subtitles

Revision ID: 6bc59be3051e
Revises: 95036c63fe65
Created: 2026-11-22 03:36:55.087018+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '6bc59be3051e'
down_revision: str | Sequence[str] | None = '95036c63fe65'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table('subtitle_track',
    sa.Column('recording_id', sa.Uuid(), nullable=False),
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('kind', sa.Enum('live', 'final', name='subtitle_kind', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('version', sa.Integer(), server_default='1', nullable=False),
    sa.Column('last_number', sa.Integer(), server_default='0', nullable=False),
    sa.ForeignKeyConstraint(['recording_id'], ['recording.id'], name=op.f('fk_subtitle_track_recording_id_recording')),
    sa.PrimaryKeyConstraint('recording_id', name=op.f('pk_subtitle_track'))
    )
    op.create_table('subtitle_cue',
    sa.Column('recording_id', sa.Uuid(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('participant_id', sa.Uuid(), nullable=False),
    sa.Column('name', sa.Text(), nullable=True),
    sa.Column('kind', sa.Enum('live', 'final', name='subtitle_kind', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('start_ms', sa.BigInteger(), nullable=False),
    sa.Column('end_ms', sa.BigInteger(), nullable=False),
    sa.Column('stored_ms', sa.BigInteger(), nullable=True),
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['participant_id'], ['participant.id'], name=op.f('fk_subtitle_cue_participant_id_participant')),
    sa.ForeignKeyConstraint(['recording_id'], ['subtitle_track.recording_id'], name=op.f('fk_subtitle_cue_recording_id_subtitle_track')),
    sa.PrimaryKeyConstraint('recording_id', 'number', name=op.f('pk_subtitle_cue'))
    )


def downgrade() -> None:
    op.drop_table('subtitle_cue')
    op.drop_table('subtitle_track')
