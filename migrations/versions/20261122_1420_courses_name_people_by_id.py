"""Courses name people by id

Revision ID: b7410fd2c85e
Revises: 83c6f1d90e4a
Created: 2026-11-22 14:20:00.000000+00:00
"""

from collections.abc import Sequence

from alembic import op

revision: str = 'b7410fd2c85e'
down_revision: str | Sequence[str] | None = '83c6f1d90e4a'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


COURSES = """
create or replace function room_courses(p_rooms uuid[])
returns table (
    room_id uuid, now_ms bigint, kind text, room_ms bigint, user_id uuid, share_bps int
) language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off as $$
begin
    return query
    select r.id, coalesce(
            r.duration_ms, floor(extract(epoch from clock_timestamp() - r.live_at) * 1000)::bigint
        ), e.kind, e.room_ms, (e.data->>'user_id')::uuid, (e.data->>'share_bps')::int
    from room r left join lateral (
        select m.seq, m.kind, m.room_ms, m.data from room_event m
        where m.room_id = r.id and m.kind in ('stage.joined', 'stage.left', 'recording.started', 'recording.paused', 'recording.resumed', 'recording.stopped') offset 0
    ) e on true
    where r.id = any(p_rooms) order by r.id, e.seq;
end $$
"""
OLD_COURSES = """
create or replace function room_courses(p_rooms uuid[])
returns table (
    room_id uuid, now_ms bigint, kind text, room_ms bigint, user_id text, share_bps int
) language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off as $$
begin
    return query
    select r.id, coalesce(
            r.duration_ms, floor(extract(epoch from clock_timestamp() - r.live_at) * 1000)::bigint
        ), e.kind, e.room_ms, e.data->>'user_id', (e.data->>'share_bps')::int
    from room r left join lateral (
        select m.seq, m.kind, m.room_ms, m.data from room_event m
        where m.room_id = r.id and m.kind in ('stage.joined', 'stage.left', 'recording.started', 'recording.paused', 'recording.resumed', 'recording.stopped') offset 0
    ) e on true
    where r.id = any(p_rooms) order by r.id, e.seq;
end $$
"""


def upgrade() -> None:
    op.execute("drop function room_courses")
    op.get_bind().exec_driver_sql(COURSES)


def downgrade() -> None:
    op.execute("drop function room_courses")
    op.get_bind().exec_driver_sql(OLD_COURSES)
