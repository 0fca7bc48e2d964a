"""Who withdrew an edit, and since which version it is as it is

Revision ID: 9f4b6d2e8c15
Revises: 40b31017d194
Created: 2026-11-22 04:02:10.417326+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '9f4b6d2e8c15'
down_revision: str | Sequence[str] | None = '40b31017d194'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

WITHDRAWER = 'fk_transcript_patch_withdrawn_by_user_account'


def upgrade() -> None:
    op.add_column('transcript', sa.Column('run_version', sa.Integer(), server_default='1', nullable=False))
    op.add_column('transcript_patch', sa.Column('version', sa.Integer(), server_default='0', nullable=False))
    op.add_column('transcript_patch', sa.Column('withdrawn_by', sa.Uuid(), nullable=True))
    op.add_column('transcript_patch', sa.Column('withdrawn_at', sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key(op.f(WITHDRAWER), 'transcript_patch', 'user_account', ['withdrawn_by'], ['id'])


def downgrade() -> None:
    op.drop_constraint(op.f(WITHDRAWER), 'transcript_patch', type_='foreignkey')
    op.drop_column('transcript_patch', 'withdrawn_at')
    op.drop_column('transcript_patch', 'withdrawn_by')
    op.drop_column('transcript_patch', 'version')
    op.drop_column('transcript', 'run_version')
