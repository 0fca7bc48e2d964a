"""lost connections are listed

Revision ID: 7a1d0c52e9b4
Revises: 5c1f0e7a94d2
Created: 2026-11-22 00:20:00+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '7a1d0c52e9b4'
down_revision: str | Sequence[str] | None = '5c1f0e7a94d2'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BEFORE = ('receiver_down', 'packets_lost', 'disk_full', 'off_the_record')


def causes(*values: str) -> str:
    return f"cause IN ({', '.join(repr(v) for v in values)})"


def upgrade() -> None:
    op.drop_constraint(op.f('ck_gap_gap_cause'), 'gap', type_='check')
    op.alter_column('gap', 'cause', type_=sa.String(15), existing_nullable=False)
    op.create_check_constraint(op.f('ck_gap_gap_cause'), 'gap', causes(*BEFORE, 'connection_lost'))


def downgrade() -> None:
    op.execute("DELETE FROM gap WHERE cause = 'connection_lost'")
    op.drop_constraint(op.f('ck_gap_gap_cause'), 'gap', type_='check')
    op.alter_column('gap', 'cause', type_=sa.String(14), existing_nullable=False)
    op.create_check_constraint(op.f('ck_gap_gap_cause'), 'gap', causes(*BEFORE))
