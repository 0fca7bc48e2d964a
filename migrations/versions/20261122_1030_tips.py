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
    p_accounts bigint[], p_account_kinds text[], p_owners text[], p_currencies text[],
    p_entry_of int[], p_entry_on int[], p_amounts bigint[],
    p_taken_by int[], p_lots uuid[], p_offsets int[], p_stars int[], p_cash bigint[]
,
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
    accounts := ledger_book(p_platform, p_ids, p_kinds, p_keys, p_ats, p_txns, p_matures, p_rooms, p_room_ms, p_facts, p_accounts, p_account_kinds, p_owners, p_currencies, p_entry_of, p_entry_on, p_amounts, p_taken_by, p_lots, p_offsets, p_stars, p_cash);
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
