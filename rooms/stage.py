"""The room as the receiving process needs it: who may be heard, what may be kept, until when."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from rooms.events import EventKind
from rooms.models import Participant, Room, RoomEvent, RoomState
from rooms.queries import standing_on_stage

RECORDING_OPEN_FOR = timedelta(days=1)
"""Ended rooms whose recording nobody closed drop out of `live_rooms` after this."""

_MARKS = {
    EventKind.RECORDING_STARTED: True,
    EventKind.RECORDING_RESUMED: True,
    EventKind.RECORDING_PAUSED: False,
    EventKind.RECORDING_STOPPED: False,
}


@dataclass(frozen=True, slots=True)
class RecordMark:
    """From `room_ms` on sound is kept (`on`), or the room is off the record."""

    room_ms: int
    on: bool


@dataclass(frozen=True, slots=True)
class Speaker:
    """Heard when on stage and not muted; kept when, besides, they consented."""

    participant_id: UUID
    user_id: UUID
    display_name: str
    on_stage: bool
    muted: bool
    consented: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """`speakers` holds who is on stage and who once consented; who is missing isn't on stage."""

    room_id: UUID
    platform_id: UUID
    recording_id: UUID
    state: RoomState
    live_at: datetime
    marks: tuple[RecordMark, ...]
    ended_room_ms: int | None
    speakers: dict[UUID, Speaker]


async def stage_of(session: AsyncSession, room_id: UUID) -> Stage | None:
    """One consistent view; None for an unknown room and before go-live."""
    room = await session.get(Room, room_id, populate_existing=True)
    if room is None or room.live_at is None or room.recording_id is None:
        return None
    return Stage(
        room_id=room.id,
        platform_id=room.platform_id,
        recording_id=room.recording_id,
        state=room.state,
        live_at=room.live_at,
        marks=await _marks(session, room_id),
        ended_room_ms=room.duration_ms,
        speakers={s.participant_id: s for s in await _speakers(session, room_id)},
    )


async def _marks(session: AsyncSession, room_id: UUID) -> tuple[RecordMark, ...]:
    query = (
        sa.select(RoomEvent.room_ms, RoomEvent.kind)
        .where(RoomEvent.room_id == room_id, RoomEvent.kind.in_(_MARKS))
        .order_by(RoomEvent.seq)
    )
    rows = (await session.execute(query)).all()
    return tuple(RecordMark(row.room_ms or 0, _MARKS[EventKind(row.kind)]) for row in rows)


async def _speakers(session: AsyncSession, room_id: UUID) -> list[Speaker]:
    heard = standing_on_stage() | Participant.consented_at.is_not(None)
    query = (
        sa.select(Participant)
        .where(Participant.room_id == room_id, heard)
        .execution_options(populate_existing=True)
    )
    return [
        Speaker(
            participant_id=p.id,
            user_id=p.user_id,
            display_name=p.display_name,
            on_stage=p.on_stage,
            muted=p.muted,
            consented=p.consented_at is not None,
        )
        for p in await session.scalars(query)
    ]


async def live_rooms(session: AsyncSession) -> list[UUID]:
    """Rooms to receive: live, or ended while `close_recording` was not called for them yet."""
    unfinished = sa.and_(
        Room.state == RoomState.ENDED,
        Room.recording_closed_at.is_(None),
        Room.ended_at > sa.func.now() - RECORDING_OPEN_FOR,
    )
    query = sa.select(Room.id).where((Room.state == RoomState.LIVE) | unfinished)
    return list(
        await session.scalars(query.where(Room.recording_id.is_not(None)).order_by(Room.id))
    )


async def close_recording(session: AsyncSession, room_id: UUID) -> None:
    """Called by ingest once the end of the recording is written, or nothing was received.

    Idempotent; without effect before the room's end.
    """
    await session.execute(
        sa.update(Room)
        .where(Room.id == room_id, Room.state == RoomState.ENDED)
        .values(recording_closed_at=sa.func.coalesce(Room.recording_closed_at, sa.func.now()))
        .execution_options(synchronize_session=False)
    )
