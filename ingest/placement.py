"""Which worker receives which room: claims of live rooms, and of those whose worker is lost."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from ingest.fleet import is_alive, is_drained, takers
from ingest.models import IngestWorker, Recording, RecordingEpoch, RecordingStatus
from rooms.events import DURABLE_CHANNEL, record_event
from rooms.models import Room, RoomState
from rooms.queries import lock_room
from rooms.stage import close_recording, live_rooms

LEAD_SECONDS: Final = 0.15
LONGEST_LEAD: Final = 10
"""A busier worker waits LEAD_SECONDS for each live room that it has more, up to so many."""

RECORDING_MOVED: Final = "recording.moved"
"""Event of a live room: another worker receives it now; publishers ask for a new ticket."""

GRID_MS: Final = 20
"""Epochs begin on the grid of packets, so that parts of two workers meet exactly."""


@dataclass(frozen=True, slots=True)
class Placement:
    """`began_ms`: where the epoch begins on the room's clock; nothing is placed before."""

    recording_id: UUID
    epoch: int
    revision: int
    began_ms: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who claims: `silent` are the workers that it has seen silent for long enough (SilenceWatch),
    `held` the recordings of which an earlier epoch's files lie on its disk still."""

    worker: UUID
    silent: Collection[UUID] = ()
    held: Collection[str] = ()


async def claim_delay(session: AsyncSession, room_id: UUID, worker: UUID) -> float:
    """Seconds that `worker` leaves the room to those that are less busy; 0 for its own."""
    placed = await _placed(session, room_id)
    if placed is not None and placed.worker_id == worker:
        return 0
    loads = await takers(session)
    least = min(loads.values(), default=0)
    return LEAD_SECONDS * min(max(loads.get(worker, 0) - least, 0), LONGEST_LEAD)


async def claim(session: AsyncSession, room_id: UUID, by: Candidate) -> Placement | None:
    """The room's placement on `by.worker`: made now if the room is live and nobody has it, or
    whoever has it is lost or has let go of it.

    None when another worker has it or this one takes no more, when it ended before anybody
    did, and when its recording is stored: there is nothing left to receive.
    """
    mine = await _placed(session, room_id)
    if mine is None or not await _is_held_by(session, mine, by.worker):
        await lock_room(session, room_id)
        mine = await _placed(session, room_id)
        if mine is None:
            mine = await _place(session, room_id, by.worker)
        elif await _is_free(session, mine, by):
            await _move(session, mine, by.worker)
    if mine is None or mine.status is RecordingStatus.STORED:
        return None
    if not await _is_held_by(session, mine, by.worker):
        return None
    epoch = await _current_epoch(session, mine)
    began_ms = 0 if epoch is None else epoch.began_ms
    return Placement(mine.id, mine.epoch, mine.revision, began_ms)


async def _placed(session: AsyncSession, room_id: UUID) -> Recording | None:
    query = sa.select(Recording).where(Recording.room_id == room_id)
    return await session.scalar(query.execution_options(populate_existing=True))


async def _is_held_by(session: AsyncSession, recording: Recording, worker: UUID) -> bool:
    return recording.worker_id == worker and not await _was_released(session, recording)


async def _was_released(session: AsyncSession, recording: Recording) -> bool:
    epoch = await _current_epoch(session, recording)
    return epoch is not None and epoch.complete_until_ms is not None


async def _current_epoch(session: AsyncSession, recording: Recording) -> RecordingEpoch | None:
    key = (recording.id, recording.epoch)
    return await session.get(RecordingEpoch, key, populate_existing=True)


async def _place(session: AsyncSession, room_id: UUID, worker: UUID) -> Recording | None:
    """Under the room's lock. `epoch` rises with the placement and fences every later write."""
    room = await session.get(Room, room_id, populate_existing=True)
    if room is None or room.state is not RoomState.LIVE:
        return None
    if room.recording_id is None or room.live_at is None or await is_drained(session, worker):
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
    session.add(
        RecordingEpoch(
            recording_id=recording.id, epoch=recording.epoch, worker_id=worker, began_ms=0
        )
    )
    await session.flush()
    return recording


async def _is_free(session: AsyncSession, recording: Recording, by: Candidate) -> bool:
    """Under the room's lock: whether the recording may go on at this worker."""
    if recording.status is RecordingStatus.STORED or str(recording.id) in by.held:
        return False
    if await is_drained(session, by.worker):
        return False
    if await _was_released(session, recording):
        return True
    if recording.worker_id == by.worker or recording.worker_id not in by.silent:
        return False
    alive = sa.select(is_alive()).where(IngestWorker.id == recording.worker_id)
    return not await session.scalar(alive)


