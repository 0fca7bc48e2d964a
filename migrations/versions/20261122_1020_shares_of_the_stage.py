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
create or replace function room_courses(p_rooms uuid[], p_known bigint[])
returns table (
    room_id uuid, version bigint, now_ms bigint, kind text, room_ms bigint, user_id uuid,
    share_bps int, gone boolean
) language plpgsql {PLANS} as $$
begin
    return query
    select r.id, r.course_version, coalesce(
            r.duration_ms, floor(extract(epoch from clock_timestamp() - r.live_at) * 1000)::bigint
        ), e.kind, e.room_ms, (e.data->>'user_id')::uuid, (e.data->>'share_bps')::int,
        e.data ? 'gone'
    from room r left join lateral (
        select m.seq, m.kind, m.room_ms, m.data from room_event m
        where m.room_id = r.id and m.kind in ('stage.joined', 'stage.left', 'recording.started', 'recording.paused', 'recording.resumed', 'recording.stopped')
            and r.course_version is distinct from p_known[array_position(p_rooms, r.id)]
        offset 0
    ) e on true
    where r.id = any(p_rooms) order by r.id, e.seq;
end $$
"""
RECORD = f"""
create or replace function record_room_events(
    p_rooms uuid[], p_nth int[], p_kinds text[], p_actors uuid[], p_room_ms bigint[], p_data jsonb[]
) returns void language plpgsql {PLANS} as $$
declare
    ignored text;
begin
    with moved as (
        update room r set event_seq = r.event_seq + c.events,
            course_version = r.course_version + c.course::int,
            event_ms = case when r.state <> 'live' then r.event_ms else greatest(
                r.event_ms, c.latest, case when c.now then
                    floor(extract(epoch from clock_timestamp() - r.live_at) * 1000)::bigint end
            ) end
        from (
            select p_rooms[i] as room, count(*) as events, max(p_room_ms[i]) as latest,
                bool_or(p_room_ms[i] is null) as now, min(i) / 64 as page,
                bool_or(p_kinds[i] in ('stage.joined', 'stage.left', 'recording.started', 'recording.paused', 'recording.resumed', 'recording.stopped')) as course
            from generate_subscripts(p_rooms, 1) i group by 1 order by 1
        ) c where r.id = c.room
        returning r.id, r.event_seq, r.event_seq - c.events as before, c.page,
            case when r.state = 'live' then r.event_ms end as now_ms
    ), landed as (
        insert into room_event (room_id, seq, room_ms, kind, actor_id, data)
        select m.id, m.before + p_nth[i], coalesce(p_room_ms[i], m.now_ms), p_kinds[i],
            p_actors[i], p_data[i]
        from generate_subscripts(p_rooms, 1) i join moved m on m.id = p_rooms[i]
    )
    select max(pg_notify('encore_room', p.messages)::text) into ignored from (
        select json_agg(json_build_object('room_id', m.id, 'seq', m.event_seq))::text as messages
        from moved m group by m.page
    ) p;
end $$
"""
ROOM_HOLDS = """create or replace function room_holds(state text, visibility text, recording_state text, group_id uuid, live_at timestamptz, speakers_share_bps int) returns boolean language plpgsql immutable as $$
begin
    return (state in ('scheduled', 'live', 'ended'))
        and (visibility in ('public', 'unlisted', 'group'))
        and (recording_state in ('off', 'on', 'paused'))
        and ((visibility = 'group') = (group_id is not null))
        and ((state = 'scheduled') = (live_at is null))
        and (speakers_share_bps between 0 and 10000);
end $$"""
CHECKS = (
    ('ck_room_group_room', "(visibility = 'group') = (group_id is not null)"),
    ('ck_room_live_at', "(state = 'scheduled') = (live_at is null)"),
    ('ck_room_room_state', "state in ('scheduled', 'live', 'ended')"),
    ('ck_room_visibility', "visibility in ('public', 'unlisted', 'group')"),
    ('ck_room_recording_state', "recording_state in ('off', 'on', 'paused')"),
)


def upgrade() -> None:
    op.add_column('room', sa.Column('speakers_share_bps', sa.Integer(), server_default='0', nullable=False))
    op.execute(ROOM_HOLDS)
    for name, _ in CHECKS:
        op.drop_constraint(op.f(name), 'room')
    op.create_check_constraint(op.f('ck_room_holds'), 'room', 'room_holds(state, visibility, recording_state, group_id, live_at, speakers_share_bps)')
    op.add_column('room', sa.Column('course_version', sa.BigInteger(), server_default='0', nullable=False))
    op.add_column('participant', sa.Column('share_bps', sa.Integer(), server_default='0', nullable=False))
    op.create_index('ix_room_event_course', 'room_event', ['room_id', 'seq'], unique=False, postgresql_where=sa.text(COURSE))
    for statement in (COURSES, RECORD):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.execute('drop function record_room_events')
    op.execute('drop function room_courses')
    op.drop_index('ix_room_event_course', table_name='room_event')
    op.drop_column('participant', 'share_bps')
    op.drop_column('room', 'course_version')
    op.drop_constraint(op.f('ck_room_holds'), 'room')
    for name, check in CHECKS:
        op.create_check_constraint(op.f(name), 'room', check)
    op.execute('drop function room_holds')
    op.drop_column('room', 'speakers_share_bps')
