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

# Transactions of the sheet are the tips, in their order; `p_nth`, `p_upto`: which one each is among
# those of its room, and the Stars of these with it. `p_of` is its room's number in
# `p_tipped_rooms`; these are in one order, and so their goals are locked in one. A thousand tips of
# a batch are one update of a goal; how far each brought it is known here alone. That a goal was
# reached is told behind the batch's tips of that room. No row: a wallet has changed since it was
# read, and nothing was done.
LAND: Final = f"""
create or replace function land_tips({SHEET},
    p_payers uuid[], p_tipped int[], p_messages text[], p_anonymous boolean[], p_live boolean[],
    p_wishes bytea[], p_payer_stars bigint[], p_actors uuid[], p_told jsonb[],
    p_nth int[], p_upto int[], p_of int[], p_tipped_rooms uuid[], p_room_stars int[],
    p_wallets bigint[], p_versions bigint[]
) returns table (accounts bigint[], goals uuid[]) language plpgsql {PLANS} as $$
declare
    goal_titles text[];
    targets int[];
    before bigint[];
    kinds text[] := array_fill('tip.sent'::text, array[cardinality(p_ids)]);
begin
    if not star_wallets_unchanged(p_wallets, p_versions) then
        return;
    end if;
    accounts := ledger_book({_SHEET_NAMES});
    if accounts is null then
        raise exception 'these tips have been booked' using errcode = 'unique_violation';
    end if;
    with raised as (
        update room_goal g set raised_stars = g.raised_stars + p_room_stars[i],
            reached_at = case when g.raised_stars + p_room_stars[i] >= g.target_stars
                then coalesce(g.reached_at, now()) else g.reached_at end
        from generate_subscripts(p_tipped_rooms, 1) i
        where g.room_id = p_tipped_rooms[i] and g.closed_at is null
        returning i, g.id, g.title, g.target_stars, g.raised_stars - p_room_stars[i] as before
    )
    select array_agg(o.id), array_agg(o.title), array_agg(o.target_stars), array_agg(o.before)
    into goals, goal_titles, targets, before
    from (
        select r.* from generate_subscripts(p_tipped_rooms, 1) n left join raised r on r.i = n
        order by n
    ) o;
    insert into room_tip (id, platform_id, room_id, payer_id, goal_id, stars, message,
        anonymous, live, room_ms, at, wish_sha256, payer_stars)
    select p_ids[i], p_platform, p_rooms[i], p_payers[i], goals[p_of[i]], p_tipped[i],
        p_messages[i], p_anonymous[i], p_live[i], p_room_ms[i], p_ats[i], p_wishes[i],
        p_payer_stars[i]
    from generate_subscripts(p_ids, 1) i;
    if cardinality(array_remove(goals, null)) > 0 then
        p_told := array(
            select p_told[i] || jsonb_build_object('goal', case
                when goals[p_of[i]] is not null then jsonb_build_object(
                    'goal_id', goals[p_of[i]], 'title', goal_titles[p_of[i]],
                    'target_stars', targets[p_of[i]], 'raised_stars', before[p_of[i]] + p_upto[i],
                    'reached', before[p_of[i]] + p_upto[i] >= targets[p_of[i]]) end)
            from generate_subscripts(p_ids, 1) i
        );
        for n in 1..cardinality(p_ids) loop
            if before[p_of[n]] + p_upto[n] >= targets[p_of[n]]
                and before[p_of[n]] + p_upto[n] - p_tipped[n] < targets[p_of[n]] then
                kinds := kinds || 'goal.reached'::text;
                p_rooms := p_rooms || p_rooms[n];
                p_nth := p_nth || cardinality(array_positions(p_of, p_of[n])) + 1;
                p_actors := p_actors || null::uuid;
                p_room_ms := p_room_ms || null::bigint;
                p_told := array_append(p_told, p_told[n]->'goal');
            end if;
        end loop;
    end if;
    perform record_room_events(p_rooms, p_nth, kinds, p_actors, p_room_ms, p_told);
    return next;
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
