"""Search

Revision ID: 535cf06caa28
Revises: 6bc59be3051e
Created: 2026-11-22 03:48:18.463587+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = '535cf06caa28'
down_revision: str | Sequence[str] | None = '6bc59be3051e'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # A trusted extension: whoever owns the database may create it, on managed servers too.
    op.execute("create extension if not exists pg_trgm")
    op.create_table('transcript_stem',
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('stem', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['platform_id'], ['platform.id'], name=op.f('fk_transcript_stem_platform_id_platform')),
    sa.PrimaryKeyConstraint('platform_id', 'language', 'stem', name=op.f('pk_transcript_stem'))
    )
    op.create_index('ix_transcript_stem_trigrams', 'transcript_stem', ['stem'], unique=False, postgresql_using='gin', postgresql_ops={'stem': 'gin_trgm_ops'})
    op.create_table('transcript_searched',
    sa.Column('recording_id', sa.Uuid(), nullable=False),
    sa.Column('room_id', sa.Uuid(), nullable=False),
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('live_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('cues', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['platform_id'], ['platform.id'], name=op.f('fk_transcript_searched_platform_id_platform')),
    sa.ForeignKeyConstraint(['recording_id'], ['recording.id'], name=op.f('fk_transcript_searched_recording_id_recording'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['room_id'], ['room.id'], name=op.f('fk_transcript_searched_room_id_room'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('recording_id', name=op.f('pk_transcript_searched')),
    sa.UniqueConstraint('room_id', name=op.f('uq_transcript_searched_room_id'))
    )
    op.create_index('ix_transcript_searched_newest', 'transcript_searched', ['platform_id', sa.literal_column('live_at desc'), sa.literal_column('recording_id desc')], unique=False)
    op.create_table('transcript_searched_cue',
    sa.Column('cue_id', sa.Uuid(), nullable=False),
    sa.Column('recording_id', sa.Uuid(), nullable=False),
    sa.Column('participant_id', sa.Uuid(), nullable=False),
    sa.Column('live_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('start_ms', sa.BigInteger(), nullable=False),
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('vector', postgresql.TSVECTOR(), nullable=False),
    sa.ForeignKeyConstraint(['cue_id'], ['transcript_cue.id'], name=op.f('fk_transcript_searched_cue_cue_id_transcript_cue'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['participant_id'], ['participant.id'], name=op.f('fk_transcript_searched_cue_participant_id_participant')),
    sa.ForeignKeyConstraint(['recording_id'], ['recording.id'], name=op.f('fk_transcript_searched_cue_recording_id_recording'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('cue_id', name=op.f('pk_transcript_searched_cue'))
    )
    op.create_index(op.f('ix_transcript_searched_cue_participant_id'), 'transcript_searched_cue', ['participant_id'], unique=False)
    op.create_index(op.f('ix_transcript_searched_cue_recording_id'), 'transcript_searched_cue', ['recording_id'], unique=False)
    op.create_index('ix_transcript_searched_cue_vector', 'transcript_searched_cue', ['vector'], unique=False, postgresql_using='gin', postgresql_with={'fastupdate': 'off'})


def downgrade() -> None:
    for table in ('transcript_searched_cue', 'transcript_searched', 'transcript_stem'):
        op.drop_table(table)
