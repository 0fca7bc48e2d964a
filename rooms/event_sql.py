"""What PostgreSQL itself does with events of many rooms in one round trip."""

from typing import Any, Final

import sqlalchemy as sa

from core.db import PLANS

COURSE_KINDS: Final = (
    *("stage.joined", "stage.left"),
    *("recording.started", "recording.paused", "recording.resumed", "recording.stopped"),
)
"""Of events: who was on stage and what was recorded, at any second of the room. Whoever records
one, or changes what one says, raises the room's `course_version`."""

COURSE: Final = ", ".join(f"'{kind}'" for kind in COURSE_KINDS)

# The kinds are written out: only so does the partial index serve it. `p_known`: the versions of the
# course that the caller knows, by the rooms' numbers; of these the room's own row is all.
COURSES: Final = f"""
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
        where m.room_id = r.id and m.kind in ({COURSE})
            and r.course_version is distinct from p_known[array_position(p_rooms, r.id)]
        offset 0
    ) e on true
    where r.id = any(p_rooms) order by r.id, e.seq;
end $$
"""  # noqa: S608 - constants

# `p_nth`: which one each is among those of its room, from 1. Rooms are locked in one order: joins
# are nested loops here (PLANS), and the update follows its subquery. Readers read all that came
# since they last did: one message for each room is enough. Those of many rooms are one
# notification, since each costs every process that listens; it holds 8,000 bytes.
RECORD: Final = f"""
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
                bool_or(p_kinds[i] in ({COURSE})) as course
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
"""  # noqa: S608 - constants


FUNCTIONS: Final = (COURSES, RECORD)


def install_with(metadata: sa.MetaData) -> None:
    """`metadata.create_all` makes the functions too, as the migrations do."""
    sa.event.listen(metadata, "after_create", _install)


def _install(_target: sa.MetaData, connection: sa.Connection, **kw: Any) -> None:
    if any(table.name == "room_event" for table in kw.get("tables") or ()):
        for statement in FUNCTIONS:
            connection.exec_driver_sql(statement)
