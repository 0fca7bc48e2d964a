"""What PostgreSQL itself does to land many tips in one round trip."""

from typing import Any, Final

import sqlalchemy as sa

# Goals are locked in one order, and counted by rooms: a thousand tips of a batch are one update.
LAND: Final = """
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


def install_with(metadata: sa.MetaData) -> None:
    """`metadata.create_all` makes the function too, as the migrations do."""
    sa.event.listen(metadata, "after_create", _install)


def _install(_target: sa.MetaData, connection: sa.Connection, **kw: Any) -> None:
    if any(table.name == "room_tip" for table in kw.get("tables") or ()):
        connection.exec_driver_sql(LAND)
