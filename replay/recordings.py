"""What the rows say of a recording: its clock, its tracks, what is missing in it."""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.errors import NotFound
from ingest.models import Gap, Recording, Rendition, Segment
from replay.recorded import MIX
from replay.roomtime import RoomTime, Stretch
from rooms.access import Action
from rooms.models import Participant, Room
from rooms.queries import room_for


class NotRecorded(NotFound):
    code = "not_recorded"
    title = "This room has no recording"


@dataclass(frozen=True, slots=True)
class Track:
    """One speaker's own rendition. `room_start_ms`: the first sound that is kept of them."""

    rendition: str
    participant_id: UUID
    display_name: str
    room_start_ms: float
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Detail:
    """`recording` is None until the receiving worker has written its row."""

    room: Room
    recording: Recording | None
    clock: RoomTime
    tracks: list[Track]
    gaps: list[Gap]


async def recording_of(session: AsyncSession, principal: Principal, room_id: UUID) -> UUID:
    """The room's recording, if the caller may listen to it; whether or not it has rows yet.

    Raises NotRecorded, and what access raises.
    """
    room, _ = await room_for(session, principal, room_id, Action.LISTEN)
    if room.recording_id is None:
        raise NotRecorded
    return room.recording_id


async def is_compacted(session: AsyncSession, recording_id: UUID) -> bool:
    """Whether it has ended and lies in one object per rendition."""
    query = sa.select(Recording.compacted_at).where(Recording.id == recording_id)
    return await session.scalar(query) is not None


async def recording_detail(
    session: AsyncSession, principal: Principal, recording_id: UUID
) -> Detail:
    """Everything about it, if the caller may listen to its room; else NotFound."""
    room, _ = await room_of(session, principal, recording_id, Action.LISTEN)
    gaps = await session.scalars(
        sa.select(Gap).where(Gap.recording_id == recording_id).order_by(Gap.room_start_ms)
    )
    return Detail(
        room,
        await session.get(Recording, recording_id),
        await room_time(session, recording_id),
        await tracks_of(session, recording_id),
        list(gaps),
    )


async def room_of(
    session: AsyncSession,
    principal: Principal,
    recording_id: UUID,
    action: Action,
    *,
    lock: bool = False,
) -> tuple[Room, Participant | None]:
    """`room_for` by the recording; whoever may not know of it learns nothing."""
    room_id = await session.scalar(sa.select(Room.id).where(Room.recording_id == recording_id))
    if room_id is None:
        raise _unknown()
    try:
        return await room_for(session, principal, room_id, action, lock=lock)
    except NotFound:
        # In the same words: another sentence would say that there is a hidden one.
        raise _unknown() from None


def _unknown() -> NotFound:
    return NotFound("There is no such recording.")


async def room_time(session: AsyncSession, recording_id: UUID) -> RoomTime:
    """The recording's two clocks, as far as its mix is stored."""
    rows = await session.execute(
        sa.select(Segment.media_start, Segment.samples, Segment.room_start_ms)
        .join(Rendition, Rendition.id == Segment.rendition_id)
        .where(Rendition.recording_id == recording_id, Rendition.name == MIX)
        .order_by(Segment.sequence)
    )
    return RoomTime(Stretch(start, samples, room_ms) for start, samples, room_ms in rows)


async def tracks_of(session: AsyncSession, recording_id: UUID) -> list[Track]:
    """The speakers' tracks that have a stored segment, first speaker first."""
    started = sa.func.min(Segment.room_start_ms)
    length = sa.func.sum(Segment.samples)
    rows = await session.execute(
        sa.select(Rendition.name, Participant.id, Participant.display_name, started, length)
        .join(Participant, Participant.id == Rendition.participant_id)
        .join(Segment, Segment.rendition_id == Rendition.id)
        .where(Rendition.recording_id == recording_id)
        .group_by(Rendition.name, Participant.id, Participant.display_name)
        .order_by(started, Rendition.name)
    )
    return [Track(name, who, title, first, float(n) / 48) for name, who, title, first, n in rows]
