"""Tips, goals, own limits

Revision ID: e96573d0dcd0
Revises: 6257fd7a2b5f
Created: 2026-11-22 10:30:00.000000+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = 'e96573d0dcd0'
down_revision: str | Sequence[str] | None = '6257fd7a2b5f'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

PLANS = (
    "set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off"
    " set enable_mergejoin = off set enable_bitmapscan = off"
)
SPENDING = f"""
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
        select t.at, t.payer_stars from room_tip t where t.payer_id = p.id order by t.at desc, t.payer_stars desc limit 1
    ) s on true
    left join lateral (
        select t.payer_stars from room_tip t where t.payer_id = p.id and t.at <= p_hour order by t.at desc, t.payer_stars desc limit 1
    ) h on true
    left join lateral (
        select t.payer_stars from room_tip t where t.payer_id = p.id and t.at <= p_day order by t.at desc, t.payer_stars desc limit 1
    ) d on true
    left join spending_limit l on l.user_id = p.id;
end $$
"""
LAND = f"""
create or replace function land_tips(
    p_platform uuid,
    p_ids uuid[], p_kinds text[], p_keys text[], p_ats timestamptz[], p_txns text[],
    p_matures timestamptz[], p_rooms uuid[], p_room_ms bigint[], p_facts jsonb[],
    p_account_kinds text[], p_owners text[], p_currencies text[],
    p_entry_of int[], p_entry_on int[], p_amounts bigint[],
    p_taken_by int[], p_lots uuid[], p_offsets int[], p_stars int[], p_cash bigint[]
,
    p_payers uuid[], p_tipped int[], p_messages text[], p_anonymous boolean[], p_live boolean[],
    p_wishes bytea[], p_payer_stars bigint[], p_told jsonb[]
) returns table (room_id uuid, goal_id uuid) language plpgsql {PLANS} as $$
declare
    goals uuid[];
    events record;
begin
    if not ledger_book(p_platform, p_ids, p_kinds, p_keys, p_ats, p_txns, p_matures, p_rooms, p_room_ms, p_facts, p_account_kinds, p_owners, p_currencies, p_entry_of, p_entry_on, p_amounts, p_taken_by, p_lots, p_offsets, p_stars, p_cash) then
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
"""


def upgrade() -> None:
    op.create_table('room_goal',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('room_id', sa.Uuid(), nullable=False),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('target_stars', sa.Integer(), nullable=False),
    sa.Column('raised_stars', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('set_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('reached_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('raised_stars >= 0', name=op.f('ck_room_goal_raised_stars')),
    sa.CheckConstraint('target_stars > 0', name=op.f('ck_room_goal_target_stars')),
    sa.ForeignKeyConstraint(['room_id'], ['room.id'], name=op.f('fk_room_goal_room_id_room'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_room_goal')),
    postgresql_with={'fillfactor': '50'}
    )
    op.create_index('uq_room_goal_open', 'room_goal', ['room_id'], unique=True, postgresql_where=sa.text('closed_at is null'))
    op.create_table('room_tip',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('platform_id', sa.Uuid(), nullable=False),
    sa.Column('room_id', sa.Uuid(), nullable=False),
    sa.Column('payer_id', sa.Uuid(), nullable=False),
    sa.Column('goal_id', sa.Uuid(), nullable=True),
    sa.Column('stars', sa.Integer(), nullable=False),
    sa.Column('message', sa.Text(), nullable=True),
    sa.Column('anonymous', sa.Boolean(), nullable=False),
    sa.Column('live', sa.Boolean(), nullable=False),
    sa.Column('room_ms', sa.BigInteger(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('wish_sha256', sa.LargeBinary(), nullable=False),
    sa.Column('payer_stars', sa.BigInteger(), nullable=False),
    sa.Column('thanked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('hidden_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('room_ms >= 0', name=op.f('ck_room_tip_room_ms')),
    sa.CheckConstraint('stars > 0', name=op.f('ck_room_tip_stars')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_room_tip'))
    )
    op.create_index('ix_room_tip_payer_id_at_payer_stars', 'room_tip', ['payer_id', 'at', 'payer_stars'], unique=False)
    op.create_index('ix_room_tip_room_id_room_ms_id', 'room_tip', ['room_id', 'room_ms', 'id'], unique=False)
    op.create_table('spending_limit',
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('hour_stars', sa.Integer(), nullable=True),
    sa.Column('day_stars', sa.Integer(), nullable=True),
    sa.Column('set_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('hour_stars >= 0 and day_stars >= 0', name=op.f('ck_spending_limit_stars')),
    sa.ForeignKeyConstraint(['user_id'], ['user_account.id'], name=op.f('fk_spending_limit_user_id_user_account')),
    sa.PrimaryKeyConstraint('user_id', name=op.f('pk_spending_limit'))
    )
    for statement in (SPENDING, LAND):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.execute('drop function land_tips')
    op.execute('drop function tip_spending')
    for table in ('spending_limit', 'room_tip', 'room_goal'):
        op.drop_table(table)
