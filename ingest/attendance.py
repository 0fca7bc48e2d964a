"""When somebody was last connected to a live room, and which rooms everybody has left."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from ingest.fleet import is_alive
from ingest.models import IngestWorker, Recording
from rooms.models import Room, RoomState

COARSE: Final = timedelta(seconds=30)
"""`last_peer_at` is written at most so often."""

GONE_FOR: Final = timedelta(days=1)
"""A worker that was silent for so long has nobody connected."""


async def attend(session: AsyncSession, recording_ids: Sequence[UUID]) -> None:
    """Somebody is connected to their rooms now.

    Called in the transaction that writes the worker's heartbeat: after an absence of the
    database no fresh heartbeat is ever seen beside an old attendance.
    """
    if not recording_ids:
        return
    known = sa.func.coalesce(Recording.last_peer_at, Recording.live_at)
    await session.execute(
        sa.update(Recording)
        .where(Recording.id.in_(recording_ids), known < sa.func.now() - COARSE)
        .values(last_peer_at=sa.func.now())
        .execution_options(synchronize_session=False)
    )


async def abandoned_rooms(
    session: AsyncSession, limit: timedelta, *, room_id: UUID | None = None
) -> list[UUID]:
    """Live rooms (or only `room_id`, if it is one) without anybody connected for `limit`.

    Those of a silent worker are left out until GONE_FOR: it may be the database that was
    away, while people went on talking. Rooms that no worker ever had count from go-live.
    """
    now = sa.func.now()
    attended = sa.func.coalesce(Recording.last_peer_at, Room.live_at)
    heartbeat = IngestWorker.heartbeat_at
    query = (
        sa.select(Room.id)
        .outerjoin(Recording, Recording.room_id == Room.id)
        .outerjoin(IngestWorker, IngestWorker.id == Recording.worker_id)
        .where(Room.state == RoomState.LIVE, attended < now - limit)
        .where(heartbeat.is_(None) | is_alive() | (heartbeat < now - GONE_FOR))
    )
    if room_id is not None:
        query = query.where(Room.id == room_id)
    return list(await session.scalars(query.order_by(Room.id)))
