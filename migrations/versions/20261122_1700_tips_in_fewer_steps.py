"""Tips in fewer steps: one CHECK of a table, and functions that do more at once

Revision ID: c41d7f02a9be
Revises: e96573d0dcd0
Created: 2026-11-22 17:00:00.000000+00:00
"""

from collections.abc import Sequence

from alembic import op

revision: str = 'c41d7f02a9be'
down_revision: str | Sequence[str] | None = 'e96573d0dcd0'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

PLANS = (
    "set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off"
    " set enable_mergejoin = off set enable_bitmapscan = off"
)
LEDGER_ACCOUNT_HOLDS = """create or replace function ledger_account_holds(kind text, currency text, balance bigint, open_disputes int) returns boolean language plpgsql immutable as $$
begin
    return (kind in ('stripe', 'bank', 'stars_liability', 'creator', 'creator_hold', 'transfer_inflight', 'dispute_recv', 'refund_clearing', 'tax_payable', 'unclaimed', 'rev:fee', 'exp:stripe', 'exp:dispute', 'exp:connect', 'exp:promo', 'exp:loss', 'fx', 'connected', 'connected_contra', 'creator_bank', 'creator_bank_contra', 'wallet', 'wallet_hold', 'xst_issued'))
        and (currency ~ '^[A-Z]{3}$')
        and ((balance is not null) = (kind in ('wallet', 'wallet_hold', 'creator_hold')))
        and ((currency = 'XST') = (kind in ('wallet', 'wallet_hold', 'xst_issued')))
        and (kind not in ('wallet', 'wallet_hold') or balance >= 0)
        and (kind <> 'creator_hold' or balance <= 0)
        and (open_disputes >= 0);
end $$"""
LEDGER_TRANSACTION_HOLDS = """create or replace function ledger_transaction_holds(kind text, at timestamptz, matures_at timestamptz) returns boolean language plpgsql immutable as $$
begin
    return (kind in ('purchase', 'promotion', 'tip', 'refund_requested', 'refund_succeeded', 'refund_failed', 'dispute_opened', 'dispute_won', 'dispute_lost', 'transfer_intent', 'transfer_confirmed', 'transfer_refused', 'transfer_reversed', 'payout_paid', 'payout_failed', 'platform_payout', 'connect_fee', 'stripe_fee', 'tax_paid', 'creator_deleted'))
        and (matures_at is null or matures_at <= at + interval '365 days');
end $$"""
ROOM_HOLDS = """create or replace function room_holds(state text, visibility text, recording_state text, group_id uuid, live_at timestamptz, speakers_share_bps int) returns boolean language plpgsql immutable as $$
begin
    return (state in ('scheduled', 'live', 'ended'))
        and (visibility in ('public', 'unlisted', 'group'))
        and (recording_state in ('off', 'on', 'paused'))
        and ((visibility = 'group') = (group_id is not null))
        and ((state = 'scheduled') = (live_at is null))
        and (speakers_share_bps between 0 and 10000);
end $$"""
STAR_WALLETS = f"""
create or replace function star_wallets(
    p_platform uuid, p_users text[], p_keys text[], p_locked boolean
) returns table (
    payer text, wallet_id bigint, version bigint, open_disputes int,
    lot_id uuid, stars int, gone int, cash_minor bigint, promotional boolean,
    key text, booked uuid
) language plpgsql {PLANS} as $$
begin
    if p_locked then
        perform from ledger_account a
        where a.platform_id = p_platform and a.kind = 'wallet' and a.owner = any(p_users)
            and a.currency = 'XST'
        order by a.id for no key update;
    end if;
    return query
    select a.owner, a.id, a.xmin::text::bigint, a.open_disputes, l.id, l.stars, l.gone,
        l.cash_minor, l.promotional, null::text, null::uuid
    from ledger_account a left join star_lot l on l.wallet_id = a.id and l.gone < l.stars
    where a.platform_id = p_platform and a.kind = 'wallet' and a.owner = any(p_users)
        and a.currency = 'XST'
    order by l.bought_at, l.id;
    return query
    select null::text, null::bigint, null::bigint, null::int, null::uuid, null::int, null::int,
        null::bigint, null::boolean, t.external_key, t.id
    from ledger_transaction t where t.platform_id = p_platform and t.external_key = any(p_keys);
end $$
"""
STAR_WALLETS_UNCHANGED = f"""
create or replace function star_wallets_unchanged(p_wallets bigint[], p_versions bigint[])
returns boolean language plpgsql {PLANS} as $$
begin
    return not exists (
        select from (
            select a.id, a.xmin::text::bigint as version from ledger_account a
            where a.id = any(p_wallets) order by a.id for no key update
        ) l join unnest(p_wallets, p_versions) as r (id, version) on r.id = l.id
        where r.version <> l.version
    );
end $$
"""
LAND_TIPS = f"""
create or replace function land_tips(
    p_platform uuid,
    p_ids uuid[], p_kinds text[], p_keys text[], p_ats timestamptz[], p_txns text[],
    p_matures timestamptz[], p_rooms uuid[], p_room_ms bigint[], p_facts jsonb[],
    p_account_kinds text[], p_owners text[], p_currencies text[],
    p_entry_of int[], p_entry_on int[], p_amounts bigint[],
    p_taken_by int[], p_lots uuid[], p_offsets int[], p_stars int[], p_cash bigint[]
,
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
RECORD_ROOM_EVENTS = f"""
create or replace function record_room_events(
    p_rooms uuid[], p_kinds text[], p_actors uuid[], p_room_ms bigint[], p_data jsonb[]
) returns void language plpgsql {PLANS} as $$
declare
    ignored text;
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
        returning r.id, r.event_seq, r.event_seq - c.events as before,
            case when r.state = 'live' then r.event_ms end as now_ms
    ), landed as (
        insert into room_event (room_id, seq, room_ms, kind, actor_id, data)
        select t.room, m.before + t.nth, coalesce(t.room_ms, m.now_ms), t.kind, t.actor, t.data
        from told t join moved m on m.id = t.room
    )
    select max(pg_notify('encore_room', p.messages)::text) into ignored from (
        select json_agg(t.message)::text as messages from (
            select json_build_object('room_id', m.id, 'seq', m.event_seq) as message,
                row_number() over () / 64 as page
            from moved m
        ) t group by t.page
    ) p;
