"""Rooms and participants as a caller may have them: loaded and decided in one place."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.errors import NotFound
from rooms.access import Action, decide, member_of, seen_from
from rooms.models import ON_STAGE, Participant, Room


async def room_for(
    session: AsyncSession,
    principal: Principal,
    room_id: UUID,
    action: Action,
    *,
    lock: bool = False,
) -> tuple[Room, Participant | None]:
    """The room and the caller's own participant row, if he may do `action`.

    `lock` takes the room's row lock first, so that what was decided stays true until the
    commit; every use case that changes a room or its stage takes it, before any other
    lock. Raises what `decide` raises, and NotFound.
    """
    caller = seen_from(principal, room_id)
    if lock:
        await lock_room(session, room_id)
    own = sa.and_(Participant.room_id == Room.id, Participant.user_id == caller.user_id)
    query = (
        sa.select(Room, Participant, member_of(caller))
        .outerjoin(Participant, own)
        .where(Room.id == room_id)
        .execution_options(populate_existing=True)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such room.")
    room, participant, member = row
    decide(principal, action, room, participant, member=member)
    return room, participant


async def lock_room(session: AsyncSession, room_id: UUID) -> None:
    """FOR NO KEY UPDATE: writers of the room wait, inserts that refer to it don't."""
    await session.execute(
        sa.select(Room.id).where(Room.id == room_id).with_for_update(key_share=True)
    )


async def participant_in(session: AsyncSession, room: Room, participant_id: UUID) -> Participant:
    """Raises NotFound when the room has no such participant."""
    found = await session.get(Participant, participant_id, populate_existing=True)
    if found is None or found.room_id != room.id:
        raise NotFound("There is no such participant in this room.")
    return found


async def participant_of(session: AsyncSession, room: Room, user_id: UUID) -> Participant | None:
    return await session.scalar(
        sa.select(Participant)
        .where(Participant.room_id == room.id, Participant.user_id == user_id)
        .execution_options(populate_existing=True)
    )


def standing_on_stage() -> sa.ColumnElement[bool]:
    """`Participant.on_stage` in SQL."""
    return sa.and_(
        Participant.role.in_(ON_STAGE),
        Participant.joined_at.is_not(None),
        Participant.left_at.is_(None),
        Participant.removed_at.is_(None),
    )


def spoken_with_consent() -> sa.ColumnElement[bool]:
    """Whose words may be shown, for queries that join Participant: captions, transcript, search.

    Asked whenever something is read, so that a withdrawal acts everywhere with its commit.
    """
    return Participant.consented_at.is_not(None)


async def database_now(session: AsyncSession) -> datetime:
    """The database's clock, not the transaction's start: ordered for those who hold a lock."""
    now: datetime = (await session.execute(sa.select(sa.func.clock_timestamp()))).scalar_one()
    return now
