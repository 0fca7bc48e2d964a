"""Pages of rooms, people and events; every page goes on after the last row of the one before."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import User
from core.auth.principal import Principal
from rooms.access import visible_rooms
from rooms.models import Participant, Role, Room, RoomEvent, RoomState


async def list_rooms(
    session: AsyncSession,
    principal: Principal,
    *,
    state: RoomState | None = None,
    topic: str | None = None,
    host_id: UUID | None = None,
    after: UUID | None = None,
    limit: int,
) -> list[tuple[Room, str]]:
    """Rooms that the caller may find, with their hosts' names; the newest first."""
    query = (
        sa.select(Room, User.display_name)
        .join(User, User.id == Room.host_id)
        .where(visible_rooms(principal))
        .order_by(Room.id.desc())
        .limit(limit)
    )
    if state is not None:
        query = query.where(Room.state == state)
    if topic is not None:
        query = query.where(sa.literal(topic) == sa.any_(Room.topics))
    if host_id is not None:
        query = query.where(Room.host_id == host_id)
    if after is not None:
        query = query.where(Room.id < after)
    return [(room, name) for room, name in await session.execute(query)]


async def host_name(session: AsyncSession, room: Room) -> str:
    name = await session.scalar(sa.select(User.display_name).where(User.id == room.host_id))
    return name or ""


async def list_participants(
    session: AsyncSession,
    room: Room,
    *,
    role: Role | None = None,
    hand_raised: bool | None = None,
    after: UUID | None = None,
    limit: int,
) -> Sequence[Participant]:
    """In the order of their first coming; raised hands in the order of raising."""
    query = sa.select(Participant).where(Participant.room_id == room.id).limit(limit)
    if role is not None:
        query = query.where(Participant.role == role)
    if hand_raised is not None:
        query = query.where(Participant.hand_raised_at.is_not(None) == hand_raised)
    if not hand_raised:
        later = () if after is None else (Participant.id > after,)
        return (await session.scalars(query.where(*later).order_by(Participant.id))).all()
    place = sa.tuple_(Participant.hand_raised_at, Participant.id)
    if after is not None:
        last = sa.select(Participant.hand_raised_at, Participant.id).where(Participant.id == after)
        query = query.where(place > last.scalar_subquery())
    return (await session.scalars(query.order_by(Participant.hand_raised_at, Participant.id))).all()


async def events_after(
    session: AsyncSession, room_id: UUID, *, after: int, limit: int
) -> Sequence[RoomEvent]:
    """Durable events in order. Without holes: `seq` becomes visible in order (rooms/events.py)."""
    query = (
        sa.select(RoomEvent)
        .where(RoomEvent.room_id == room_id, RoomEvent.seq > after)
        .order_by(RoomEvent.seq)
        .limit(limit)
    )
    return (await session.scalars(query)).all()
