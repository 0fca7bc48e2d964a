"""Who renamed a speaker of a transcript, and when

Revision ID: 2f9c71d08be6
Revises: 8c41d0a7be52
Created: 2026-11-22 11:10:52.118230+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '2f9c71d08be6'
down_revision: str | Sequence[str] | None = '8c41d0a7be52'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
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
    op.drop_index(op.f('ix_transcript_rename_recording_id'), table_name='transcript_rename')
    op.drop_table('transcript_rename')
