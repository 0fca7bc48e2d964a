"""One notification of many rooms

Revision ID: e19d5a7730cb
Revises: b7410fd2c85e
Created: 2026-11-22 14:30:00.000000+00:00
"""

from collections.abc import Sequence

from alembic import op

revision: str = 'e19d5a7730cb'
down_revision: str | Sequence[str] | None = 'b7410fd2c85e'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


RECORD = """
create or replace function record_room_events(
    p_rooms uuid[], p_kinds text[], p_actors uuid[], p_room_ms bigint[], p_data jsonb[]
) returns void language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off as $$
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
OLD_RECORD = """
create or replace function record_room_events(
    p_rooms uuid[], p_kinds text[], p_actors uuid[], p_room_ms bigint[], p_data jsonb[]
) returns void language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off as $$
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
    perform pg_notify('encore_room', json_build_object('room_id', r.id, 'seq', r.event_seq)::text)
    from room r where r.id = any(p_rooms);
end $$
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(RECORD)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(OLD_RECORD)
