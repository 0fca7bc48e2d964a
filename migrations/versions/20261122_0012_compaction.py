"""one object per rendition after the end

Revision ID: 5c1f0e7a94d2
Revises: f675c95131d8
Created: 2026-11-22 00:12:40.118204+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '5c1f0e7a94d2'
down_revision: str | Sequence[str] | None = 'f675c95131d8'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column('recording', sa.Column('compacted_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('recording', sa.Column('swept_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('rendition', sa.Column('object_key', sa.Text(), nullable=True))
    op.add_column('rendition', sa.Column('object_bytes', sa.BigInteger(), nullable=True))
    op.add_column('rendition', sa.Column('object_sha256', sa.Text(), nullable=True))
    op.add_column('segment', sa.Column('byte_start', sa.BigInteger(), server_default='0', nullable=False))


def downgrade() -> None:
    op.drop_column('segment', 'byte_start')
    op.drop_column('rendition', 'object_sha256')
    op.drop_column('rendition', 'object_bytes')
    op.drop_column('rendition', 'object_key')
    op.drop_column('recording', 'swept_at')
    op.drop_column('recording', 'compacted_at')
