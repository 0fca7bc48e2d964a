"""What one platform's people say are other words than another's

Revision ID: 3d5a60c1b7f2
Revises: e27c90b4a1d6
Created: 2026-11-22 06:50:11.270413+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '3d5a60c1b7f2'
down_revision: str | Sequence[str] | None = 'e27c90b4a1d6'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

KEY = "encode(substr(uuid_send(platform_id), 14), 'base64')"


def upgrade() -> None:
    # The index is made anew: every row changes.
    op.drop_index('ix_transcript_searched_cue_vector', 'transcript_searched_cue')
    op.execute(
        f"""
        update transcript_searched_cue cue
        set vector = cast(
            regexp_replace(cast(vector as text), '''([a-z][a-z]\\.)', '''' || key || '\\1', 'g')
            as tsvector
        )
        from (select recording_id, {KEY} as key from transcript_searched) of
        where of.recording_id = cue.recording_id
        """
    )
    _index_vectors()
    op.drop_table('transcript_stem')
    op.create_table('transcript_stem',
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('stem', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['platform_id'], ['platform.id'], name=op.f('fk_transcript_stem_platform_id_platform')),
    sa.PrimaryKeyConstraint('platform_id', 'language', 'stem', name=op.f('pk_transcript_stem'))
    )
    op.execute(
        """
        insert into transcript_stem (platform_id, language, stem)
        select distinct platform_id, substr(lexeme, 5, 2), substr(lexeme, 8)
        from transcript_searched_cue join transcript_searched using (recording_id)
        cross join lateral unnest(tsvector_to_array(vector)) as lexeme
        """
    )
    _index_stems()


def downgrade() -> None:
    op.drop_index('ix_transcript_searched_cue_vector', 'transcript_searched_cue')
    op.execute(
        """
        update transcript_searched_cue
        set vector = cast(
            regexp_replace(cast(vector as text), '''....([a-z][a-z]\\.)', '''\\1', 'g') as tsvector
        )
        """
    )
    _index_vectors()
    op.drop_table('transcript_stem')
    op.create_table('transcript_stem',
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('stem', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('language', 'stem', name=op.f('pk_transcript_stem'))
    )
    op.execute(
        """
        insert into transcript_stem (language, stem)
        select distinct substr(lexeme, 1, 2), substr(lexeme, 4)
        from transcript_searched_cue cross join lateral unnest(tsvector_to_array(vector)) as lexeme
        """
    )
    _index_stems()


def _index_vectors() -> None:
    op.create_index('ix_transcript_searched_cue_vector', 'transcript_searched_cue', ['vector'], unique=False, postgresql_using='gin', postgresql_with={'fastupdate': 'off'})


def _index_stems() -> None:
    op.create_index('ix_transcript_stem_trigrams', 'transcript_stem', ['stem'], unique=False, postgresql_using='gin', postgresql_ops={'stem': 'gin_trgm_ops'})
