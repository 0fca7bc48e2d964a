"""Tips land in batches

Revision ID: c2e95b70d416
Revises: 8c41d0a7be52
Created: 2026-11-22 11:00:00.000000+00:00
"""

from collections.abc import Sequence

from alembic import op

revision: str = 'c2e95b70d416'
down_revision: str | Sequence[str] | None = '8c41d0a7be52'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


LAND = """
create or replace function land_tips(
    p_platform uuid, p_at timestamptz, p_ids uuid[], p_rooms uuid[], p_payers uuid[],
    p_stars int[], p_messages text[], p_anonymous boolean[], p_live boolean[],
    p_room_ms bigint[], p_wishes bytea[]
) returns table (room_id uuid, goal_id uuid, title text, target_stars int, raised_stars bigint)
language plpgsql set plan_cache_mode = force_generic_plan as $$
begin
    perform from room_goal g where g.room_id = any(p_rooms) and g.closed_at is null
    order by g.id for no key update;
    return query
    with counted as (
        update room_goal g set raised_stars = g.raised_stars + c.stars,
            reached_at = case when g.raised_stars + c.stars >= g.target_stars
                then coalesce(g.reached_at, now()) else g.reached_at end
        from (
            select t.room, sum(t.stars) as stars
            from unnest(p_rooms, p_stars) as t (room, stars) group by t.room
        ) c where g.room_id = c.room and g.closed_at is null
        returning g.room_id, g.id, g.title, g.target_stars, g.raised_stars
    ), landed as (
        insert into room_tip (id, platform_id, room_id, payer_id, goal_id, stars, message,
            anonymous, live, room_ms, at, wish_sha256)
        select t.id, p_platform, t.room, t.payer, c.id, t.stars, t.message,
            t.anonymous, t.live, t.room_ms, p_at, t.wish
        from unnest(p_ids, p_rooms, p_payers, p_stars, p_messages, p_anonymous, p_live,
            p_room_ms, p_wishes) as t (id, room, payer, stars, message, anonymous, live,
            room_ms, wish)
        left join counted c on c.room_id = t.room
    )
    select c.room_id, c.id, c.title, c.target_stars, c.raised_stars from counted c;
end $$
"""
RECORD = """
create or replace function record_room_events(
    p_rooms uuid[], p_kinds text[], p_actors uuid[], p_room_ms bigint[], p_data jsonb[]
) returns void language plpgsql set plan_cache_mode = force_generic_plan as $$
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
    for statement in (LAND, RECORD):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.execute("drop function land_tips")
    op.execute("drop function record_room_events")
