"""Withdrawals of consent are found at once

Revision ID: 570d6ca3997d
Revises: 535cf06caa28
Created: 2026-11-22 04:25:02.611904+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '570d6ca3997d'
down_revision: str | Sequence[str] | None = '535cf06caa28'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index('ix_room_event_consent_withdrawn', 'room_event', ['room_id', 'at'], unique=False, postgresql_where=sa.text("kind = 'consent.withdrawn'"))


def downgrade() -> None:
    op.drop_index('ix_room_event_consent_withdrawn', table_name='room_event')
