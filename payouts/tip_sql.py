"""What PostgreSQL itself does for many tips in one round trip."""

from typing import Any, Final

import sqlalchemy as sa

from core.db import PLANS

SPENDING: Final = f"""
create or replace function tip_spending(
    p_payers uuid[], p_hour timestamptz, p_day timestamptz
) returns table (
    payer uuid, hour_stars bigint, day_stars bigint, own_hour_stars int, own_day_stars int
) language plpgsql {PLANS} as $$
begin
    return query
    select p.id, coalesce(t.hour, 0), coalesce(t.day, 0), l.hour_stars, l.day_stars
    from unnest(p_payers) as p (id)
    cross join lateral (
        select sum(t.stars) filter (where t.at > p_hour) as hour, sum(t.stars) as day
        from room_tip t where t.payer_id = p.id and t.at > p_day
    ) t
    left join spending_limit l on l.user_id = p.id;
end $$
"""  # noqa: S608 - constants

# Goals are locked in one order, and counted by rooms: a thousand tips of a batch are one update.
LAND: Final = f"""
create or replace function land_tips(
    p_platform uuid, p_at timestamptz, p_ids uuid[], p_rooms uuid[], p_payers uuid[],
    p_stars int[], p_messages text[], p_anonymous boolean[], p_live boolean[],
    p_room_ms bigint[], p_wishes bytea[]
) returns table (room_id uuid, goal_id uuid, title text, target_stars int, raised_stars bigint)
language plpgsql {PLANS} as $$
declare
    goals uuid[];
begin
    select array_agg(l.id) into goals from (
        select g.id from room_goal g where g.room_id = any(p_rooms) and g.closed_at is null
        order by g.id for no key update
    ) l;
    return query
    with counted as (
        update room_goal g set raised_stars = n.raised, reached_at = case
            when n.raised >= g.target_stars then coalesce(g.reached_at, now())
            else g.reached_at end
        from room_goal o, lateral (
            select o.raised_stars + sum(t.stars) as raised
            from unnest(p_rooms, p_stars) as t (room, stars) where t.room = o.room_id
        ) n where o.id = any(goals) and g.id = o.id
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
"""  # noqa: S608 - constants


FUNCTIONS: Final = (SPENDING, LAND)


def install_with(metadata: sa.MetaData) -> None:
    """`metadata.create_all` makes the functions too, as the migrations do."""
    sa.event.listen(metadata, "after_create", _install)


def _install(_target: sa.MetaData, connection: sa.Connection, **kw: Any) -> None:
    if any(table.name == "room_tip" for table in kw.get("tables") or ()):
        for statement in FUNCTIONS:
            connection.exec_driver_sql(statement)
