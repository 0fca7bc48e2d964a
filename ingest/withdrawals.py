"""When speakers withdrew their consent, by the room's own events."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from rooms.events import EventKind
from rooms.models import RoomEvent


async def withdrawals(session: AsyncSession, room_id: UUID) -> dict[UUID, int]:
    """`room_ms` of each participant's last withdrawal."""
    query = (
        sa.select(RoomEvent.data["participant_id"].astext, RoomEvent.room_ms)
        .where(RoomEvent.room_id == room_id, RoomEvent.kind == EventKind.CONSENT_WITHDRAWN)
        .where(RoomEvent.room_ms.is_not(None))
        .order_by(RoomEvent.seq)
    )
    return {UUID(who): room_ms for who, room_ms in await session.execute(query)}
