"""Shares of the stage, a room's course, events of many rooms at once

Revision ID: 6257fd7a2b5f
Revises: eb2cc786ca66
Created: 2026-11-22 10:20:00.000000+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '6257fd7a2b5f'
down_revision: str | Sequence[str] | None = 'eb2cc786ca66'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

PLANS = (
    "set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off"
    " set enable_mergejoin = off set enable_bitmapscan = off"
)
COURSE = (
    "kind in ('stage.joined', 'stage.left', 'recording.started', 'recording.paused', "
    "'recording.resumed', 'recording.stopped')"
)
COURSES = f"""
create or replace function room_courses(p_rooms uuid[])
returns table (
    room_id uuid, now_ms bigint, kind text, room_ms bigint, user_id uuid, share_bps int,
    gone boolean
) language plpgsql {PLANS} as $$
begin
    return query
    select r.id, coalesce(
            r.duration_ms, floor(extract(epoch from clock_timestamp() - r.live_at) * 1000)::bigint
        ), e.kind, e.room_ms, (e.data->>'user_id')::uuid, (e.data->>'share_bps')::int,
        e.data ? 'gone'
    from room r left join lateral (
        select m.seq, m.kind, m.room_ms, m.data from room_event m
        where m.room_id = r.id and m.kind in ('stage.joined', 'stage.left', 'recording.started', 'recording.paused', 'recording.resumed', 'recording.stopped') offset 0
    ) e on true
    where r.id = any(p_rooms) order by r.id, e.seq;
end $$
"""
RECORD = f"""
create or replace function record_room_events(
    p_rooms uuid[], p_kinds text[], p_actors uuid[], p_room_ms bigint[], p_data jsonb[]
) returns void language plpgsql {PLANS} as $$
begin
    perform from room r where r.id = any(p_rooms) order by r.id for no key update;
    with told as (
        select t.*, row_number() over (partition by t.room order by t.number) as nth
        from unnest(p_rooms, p_kinds, p_actors, p_room_ms, p_data) with ordinality
            as t (room, kind, actor, room_ms, data, number)
    ), counted as (
        select t.room, count(*) as events, max(t.room_ms) as latest,
            bool_or(t.room_ms is null) as now
        from told t group by t.room
    ), moved as (
        update room r set event_seq = r.event_seq + c.events,
            event_ms = case when r.state <> 'live' then r.event_ms else greatest(
                r.event_ms, c.latest, case when c.now then
                    floor(extract(epoch from clock_timestamp() - r.live_at) * 1000)::bigint end
            ) end
        from counted c where r.id = c.room
        returning r.id, r.event_seq - c.events as before,
            case when r.state = 'live' then r.event_ms end as now_ms
    )
    insert into room_event (room_id, seq, room_ms, kind, actor_id, data)
    select t.room, m.before + t.nth, coalesce(t.room_ms, m.now_ms), t.kind, t.actor, t.data
    from told t join moved m on m.id = t.room;
    perform pg_notify('encore_room', json_agg(t.message)::text)
    from (
        select json_build_object('room_id', r.id, 'seq', r.event_seq) as message,
            row_number() over () / 64 as page
        from room r where r.id = any(p_rooms)
    ) t group by t.page;
end $$
"""


def upgrade() -> None:
    op.add_column('room', sa.Column('speakers_share_bps', sa.Integer(), server_default='0', nullable=False))
    op.create_check_constraint(op.f('ck_room_speakers_share_bps'), 'room', 'speakers_share_bps between 0 and 10000')
    op.add_column('participant', sa.Column('share_bps', sa.Integer(), server_default='0', nullable=False))
    op.create_index('ix_room_event_course', 'room_event', ['room_id', 'seq'], unique=False, postgresql_where=sa.text(COURSE))
    for statement in (COURSES, RECORD):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.execute('drop function record_room_events')
    op.execute('drop function room_courses')
    op.drop_index('ix_room_event_course', table_name='room_event')
    op.drop_column('participant', 'share_bps')
    op.drop_column('room', 'speakers_share_bps')
