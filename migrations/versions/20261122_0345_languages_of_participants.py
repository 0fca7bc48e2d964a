"""Languages of participants, who have one before there is a recording

Revision ID: 5d0c2f9a7b31
Revises: 860a7499ee41
Created: 2026-11-22 03:45:10.000000+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "5d0c2f9a7b31"
down_revision: str | Sequence[str] | None = "860a7499ee41"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.drop_constraint("pk_transcript_track_language", "transcript_track_language")
    op.drop_column("transcript_track_language", "recording_id")
    op.create_primary_key("pk_transcript_track_language", "transcript_track_language", ["participant_id"])


def downgrade() -> None:
    op.drop_table("transcript_track_language")
    op.create_table(
        "transcript_track_language",
        sa.Column("recording_id", sa.Uuid(), sa.ForeignKey("recording.id"), primary_key=True),
        sa.Column("participant_id", sa.Uuid(), sa.ForeignKey("participant.id"), primary_key=True),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
