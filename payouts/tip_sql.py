"""What PostgreSQL itself does for many tips in one round trip."""

import re
from typing import Any, Final

import sqlalchemy as sa

from core.db import PLANS
from payouts.ledger_sql import SHEET

_LATEST: Final = "order by t.at desc, t.payer_stars desc limit 1"

# Each tip says what its payer had spent with it: what was spent in a day is the difference of two.
SPENDING: Final = f"""
create or replace function tip_spending(
    p_payers uuid[], p_hour timestamptz, p_day timestamptz
) returns table (
    payer uuid, hour_stars bigint, day_stars bigint, own_hour_stars int, own_day_stars int,
    ever_stars bigint, latest timestamptz
) language plpgsql {PLANS} as $$
begin
    return query
    select p.id,
        case when s.at > p_hour then s.payer_stars - coalesce(h.payer_stars, 0) else 0 end,
        case when s.at > p_day then s.payer_stars - coalesce(d.payer_stars, 0) else 0 end,
        l.hour_stars, l.day_stars, coalesce(s.payer_stars, 0), s.at
    from unnest(p_payers) as p (id)
    left join lateral (
        select t.at, t.payer_stars from room_tip t where t.payer_id = p.id {_LATEST}
    ) s on true
    left join lateral (
        select t.payer_stars from room_tip t where t.payer_id = p.id and t.at <= p_hour {_LATEST}
    ) h on true
    left join lateral (
        select t.payer_stars from room_tip t where t.payer_id = p.id and t.at <= p_day {_LATEST}
    ) d on true
    left join spending_limit l on l.user_id = p.id;
end $$
"""  # noqa: S608 - constants

_SHEET_NAMES: Final = ", ".join(re.findall(r"p_\w+", SHEET))

# Transactions of the sheet are the tips, in their order. Goals are locked in one order, and counted
# by rooms: a thousand tips of a batch are one update. Each tip's event says how far it brought the
# goal, which is known here alone. A row without a room says that a wallet has changed since it was
# read, and that nothing was done.
LAND: Final = f"""
create or replace function land_tips({SHEET},
    p_payers uuid[], p_tipped int[], p_messages text[], p_anonymous boolean[], p_live boolean[],
    p_wishes bytea[], p_payer_stars bigint[], p_told jsonb[],
    p_wallets bigint[], p_versions bigint[]
) returns table (room_id uuid, goal_id uuid) language plpgsql {PLANS} as $$
declare
    goals uuid[];
    events record;
begin
    if not star_wallets_unchanged(p_wallets, p_versions) then
        return query select null::uuid, null::uuid;
        return;
    end if;
    if not ledger_book({_SHEET_NAMES}) then
        raise exception 'these tips have been booked' using errcode = 'unique_violation';
    end if;
    select array_agg(l.id) into goals from (
        select g.id from room_goal g where g.room_id = any(p_rooms) and g.closed_at is null
        order by g.id for no key update
    ) l;
    with counted as (
        update room_goal g set raised_stars = n.raised, reached_at = case
            when n.raised >= g.target_stars then coalesce(g.reached_at, now())
            else g.reached_at end
        from room_goal o, lateral (
            select o.raised_stars + sum(t.stars) as raised
            from unnest(p_rooms, p_tipped) as t (room, stars) where t.room = o.room_id
        ) n where o.id = any(goals) and g.id = o.id
        returning g.room_id, g.id, g.title, g.target_stars, g.raised_stars
    ), sent as (
        select t.*, c.id as goal, c.title, c.target_stars as target, c.raised_stars
            - sum(t.stars) over (partition by t.room)
            + sum(t.stars) over (partition by t.room order by t.number) as raised
        from unnest(p_ids, p_ats, p_rooms, p_room_ms, p_payers, p_tipped, p_messages,
                p_anonymous, p_live, p_wishes, p_payer_stars, p_told) with ordinality
            as t (id, at, room, room_ms, payer, stars, message, anonymous, live, wish, payer_stars,
                told, number)
        left join counted c on c.room_id = t.room
    ), landed as (
        insert into room_tip (id, platform_id, room_id, payer_id, goal_id, stars, message,
            anonymous, live, room_ms, at, wish_sha256, payer_stars)
        select t.id, p_platform, t.room, t.payer, t.goal, t.stars, t.message,
            t.anonymous, t.live, t.room_ms, t.at, t.wish, t.payer_stars
        from sent t
    ), told as (
        select t.*, case when t.goal is not null then jsonb_build_object(
            'goal_id', t.goal, 'title', t.title, 'target_stars', t.target,
            'raised_stars', t.raised, 'reached', t.raised >= t.target) end as progress
        from sent t
    ), happened as (
        select t.number, t.room, 'tip.sent' as kind, t.room_ms, t.goal,
            case when not t.anonymous then t.payer end as actor,
            t.told || jsonb_build_object('goal', t.progress) as data
        from told t
        union all
        select t.number, t.room, 'goal.reached', null, t.goal, null, t.progress
        from told t where t.raised >= t.target and t.raised - t.stars < t.target
    )
    select array_agg(h.room) as rooms, array_agg(h.kind) as kinds, array_agg(h.actor) as actors,
        array_agg(h.room_ms) as room_ms, array_agg(h.data) as data, array_agg(h.goal) as goals
    into events from (select * from happened order by number, kind desc) h;
    perform record_room_events(
        events.rooms, events.kinds, events.actors, events.room_ms, events.data);
    return query select distinct t.room, t.goal
    from unnest(events.rooms, events.goals) as t (room, goal) where t.goal is not null;
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
