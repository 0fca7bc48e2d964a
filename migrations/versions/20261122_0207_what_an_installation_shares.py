"""what all parts of an installation share

Revision ID: 3b7e90a4d152
Revises: 8d0c4b1f27ae
Created: 2026-11-22 02:07:03.518224+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '3b7e90a4d152'
down_revision: str | Sequence[str] | None = '8d0c4b1f27ae'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table('installation',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('secret_fingerprint', sa.LargeBinary(), nullable=False),
    sa.Column('store_id', sa.Uuid(), nullable=False),
    sa.Column('store_url', sa.String(), nullable=False),
    sa.CheckConstraint('id = 1', name=op.f('ck_installation_one_row')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_installation'))
    )


def downgrade() -> None:
    op.drop_table('installation')