async def _move(session: AsyncSession, recording: Recording, worker: UUID) -> None:
    """From here on every write of the epoch before is refused.

    Taking the recording's lock waits for such a write that is under way, so that what is
    stored stands still afterwards.
    """
    await session.refresh(recording, with_for_update={"key_share": True})
    room = await session.get_one(Room, recording.room_id, populate_existing=True)
    room.epoch = recording.epoch = max(room.epoch, recording.epoch) + 1
    recording.worker_id = worker
    began_ms = await _room_now_ms(session, recording)
    session.add(
        RecordingEpoch(
            recording_id=recording.id,
            epoch=recording.epoch,
            worker_id=worker,
            began_ms=began_ms,
        )
    )
    await session.flush()
    if room.state is RoomState.LIVE:
        data = {"recording_id": str(recording.id), "epoch": recording.epoch}
        await record_event(session, room, RECORDING_MOVED, data=data)


async def _room_now_ms(session: AsyncSession, recording: Recording) -> int:
    """Rounded up to the grid, and never before the epoch before began."""
    elapsed = sa.func.clock_timestamp() - recording.live_at
    now_ms = await session.scalar(sa.select(sa.extract("epoch", elapsed) * 1000))
    began = sa.select(sa.func.max(RecordingEpoch.began_ms)).where(
        RecordingEpoch.recording_id == recording.id
    )
    latest = await session.scalar(began) or 0
    return max(-(-int(now_ms or 0) // GRID_MS) * GRID_MS, latest)


async def release(
    session: AsyncSession, recording_id: UUID, *, epoch: int, complete_until_ms: float
) -> None:
    """All of the epoch is stored: another worker may go on, and all are told.

    Whoever calls it holds the epoch (`rows.hold_epoch`).
    """
    await session.execute(
        sa.update(RecordingEpoch)
        .where(RecordingEpoch.recording_id == recording_id, RecordingEpoch.epoch == epoch)
        .values(complete_until_ms=complete_until_ms)
        .execution_options(synchronize_session=False)
    )
    room_id = sa.select(Recording.room_id).where(Recording.id == recording_id).scalar_subquery()
    message = sa.func.json_build_object("room_id", sa.cast(room_id, sa.Text))
    await session.execute(sa.select(sa.func.pg_notify(DURABLE_CHANNEL, sa.cast(message, sa.Text))))


async def rooms_to_receive(session: AsyncSession, by: Candidate) -> set[UUID]:
    """Live rooms that nobody else has, and those that have ended while their end isn't written."""
    free = await _unclaimed(session, by)
    return (set(await live_rooms(session)) | free) - (await _elsewhere(session, by) - free)


async def _unclaimed(session: AsyncSession, by: Candidate) -> set[UUID]:
    """Rooms whose recording nobody goes on with: its worker is lost, or has let go of it."""
    lost = sa.or_(
        Recording.worker_id.in_(set(by.silent) - {by.worker}),
        RecordingEpoch.complete_until_ms.is_not(None),
    )
    not_held = sa.cast(Recording.id, sa.Text).not_in(by.held)
    query = (
        sa.select(Recording.room_id)
        .outerjoin(RecordingEpoch, _of_current_epoch())
        .where(Recording.status == RecordingStatus.LIVE, lost, not_held)
    )
    return set(await session.scalars(query))


async def _elsewhere(session: AsyncSession, by: Candidate) -> set[UUID]:
    """Rooms that other workers receive: nothing to ask about again and again."""
    query = sa.select(Recording.room_id).where(
        Recording.worker_id != by.worker, Recording.status == RecordingStatus.LIVE
    )
    return set(await session.scalars(query))


def _of_current_epoch() -> sa.ColumnElement[bool]:
    return sa.and_(
        RecordingEpoch.recording_id == Recording.id, RecordingEpoch.epoch == Recording.epoch
    )


async def epochs_of(session: AsyncSession, recording_ids: Collection[UUID]) -> dict[UUID, int]:
    """Each recording's epoch now: whoever works in an earlier one is fenced."""
    query = sa.select(Recording.id, Recording.epoch).where(Recording.id.in_(recording_ids))
    return {row.id: row.epoch for row in await session.execute(query)}


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
        .outerjoin(RecordingEpoch, _of_current_epoch())
        .where(Recording.room_id == room_id, RecordingEpoch.complete_until_ms.is_(None))
        .where(is_alive())
    )
    return await session.scalar(query)
