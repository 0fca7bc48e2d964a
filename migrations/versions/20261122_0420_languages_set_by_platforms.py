"""Languages that a platform sets, which is no person

Revision ID: 7c41d2e95a08
Revises: 40b31017d194
Created: 2026-11-22 04:20:00.000000+00:00
"""

from collections.abc import Sequence

from alembic import op

revision: str = "7c41d2e95a08"
down_revision: str | Sequence[str] | None = "9f4b6d2e8c15"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.alter_column("transcript_track_language", "set_by", nullable=True)


def downgrade() -> None:
    op.execute("delete from transcript_track_language where set_by is null")
    op.alter_column("transcript_track_language", "set_by", nullable=False)
