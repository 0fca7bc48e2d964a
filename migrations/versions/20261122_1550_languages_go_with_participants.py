"""Languages go with participants

A scheduled room that is called off takes along what was chosen for its people.

Revision ID: 6a3f0be81c57
Revises: e19d5a7730cb
Created: 2026-11-22 15:50:00.000000+00:00
"""

from collections.abc import Sequence

from alembic import op

revision: str = '6a3f0be81c57'
down_revision: str | Sequence[str] | None = 'e19d5a7730cb'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TABLE = "transcript_track_language"
KEY = f"fk_{TABLE}_participant_id_participant"


def upgrade() -> None:
    op.drop_constraint(KEY, TABLE)
    op.create_foreign_key(
        KEY, TABLE, "participant", ["participant_id"], ["id"], ondelete="CASCADE"
    )


def downgrade() -> None:
    op.drop_constraint(KEY, TABLE)
    op.create_foreign_key(KEY, TABLE, "participant", ["participant_id"], ["id"])
