"""The clock of test money, and creators who leave

Revision ID: 5b1f60c27d9e
Revises: 67062ac9b5fa
Created: 2026-11-22 10:00:00.000000+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '5b1f60c27d9e'
down_revision: str | Sequence[str] | None = '67062ac9b5fa'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column('creator', sa.Column('leaving_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        'stripe_books', sa.Column('clock_ahead', sa.Interval(), server_default='0', nullable=False)
    )
    op.create_check_constraint(
        op.f('ck_stripe_books_clock_ahead'),
        'stripe_books',
        "not livemode or clock_ahead = interval '0'",
    )
    op.create_index(
        'ix_star_order_waiting',
        'star_order',
        ['expires_at'],
        unique=False,
        postgresql_where=sa.text("state in ('new', 'open')"),
    )


def downgrade() -> None:
    op.drop_index('ix_star_order_waiting', table_name='star_order')
    op.drop_column('stripe_books', 'clock_ahead')
    op.drop_column('creator', 'leaving_at')
