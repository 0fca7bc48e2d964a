"""A cue's vector knows which of its words stand side by side

Revision ID: c4a7e91d20b8
Revises: c2e95b70d416
Created: 2026-11-22 13:40:12.118204+00:00
"""

from collections.abc import Sequence

from alembic import op

revision: str = 'c4a7e91d20b8'
down_revision: str | Sequence[str] | None = 'c2e95b70d416'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # The index is made anew: nearly every row changes.
    op.drop_index('ix_transcript_searched_cue_vector', 'transcript_searched_cue')
    op.execute(
        """
        update transcript_searched_cue cue
        set vector = array_to_tsvector(made.pairs) || vector
        from (
            select cue_id, array_agg(distinct
                left(first, 4) || '^' || left(
                    encode(decode(md5(first || ' ' || second), 'hex'), 'base64'), 3
                )
            ) as pairs
            from transcript_searched_cue
            cross join lateral (
                with said as (
                    select
                        place,
                        weight = 'A' as own,
                        case weight when 'A' then lexeme
                            else left(lexeme, 4) || substr(lexeme, 6) end as lexeme
                    from unnest(vector) as one
                    cross join lateral unnest(positions, weights) as at (place, weight)
                )
                select one.lexeme as first, next.lexeme as second
                from said as one
                join said as next on next.place = one.place + 1
                where one.own
            ) as beside
            group by cue_id
        ) as made
        where made.cue_id = cue.cue_id
        """
    )
    _index_vectors()


def downgrade() -> None:
    op.drop_index('ix_transcript_searched_cue_vector', 'transcript_searched_cue')
    op.execute(
        """
        update transcript_searched_cue
        set vector = ts_delete(
            vector,
            array(select lexeme from unnest(vector) where substr(lexeme, 5, 1) = '^')
        )
        """
    )
    _index_vectors()


def _index_vectors() -> None:
    op.create_index('ix_transcript_searched_cue_vector', 'transcript_searched_cue', ['vector'], unique=False, postgresql_using='gin', postgresql_with={'fastupdate': 'off'})
