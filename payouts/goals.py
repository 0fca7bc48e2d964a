"""Goals: what a room collects Stars for. Tips count towards them live and on the replay."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from payouts.tip_models import RoomGoal
from rooms.access import Action
from rooms.events import record_event
from rooms.models import Room
from rooms.queries import room_for

GOAL_SET = "goal.set"
GOAL_CLOSED = "goal.closed"


async def goal_of(session: AsyncSession, room: Room) -> RoomGoal | None:
    """The room's open goal."""
    return await session.scalar(
        sa.select(RoomGoal)
        .where(RoomGoal.room_id == room.id, RoomGoal.closed_at.is_(None))
        .execution_options(populate_existing=True)
    )


async def set_goal(
    session: AsyncSession, *, principal: Principal, room_id: UUID, title: str, stars: int
) -> RoomGoal:
    """Sets a goal, counted from 0, in place of the open one; earlier tips don't count towards it.

    By the host, before, during or after the room. Raises what `room_for` raises.
    """
    room, _ = await room_for(session, principal, room_id, Action.MANAGE)
    await _close(session, room)
    goal = RoomGoal(room_id=room.id, title=title, target_stars=stars)
    session.add(goal)
    await session.flush()
    data = {"goal_id": str(goal.id), "title": title, "target_stars": stars, "raised_stars": 0}
    await record_event(session, room, GOAL_SET, actor_id=principal.user_id, data=data)
    return goal


async def close_goal(session: AsyncSession, *, principal: Principal, room_id: UUID) -> None:
    """Idempotent. By the host; raises what `room_for` raises."""
    room, _ = await room_for(session, principal, room_id, Action.MANAGE)
    closed = await _close(session, room)
    if closed is not None:
        data = {"goal_id": str(closed)}
        await record_event(session, room, GOAL_CLOSED, actor_id=principal.user_id, data=data)


async def _close(session: AsyncSession, room: Room) -> UUID | None:
    """Takes a lock, so that the goals of a room change one after the other. Tips lock only the
    goal's row."""
    key = sa.func.hashtextextended(f"room_goal:{room.id}", 0)
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
    return await session.scalar(
        sa.update(RoomGoal)
        .where(RoomGoal.room_id == room.id, RoomGoal.closed_at.is_(None))
        .values(closed_at=sa.func.now())
        .returning(RoomGoal.id)
        .execution_options(synchronize_session=False)
    )