end $$
"""
STAR_WALLETS_BEFORE = f"""
create or replace function star_wallets(p_platform uuid, p_users text[], p_keys text[])
returns table (
    payer text, wallet_id bigint, open_disputes int,
    lot_id uuid, stars int, gone int, cash_minor bigint, promotional boolean,
    key text, booked uuid
) language plpgsql {PLANS} as $$
begin
    perform from ledger_account a
    where a.platform_id = p_platform and a.kind = 'wallet' and a.owner = any(p_users)
        and a.currency = 'XST'
    order by a.id for no key update;
    return query
    select a.owner, a.id, a.open_disputes, l.id, l.stars, l.gone, l.cash_minor, l.promotional,
        null::text, null::uuid
    from ledger_account a left join star_lot l on l.wallet_id = a.id and l.gone < l.stars
    where a.platform_id = p_platform and a.kind = 'wallet' and a.owner = any(p_users)
        and a.currency = 'XST'
    order by l.bought_at, l.id;
    return query
    select null::text, null::bigint, null::int, null::uuid, null::int, null::int, null::bigint,
        null::boolean, t.external_key, t.id
    from ledger_transaction t where t.platform_id = p_platform and t.external_key = any(p_keys);
end $$
"""
LAND_TIPS_BEFORE = f"""
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
RECORD_ROOM_EVENTS_BEFORE = f"""
create or replace function record_room_events(
    p_rooms uuid[], p_kinds text[], p_actors uuid[], p_room_ms bigint[], p_data jsonb[]
) returns void language plpgsql {PLANS} as $$
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
CHECKS = (
    ('ledger_account', 'ck_ledger_account_account_kind', "kind in ('stripe', 'bank', 'stars_liability', 'creator', 'creator_hold', 'transfer_inflight', 'dispute_recv', 'refund_clearing', 'tax_payable', 'unclaimed', 'rev:fee', 'exp:stripe', 'exp:dispute', 'exp:connect', 'exp:promo', 'exp:loss', 'fx', 'connected', 'connected_contra', 'creator_bank', 'creator_bank_contra', 'wallet', 'wallet_hold', 'xst_issued')"),
    ('ledger_account', 'ck_ledger_account_currency', "currency ~ '^[A-Z]{3}$'"),
    ('ledger_account', 'ck_ledger_account_cached', "(balance is not null) = (kind in ('wallet', 'wallet_hold', 'creator_hold'))"),
    ('ledger_account', 'ck_ledger_account_stars', "(currency = 'XST') = (kind in ('wallet', 'wallet_hold', 'xst_issued'))"),
    ('ledger_account', 'ck_ledger_account_floor', "kind not in ('wallet', 'wallet_hold') or balance >= 0"),
    ('ledger_account', 'ck_ledger_account_ceiling', "kind <> 'creator_hold' or balance <= 0"),
    ('ledger_account', 'ck_ledger_account_open_disputes', 'open_disputes >= 0'),
    ('ledger_transaction', 'ck_ledger_transaction_event_kind', "kind in ('purchase', 'promotion', 'tip', 'refund_requested', 'refund_succeeded', 'refund_failed', 'dispute_opened', 'dispute_won', 'dispute_lost', 'transfer_intent', 'transfer_confirmed', 'transfer_refused', 'transfer_reversed', 'payout_paid', 'payout_failed', 'platform_payout', 'connect_fee', 'stripe_fee', 'tax_paid', 'creator_deleted')"),
    ('ledger_transaction', 'ck_ledger_transaction_matures_at', "matures_at <= at + interval '365 days'"),
    ('room', 'ck_room_group_room', "(visibility = 'group') = (group_id is not null)"),
    ('room', 'ck_room_live_at', "(state = 'scheduled') = (live_at is null)"),
    ('room', 'ck_room_speakers_share_bps', 'speakers_share_bps between 0 and 10000'),
    ('room', 'ck_room_room_state', "state in ('scheduled', 'live', 'ended')"),
    ('room', 'ck_room_visibility', "visibility in ('public', 'unlisted', 'group')"),
    ('room', 'ck_room_recording_state', "recording_state in ('off', 'on', 'paused')"),
)
HOLDS = (
    ('ledger_account', 'ck_ledger_account_holds', 'ledger_account_holds(kind, currency, balance, open_disputes)'),
    ('ledger_transaction', 'ck_ledger_transaction_holds', 'ledger_transaction_holds(kind, at, matures_at)'),
    ('room', 'ck_room_holds', 'room_holds(state, visibility, recording_state, group_id, live_at, speakers_share_bps)'),
)

def upgrade() -> None:
    op.execute(LEDGER_ACCOUNT_HOLDS)
    op.execute(LEDGER_TRANSACTION_HOLDS)
    op.execute(ROOM_HOLDS)
    for table, name, _ in CHECKS:
        op.drop_constraint(op.f(name), table)
    for table, name, check in HOLDS:
        op.create_check_constraint(op.f(name), table, check)
    op.execute('drop function star_wallets')
    op.execute(STAR_WALLETS)
    op.execute(STAR_WALLETS_UNCHANGED)
    op.execute('drop function land_tips')
    op.execute(LAND_TIPS)
    op.execute(RECORD_ROOM_EVENTS)
    op.drop_index('ix_ledger_entry_transaction_id', table_name='ledger_entry')
    op.create_index('ix_ledger_entry_transaction_id', 'ledger_entry', ['transaction_id'], postgresql_using='brin', postgresql_with={'pages_per_range': '16', 'autosummarize': 'on'})


def downgrade() -> None:
    op.execute(RECORD_ROOM_EVENTS_BEFORE)
    op.execute('drop function land_tips')
    op.execute(LAND_TIPS_BEFORE)
    op.execute('drop function star_wallets_unchanged')
    op.execute('drop function star_wallets')
    op.execute(STAR_WALLETS_BEFORE)
    for table, name, _ in HOLDS:
        op.drop_constraint(op.f(name), table)
    for table, name, check in CHECKS:
        op.create_check_constraint(op.f(name), table, check)
    op.execute('drop function ledger_account_holds')
    op.execute('drop function ledger_transaction_holds')
    op.execute('drop function room_holds')
    op.drop_index('ix_ledger_entry_transaction_id', table_name='ledger_entry')
    op.create_index('ix_ledger_entry_transaction_id', 'ledger_entry', ['transaction_id'])
