"""What happens in a room: durable events in per-room order, ephemeral ones beside them.

Durable events get `seq` from the room's row, whose lock the transaction then holds until
its commit: sequence numbers become visible in order and without holes, so a reader that
saw `seq` has seen everything before it. Take it last, nothing slow after it.
"""

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from rooms.event_sql import COURSE_KINDS
from rooms.models import Room, RoomEvent, RoomState

DURABLE_CHANNEL = "encore_room"
LIVE_CHANNEL = "encore_live"
CAPTION = "caption"
"""The ephemeral event that holds what was said: for those alone who may listen."""

TIP_SENT = "tip.sent"
"""The durable event that holds what a listener wrote: for those alone who may listen."""

MAX_NOTIFY_BYTES = 7999
"""PostgreSQL refuses longer payloads."""


class EventKind(StrEnum):
    """Kinds of this package; later packages record kinds of their own."""

    ROOM_CREATED = "room.created"
    ROOM_UPDATED = "room.updated"
    ROOM_WENT_LIVE = "room.went_live"
    ROOM_ENDED = "room.ended"
    PARTICIPANT_JOINED = "participant.joined"
    PARTICIPANT_LEFT = "participant.left"
    PARTICIPANT_REMOVED = "participant.removed"
    STAGE_JOINED = "stage.joined"
    STAGE_LEFT = "stage.left"
    HAND_RAISED = "hand.raised"
    HAND_LOWERED = "hand.lowered"
    SPEAKER_MUTED = "speaker.muted"
    SPEAKER_UNMUTED = "speaker.unmuted"
    INVITATION_SENT = "invitation.sent"
    INVITATION_ACCEPTED = "invitation.accepted"
    INVITATION_DECLINED = "invitation.declined"
    INVITATION_WITHDRAWN = "invitation.withdrawn"
    CONSENT_GIVEN = "consent.given"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    RECORDING_STARTED = "recording.started"
    RECORDING_PAUSED = "recording.paused"
    RECORDING_RESUMED = "recording.resumed"
    RECORDING_STOPPED = "recording.stopped"


def clock_ms() -> sa.ColumnElement[int]:
    """Milliseconds on the clock of a live room, by the database, at execution."""
    elapsed = sa.func.clock_timestamp() - Room.live_at
    return sa.cast(sa.func.floor(sa.extract("epoch", elapsed) * 1000), sa.BigInteger)


async def record_event(
    session: AsyncSession,
    room: Room,
    kind: str,
    *,
    actor_id: UUID | None = None,
    room_ms: int | None = None,
    data: dict[str, Any] | None = None,
) -> RoomEvent:
    """Appends a durable event and notifies `encore_room` with the commit.

    `room_ms` defaults to now on the room's clock while the room is live, never before the
    latest event, and to None otherwise. Pass it for what took effect at another moment.
    """
    now_ms = sa.func.greatest(Room.event_ms, clock_ms()) if room_ms is None else room_ms
    live = Room.state == RoomState.LIVE
    latest = now_ms if room_ms is None else sa.func.greatest(Room.event_ms, room_ms)
    advance = (
        sa.update(Room)
        .where(Room.id == room.id)
        .values(
            event_seq=Room.event_seq + 1,
            event_ms=sa.case((live, latest), else_=Room.event_ms),
            course_version=Room.course_version + int(kind in COURSE_KINDS),
        )
        .returning(Room.event_seq, Room.event_ms, live)
        .execution_options(synchronize_session=False)
    )
    seq, event_ms, is_live = (await session.execute(advance)).one()
    set_committed_value(room, "event_seq", seq)
    set_committed_value(room, "event_ms", event_ms)
    if room_ms is None and is_live:
        room_ms = event_ms
    event = RoomEvent(
        room_id=room.id, seq=seq, room_ms=room_ms, kind=kind, actor_id=actor_id, data=data or {}
    )
    session.add(event)
    await session.flush()
    message = {"room_id": str(room.id), "seq": seq, "kind": kind}
    await _notify(session, DURABLE_CHANNEL, message)
    return event


async def tell_changed(session: AsyncSession, room_ids: Iterable[UUID]) -> None:
    """With the commit: something was taken out of what happened in these rooms, and who keeps that
    in memory forgets it."""
    for room_id in room_ids:
        await _notify(session, DURABLE_CHANNEL, {"room_id": str(room_id), "changed": True})


async def announce(session: AsyncSession, room_id: UUID, kind: str, data: dict[str, Any]) -> None:
    """An ephemeral event (levels, counts, reactions): sent with the commit, stored nowhere.

    Raises ValueError when it is larger than a notification may be.
    """
    await _notify(session, LIVE_CHANNEL, {"room_id": str(room_id), "kind": kind, "data": data})


async def tell_gone(session: AsyncSession, user_id: UUID) -> None:
    """With the commit: somebody has left for good, and their open streams end."""
    await _notify(session, LIVE_CHANNEL, {"gone": str(user_id)})


async def _notify(session: AsyncSession, channel: str, message: dict[str, Any]) -> None:
    payload = json.dumps(message, separators=(",", ":"))
    if len(payload.encode()) > MAX_NOTIFY_BYTES:
        raise ValueError(f"a notification holds at most {MAX_NOTIFY_BYTES} bytes")
    await session.execute(sa.select(sa.func.pg_notify(channel, payload)))
