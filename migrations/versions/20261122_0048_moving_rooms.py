"""rooms move from worker to worker

Revision ID: 8d0c4b1f27ae
Revises: 7a1d0c52e9b4
Created: 2026-11-22 00:48:11.402117+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '8d0c4b1f27ae'
down_revision: str | Sequence[str] | None = '7a1d0c52e9b4'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BEFORE = ('receiver_down', 'packets_lost', 'disk_full', 'off_the_record', 'connection_lost')
AFTER = (*BEFORE, 'worker_lost')


def upgrade() -> None:
    op.add_column('ingest_worker', sa.Column('alive_seconds', sa.Double(), server_default='15', nullable=False))
    op.add_column('ingest_worker', sa.Column('sessions', sa.Integer(), server_default='0', nullable=False))
    op.add_column('ingest_worker', sa.Column('moving', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.create_table('recording_epoch',
    sa.Column('recording_id', sa.Uuid(), nullable=False),
    sa.Column('epoch', sa.Integer(), nullable=False),
    sa.Column('worker_id', sa.Uuid(), nullable=False),
    sa.Column('began_ms', sa.BigInteger(), nullable=False),
    sa.Column('complete_until_ms', sa.Double(), nullable=True),
    sa.ForeignKeyConstraint(['recording_id'], ['recording.id'], name=op.f('fk_recording_epoch_recording_id_recording')),
    sa.ForeignKeyConstraint(['worker_id'], ['ingest_worker.id'], name=op.f('fk_recording_epoch_worker_id_ingest_worker')),
    sa.PrimaryKeyConstraint('recording_id', 'epoch', name=op.f('pk_recording_epoch'))
    )
    op.execute(
        'insert into recording_epoch (recording_id, epoch, worker_id, began_ms) '
        'select id, epoch, worker_id, 0 from recording'
    )
    _causes(AFTER)


def downgrade() -> None:
    op.execute("update gap set cause = 'receiver_down' where cause = 'worker_lost'")
    _causes(BEFORE)
    op.drop_table('recording_epoch')
    op.drop_column('ingest_worker', 'moving')
    op.drop_column('ingest_worker', 'sessions')
    op.drop_column('ingest_worker', 'alive_seconds')


def _causes(values: tuple[str, ...]) -> None:
    """Written as SQLAlchemy writes it, so that the models compare equal."""
    op.execute('alter table gap drop constraint ck_gap_gap_cause')
    listed = ', '.join(f"'{value}'" for value in values)
    op.execute(f'alter table gap add constraint ck_gap_gap_cause check (cause in ({listed}))')
