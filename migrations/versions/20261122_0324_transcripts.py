"""Transcripts

Revision ID: 95036c63fe65
Revises: 3b7e90a4d152
Created: 2026-11-22 03:24:48.211010+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = '95036c63fe65'
down_revision: str | Sequence[str] | None = '3b7e90a4d152'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table('transcript_cue',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('recording_id', sa.Uuid(), nullable=False),
    sa.Column('room_id', sa.Uuid(), nullable=False),
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('participant_id', sa.Uuid(), nullable=False),
    sa.Column('start_ms', sa.BigInteger(), nullable=False),
    sa.Column('end_ms', sa.BigInteger(), nullable=False),
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('words', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('confidence', sa.Double(), nullable=False),
    sa.Column('edited', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.ForeignKeyConstraint(['participant_id'], ['participant.id'], name=op.f('fk_transcript_cue_participant_id_participant')),
    sa.ForeignKeyConstraint(['platform_id'], ['platform.id'], name=op.f('fk_transcript_cue_platform_id_platform')),
    sa.ForeignKeyConstraint(['recording_id'], ['recording.id'], name=op.f('fk_transcript_cue_recording_id_recording')),
    sa.ForeignKeyConstraint(['room_id'], ['room.id'], name=op.f('fk_transcript_cue_room_id_room')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_transcript_cue'))
    )
    op.create_index(op.f('ix_transcript_cue_participant_id'), 'transcript_cue', ['participant_id'], unique=False)
    op.create_index('ix_transcript_cue_recording_id_start_ms', 'transcript_cue', ['recording_id', 'start_ms'], unique=False)
    op.create_table('transcript_missing',
    sa.Column('recording_id', sa.Uuid(), nullable=False),
    sa.Column('participant_id', sa.Uuid(), nullable=False),
    sa.Column('start_ms', sa.BigInteger(), nullable=False),
    sa.Column('end_ms', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['participant_id'], ['participant.id'], name=op.f('fk_transcript_missing_participant_id_participant')),
    sa.ForeignKeyConstraint(['recording_id'], ['recording.id'], name=op.f('fk_transcript_missing_recording_id_recording')),
    sa.PrimaryKeyConstraint('recording_id', 'participant_id', 'start_ms', name=op.f('pk_transcript_missing'))
    )
    op.create_table('transcript_run',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('recording_id', sa.Uuid(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('model', sa.Text(), nullable=False),
    sa.Column('model_digest', sa.Text(), nullable=True),
    sa.Column('compute_type', sa.Text(), nullable=True),
    sa.Column('status', sa.Enum('waiting', 'running', 'done', 'failed', name='run_status', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('error_code', sa.Text(), nullable=True),
    sa.Column('requested_by', sa.Uuid(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['recording_id'], ['recording.id'], name=op.f('fk_transcript_run_recording_id_recording')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_transcript_run'))
    )
    op.create_index(op.f('ix_transcript_run_recording_id'), 'transcript_run', ['recording_id'], unique=False)
    op.create_table('transcript_speaker_name',
    sa.Column('recording_id', sa.Uuid(), nullable=False),
    sa.Column('participant_id', sa.Uuid(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('set_by', sa.Uuid(), nullable=False),
    sa.Column('set_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['participant_id'], ['participant.id'], name=op.f('fk_transcript_speaker_name_participant_id_participant')),
    sa.ForeignKeyConstraint(['recording_id'], ['recording.id'], name=op.f('fk_transcript_speaker_name_recording_id_recording')),
    sa.PrimaryKeyConstraint('recording_id', 'participant_id', name=op.f('pk_transcript_speaker_name'))
    )
    op.create_table('transcript_track_language',
    sa.Column('participant_id', sa.Uuid(), nullable=False),
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('set_by', sa.Uuid(), nullable=True),
    sa.Column('set_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['participant_id'], ['participant.id'], name=op.f('fk_transcript_track_language_participant_id_participant'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('participant_id', name=op.f('pk_transcript_track_language'))
    )
    op.create_table('transcript',
    sa.Column('recording_id', sa.Uuid(), nullable=False),
    sa.Column('run_id', sa.Uuid(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('run_version', sa.Integer(), server_default='1', nullable=False),
    sa.Column('published_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['recording_id'], ['recording.id'], name=op.f('fk_transcript_recording_id_recording')),
    sa.ForeignKeyConstraint(['run_id'], ['transcript_run.id'], name=op.f('fk_transcript_run_id_transcript_run')),
    sa.PrimaryKeyConstraint('recording_id', name=op.f('pk_transcript'))
    )
    op.create_table('transcript_patch',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('recording_id', sa.Uuid(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('participant_id', sa.Uuid(), nullable=False),
    sa.Column('start_ms', sa.BigInteger(), nullable=False),
    sa.Column('end_ms', sa.BigInteger(), nullable=False),
    sa.Column('text', sa.Text(), nullable=True),
    sa.Column('breaks', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False),
    sa.Column('replaced', sa.Text(), nullable=False),
    sa.Column('run_id', sa.Uuid(), nullable=False),
    sa.Column('state', sa.Enum('applied', 'conflict', 'withdrawn', name='patch_state', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('version', sa.Integer(), server_default='0', nullable=False),
    sa.Column('author_id', sa.Uuid(), nullable=False),
    sa.Column('withdrawn_by', sa.Uuid(), nullable=True),
    sa.Column('withdrawn_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['author_id'], ['user_account.id'], name=op.f('fk_transcript_patch_author_id_user_account')),
    sa.ForeignKeyConstraint(['participant_id'], ['participant.id'], name=op.f('fk_transcript_patch_participant_id_participant')),
    sa.ForeignKeyConstraint(['recording_id'], ['recording.id'], name=op.f('fk_transcript_patch_recording_id_recording')),
    sa.ForeignKeyConstraint(['run_id'], ['transcript_run.id'], name=op.f('fk_transcript_patch_run_id_transcript_run')),
    sa.ForeignKeyConstraint(['withdrawn_by'], ['user_account.id'], name=op.f('fk_transcript_patch_withdrawn_by_user_account')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_transcript_patch')),
    sa.UniqueConstraint('recording_id', 'number', name=op.f('uq_transcript_patch_recording_id_number'))
    )
    op.create_table('transcript_run_track',
    sa.Column('run_id', sa.Uuid(), nullable=False),
    sa.Column('participant_id', sa.Uuid(), nullable=False),
    sa.Column('language', sa.Text(), nullable=True),
    sa.Column('language_probability', sa.Double(), nullable=False),
    sa.Column('speech_ms', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['participant_id'], ['participant.id'], name=op.f('fk_transcript_run_track_participant_id_participant')),
    sa.ForeignKeyConstraint(['run_id'], ['transcript_run.id'], name=op.f('fk_transcript_run_track_run_id_transcript_run')),
    sa.PrimaryKeyConstraint('run_id', 'participant_id', name=op.f('pk_transcript_run_track'))
    )
    op.create_table('transcript_window',
    sa.Column('run_id', sa.Uuid(), nullable=False),
    sa.Column('participant_id', sa.Uuid(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('regions', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('words', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('missing', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False),
    sa.Column('decoded_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['run_id', 'participant_id'], ['transcript_run_track.run_id', 'transcript_run_track.participant_id'], name=op.f('fk_transcript_window_run_id_participant_id_transcript_run_track')),
    sa.PrimaryKeyConstraint('run_id', 'participant_id', 'number', name=op.f('pk_transcript_window'))
    )
    op.create_table('transcript_rename',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('recording_id', sa.Uuid(), nullable=False),
    sa.Column('participant_id', sa.Uuid(), nullable=False),
    sa.Column('replaced', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('author_id', sa.Uuid(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['author_id'], ['user_account.id'], name=op.f('fk_transcript_rename_author_id_user_account')),
    sa.ForeignKeyConstraint(['participant_id'], ['participant.id'], name=op.f('fk_transcript_rename_participant_id_participant')),
    sa.ForeignKeyConstraint(['recording_id'], ['recording.id'], name=op.f('fk_transcript_rename_recording_id_recording')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_transcript_rename'))
    )
    op.create_index(op.f('ix_transcript_rename_recording_id'), 'transcript_rename', ['recording_id'], unique=False)


def downgrade() -> None:
    for table in (
        'transcript_rename', 'transcript_window', 'transcript_run_track',
        'transcript_patch', 'transcript', 'transcript_track_language',
        'transcript_speaker_name', 'transcript_run', 'transcript_missing', 'transcript_cue',
    ):
        op.drop_table(table)
