"""Which worker receives which room: the worker's row, its heartbeat, and claims of live rooms."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.durable import create_once
from core.ids import uuid7
from ingest.models import IngestWorker, Recording, RecordingStatus
from rooms.models import Room, RoomState
from rooms.queries import lock_room
from rooms.stage import close_recording

HEARTBEAT_SECONDS: Final = 2.0
ALIVE_FOR: Final = timedelta(seconds=15)
"""A worker whose heartbeat is older gets no new publishers, and nobody waits for it."""

LEAD_SECONDS: Final = 0.15
LONGEST_LEAD: Final = 10
"""A busier worker waits LEAD_SECONDS for each live room that it has more, up to so many."""


@dataclass(frozen=True, slots=True)
class Placement:
    recording_id: UUID
    epoch: int
    revision: int


def worker_id(data_dir: Path) -> UUID:
    """This disk's worker, named at its first start: journals are recovered where they lie."""
    path = data_dir / "worker_id"
    if not path.exists():
        create_once(path, str(uuid7()).encode())
    return UUID(path.read_text().strip())


async def beat(
    session: AsyncSession, worker: UUID, whip_url: str, *, starting: bool = False
) -> None:
    """Writes the worker's row: that it lives, and where WHIP clients reach it.

    One that is starting takes rooms again, whatever it was told before.
    """
    now = sa.func.now()
    values = {"id": worker, "whip_url": whip_url, "started_at": now, "heartbeat_at": now}
    row = insert(IngestWorker).values(values)
    changed: dict[str, Any] = {"whip_url": whip_url, "heartbeat_at": now}
    if starting:
        changed |= {"started_at": now, "draining": False}
    await session.execute(row.on_conflict_do_update(index_elements=["id"], set_=changed))


async def drain(session: AsyncSession, worker: UUID) -> None:
    """It keeps its rooms and claims no more, until its process starts again."""
    row = sa.update(IngestWorker).where(IngestWorker.id == worker)
    await session.execute(row.values(draining=True))


async def claim_delay(session: AsyncSession, room_id: UUID, worker: UUID) -> float:
    """Seconds that `worker` leaves the room to those with fewer live rooms; 0 for a placed one."""
    if await _placed(session, room_id) is not None:
        return 0
    loads = await _loads(session)
    least = min(loads.values(), default=0)
    return LEAD_SECONDS * min(max(loads.get(worker, 0) - least, 0), LONGEST_LEAD)


async def _loads(session: AsyncSession) -> dict[UUID, int]:
    """Live rooms of each worker that takes new ones."""
    room = sa.and_(Room.id == Recording.room_id, Room.state == RoomState.LIVE)
    query = (
        sa.select(IngestWorker.id, sa.func.count(Room.id).label("rooms"))
        .outerjoin(Recording, Recording.worker_id == IngestWorker.id)
        .outerjoin(Room, room)
        .where(IngestWorker.heartbeat_at > sa.func.now() - ALIVE_FOR)
        .where(sa.not_(IngestWorker.draining))
        .group_by(IngestWorker.id)
    )
    return {row.id: row.rooms for row in await session.execute(query)}


async def claim(session: AsyncSession, room_id: UUID, worker: UUID) -> Placement | None:
    """The room's placement on `worker`: made now if the room is live and nobody has it.

    None when another worker has it or this one takes no more, when it ended before anybody
    did, and when its recording is stored: there is nothing left to receive.
    """
    mine = await _placed(session, room_id)
    if mine is None:
        await lock_room(session, room_id)
        mine = await _placed(session, room_id) or await _place(session, room_id, worker)
    if mine is None or mine.worker_id != worker or mine.status is RecordingStatus.STORED:
        return None
    return Placement(mine.id, mine.epoch, mine.revision)


async def _placed(session: AsyncSession, room_id: UUID) -> Recording | None:
    return await session.scalar(sa.select(Recording).where(Recording.room_id == room_id))


async def _place(session: AsyncSession, room_id: UUID, worker: UUID) -> Recording | None:
    """Under the room's lock. `epoch` rises with the placement and fences every later write."""
    room = await session.get(Room, room_id, populate_existing=True)
    if room is None or room.state is not RoomState.LIVE:
        return None
    if room.recording_id is None or room.live_at is None or await _drains(session, worker):
        return None
    room.epoch += 1
    recording = Recording(
        id=room.recording_id,
        room_id=room.id,
        platform_id=room.platform_id,
        worker_id=worker,
        epoch=room.epoch,
        revision=1,
        live_at=room.live_at,
    )
    session.add(recording)
    await session.flush()
    return recording


async def _drains(session: AsyncSession, worker: UUID) -> bool:
    draining = sa.select(IngestWorker.draining).where(IngestWorker.id == worker)
    return bool(await session.scalar(draining))


async def placed_elsewhere(session: AsyncSession, worker: UUID) -> set[UUID]:
    """Rooms that other workers receive: nothing to ask about again and again."""
    query = sa.select(Recording.room_id).where(
        Recording.worker_id != worker, Recording.status == RecordingStatus.LIVE
    )
    return set(await session.scalars(query))


async def is_stored(session: AsyncSession, recording_id: UUID) -> bool:
    status = sa.select(Recording.status).where(Recording.id == recording_id)
    return await session.scalar(status) is RecordingStatus.STORED


async def close_settled(session: AsyncSession, room_id: UUID) -> None:
    """Closes a room that ended before any worker had it, or whose recording is stored."""
    recording = await _placed(session, room_id)
    if recording is None or recording.status is RecordingStatus.STORED:
        await close_recording(session, room_id)


async def whip_base_url(session: AsyncSession, room_id: UUID) -> str | None:
    """Where the room is received now; None while no living worker has it."""
    query = (
        sa.select(IngestWorker.whip_url)
        .join(Recording, Recording.worker_id == IngestWorker.id)
        .where(Recording.room_id == room_id)
        .where(IngestWorker.heartbeat_at > sa.func.now() - ALIVE_FOR)
    )
    return await session.scalar(query)
