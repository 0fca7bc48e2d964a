"""What rooms say of a person who has left for good: that somebody was there, not who."""

from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.leaving import NOBODY
from rooms.event_sql import COURSE_KINDS
from rooms.events import tell_changed
from rooms.models import Group, GroupMember, Participant, Room, RoomEvent, RoomState

_FORGOTTEN: Final = (
    {"display_name": NOBODY, "gone": True},
    {"name": NOBODY},
)
"""What events say instead: of who was in a room that they are gone, too; of who tipped nothing."""


async def call_off(session: AsyncSession, host_id: UUID) -> None:
    """Rooms that have not begun: nobody could begin them any more."""
    waiting = sa.select(Room.id).where(Room.host_id == host_id, Room.state == RoomState.SCHEDULED)
    found = (await session.scalars(waiting.with_for_update())).all()
    for of_room in (RoomEvent.room_id, Participant.room_id, Room.id):
        await session.execute(sa.delete(of_room.class_).where(of_room.in_(found)))


async def hand_on_groups(session: AsyncSession, user_id: UUID) -> None:
    """Off every list. What they owned is whose who has been a member longest; where nobody is left
    it is the platform's own, whose administrators and API keys manage all groups."""
    await session.execute(sa.delete(GroupMember).where(GroupMember.user_id == user_id))
    longest = (
        sa.select(GroupMember.user_id)
        .where(GroupMember.group_id == Group.id)
        .order_by(GroupMember.added_at, GroupMember.user_id)
        .limit(1)
    )
    owned = sa.update(Group).where(Group.owner_id == user_id)
    await session.execute(owned.values(owner_id=longest.scalar_subquery()))


async def forget_names(session: AsyncSession, user_id: UUID, *, also: sa.Select[UUID]) -> None:
    """In lists of people and in what happened. `also`: rooms whose events may name them though
    they were never inside. Repeated, nothing."""
    await session.execute(
        sa.update(Participant).where(Participant.user_id == user_id).values(display_name=NOBODY)
    )
    inside = sa.select(Participant.room_id).where(Participant.user_id == user_id)
    theirs = sa.and_(
        sa.or_(RoomEvent.room_id.in_(inside), RoomEvent.room_id.in_(also)),
        RoomEvent.data.op("->>")("user_id") == str(user_id),
    )
    changed: dict[UUID, bool] = {}
    for words in _FORGOTTEN:
        nameless = RoomEvent.data.op("||")(_literal(words))
        named = RoomEvent.data.op("->>")(next(iter(words))).is_not(None)
        still = sa.not_(RoomEvent.data.bool_op("@>")(_literal(words)))
        told = sa.update(RoomEvent).where(theirs, named, still).values(data=nameless)
        of_course = RoomEvent.kind.in_(COURSE_KINDS)
        for room_id, course in await session.execute(told.returning(RoomEvent.room_id, of_course)):
            changed[room_id] = changed.get(room_id, False) or course
    await _outdate_courses(session, {room_id for room_id, course in changed.items() if course})
    await tell_changed(session, changed)


async def _outdate_courses(session: AsyncSession, room_ids: set[UUID]) -> None:
    """Rooms are locked in the order in which batches of tips lock them, and last."""
    rooms = sa.select(Room.id).where(Room.id.in_(room_ids)).order_by(Room.id)
    await session.execute(rooms.with_for_update(key_share=True))
    await session.execute(
        sa.update(Room)
        .where(Room.id.in_(room_ids))
        .values(course_version=Room.course_version + 1)
        .execution_options(synchronize_session=False)
    )


def _literal(data: dict[str, Any]) -> sa.ColumnElement[dict[str, Any]]:
    return sa.literal(data, JSONB)
