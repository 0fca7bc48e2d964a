"""What is kept: recording, off the record, stopped. Each move is an event on the room's clock."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.errors import Conflict
from rooms.access import Action
from rooms.events import EventKind, record_event
from rooms.models import RecordingState, Room, RoomEvent
from rooms.queries import room_for

_MOVES = {
    (RecordingState.OFF, RecordingState.ON): EventKind.RECORDING_STARTED,
    (RecordingState.ON, RecordingState.PAUSED): EventKind.RECORDING_PAUSED,
    (RecordingState.PAUSED, RecordingState.ON): EventKind.RECORDING_RESUMED,
    (RecordingState.ON, RecordingState.OFF): EventKind.RECORDING_STOPPED,
    (RecordingState.PAUSED, RecordingState.OFF): EventKind.RECORDING_STOPPED,
}


class RecordingNotStarted(Conflict):
    code = "recording_not_started"
    title = "There is no recording to pause"


class RecordingStopped(Conflict):
    code = "recording_stopped"
    title = "The recording was stopped for good"


async def set_recording(
    session: AsyncSession, *, principal: Principal, room_id: UUID, state: RecordingState
) -> Room:
    """Co-hosts may pause and resume; stopping for good is the host's. Idempotent.

    Raises RecordingNotStarted, RecordingStopped, RoomNotLive, RoomEnded, Forbidden.
    """
    room, _ = await room_for(session, principal, room_id, Action.RECORD, lock=True)
    if room.recording_state is state:
        return room
    if state is RecordingState.OFF:
        await room_for(session, principal, room_id, Action.END)
    kind = _MOVES.get((room.recording_state, state))
    if room.recording_state is RecordingState.OFF and await _was_stopped(session, room):
        raise RecordingStopped
    if kind is None:
        raise RecordingNotStarted
    room.recording_state = state
    await session.flush()
    await record_event(session, room, kind, actor_id=principal.user_id)
    return room


async def _was_stopped(session: AsyncSession, room: Room) -> bool:
    stopped = sa.exists().where(
        RoomEvent.room_id == room.id, RoomEvent.kind == EventKind.RECORDING_STOPPED
    )
    return bool(await session.scalar(sa.select(stopped)))
