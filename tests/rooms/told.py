"""What a room told of itself."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from rooms.models import Room, RoomEvent


async def kinds_after(session: AsyncSession, room: Room, seq: int) -> list[str]:
    query = sa.select(RoomEvent.kind).where(RoomEvent.room_id == room.id, RoomEvent.seq > seq)
    return list(await session.scalars(query.order_by(RoomEvent.seq)))
