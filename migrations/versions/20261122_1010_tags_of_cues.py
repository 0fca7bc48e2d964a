"""A cue's own words, its speaker's next ones, who speaks and when are lexemes apart

Revision ID: 8b1f3d6ae940
Revises: 5b1f60c27d9e
Created: 2026-11-22 10:10:37.402915+00:00
"""

from collections.abc import Sequence

from alembic import op

revision: str = '8b1f3d6ae940'
down_revision: str | Sequence[str] | None = '5b1f60c27d9e'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

KEY = "encode(substr(uuid_send(platform_id), 14), 'base64')"
SPANS = {'a': 10, 'b': 14, 'c': 18, 'd': 22}


def upgrade() -> None:
    tags = ", ".join(
        f"{KEY} || '#{name}' || to_hex(cast(floor(extract(epoch from live_at)) as bigint) >> {bits})"
        for name, bits in SPANS.items()
    )
    # The index is made anew: every row changes.
    op.drop_index('ix_transcript_searched_cue_vector', 'transcript_searched_cue')
    op.execute(
        f"""
        update transcript_searched_cue cue
        set vector = array_to_tsvector(tags) || cast(said as tsvector)
        from (
            select
                cue_id,
                array[{tags}, {KEY} || '@' || encode(substr(uuid_send(user_id), 11), 'base64')]
                    as tags,
                (
                    select coalesce(string_agg(
                        quote_literal(case weight when 'A' then lexeme
                            else left(lexeme, 4) || '~' || substr(lexeme, 5) end)
                        || ':' || place || case weight when 'A' then 'A' else '' end,
                        ' '
                    ), '')
                    from unnest(vector) as one
                    cross join lateral unnest(positions, weights) as at (place, weight)
                ) as said
            from transcript_searched_cue
            join transcript_searched using (recording_id)
            join participant on participant.id = participant_id
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
        set vector = cast((
            select coalesce(string_agg(
                quote_literal(case substr(lexeme, 5, 1) when '~'
                    then left(lexeme, 4) || substr(lexeme, 6) else lexeme end)
                || ':' || place || case weight when 'A' then 'A' else '' end,
                ' '
            ), '')
            from unnest(vector) as one
            cross join lateral unnest(positions, weights) as at (place, weight)
        ) as tsvector)
        """
    )
    _index_vectors()


def _index_vectors() -> None:
    op.create_index('ix_transcript_searched_cue_vector', 'transcript_searched_cue', ['vector'], unique=False, postgresql_using='gin', postgresql_with={'fastupdate': 'off'})
