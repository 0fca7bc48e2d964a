"""What the pages read: rooms to list, and who is in one."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import User
from core.auth.principal import Principal
from core.errors import Problem
from ingest.models import Recording, Rendition
from rooms.access import Action, decide, visible_rooms
from rooms.events import TIP_SENT, EventKind
from rooms.models import Participant, RecordingState, Room, RoomEvent, RoomState
from rooms.queries import standing_on_stage
from web.pages.tones import Places, places_on_stage

LISTED = 60
LATEST_EVENTS = 60

_NOT_LOGGED = (EventKind.PARTICIPANT_JOINED, EventKind.PARTICIPANT_LEFT, TIP_SENT)
"""Of thousands of listeners: counted, not told. Tips are a list of their own."""


@dataclass(frozen=True, slots=True)
class Card:
    """A room in the list; `stage`: who is on it now, or, of an ended room, who has a track."""

    room: Room
    host_name: str
    stage: Sequence[Participant]
    places: Places


_ORDER = {
    RoomState.LIVE: Room.live_at.desc(),
    RoomState.SCHEDULED: Room.scheduled_at.asc().nulls_last(),
    RoomState.ENDED: Room.live_at.desc(),
}


async def cards(
    session: AsyncSession, me: Principal, state: RoomState, *, topic: str | None
) -> list[Card]:
    """The rooms in one state that the caller may find, at most LISTED."""
    query = (
        sa.select(Room, User.display_name)
        .join(User, User.id == Room.host_id)
        .where(visible_rooms(me), Room.state == state)
        .order_by(_ORDER[state], Room.id.desc())
        .limit(LISTED)
    )
    if topic:
        query = query.where(sa.literal(topic) == sa.any_(Room.topics))
    rows = (await session.execute(query)).all()
    stages = await _on_stage(session, state, [room.id for room, _ in rows])
    places = await places_on_stage(session, list(stages))
    return [Card(room, name, stages.get(room.id, []), places) for room, name in rows]


async def _on_stage(
    session: AsyncSession, state: RoomState, room_ids: list[UUID]
) -> dict[UUID, list[Participant]]:
    if state is RoomState.SCHEDULED or not room_ids:
        return {}
    query = (
        sa.select(Participant)
        .where(
            Participant.room_id.in_(room_ids),
            standing_on_stage() if state is RoomState.LIVE else _spoke(room_ids),
        )
        .order_by(Participant.joined_at, Participant.id)
    )
    stages: dict[UUID, list[Participant]] = {}
    for participant in await session.scalars(query):
        stages.setdefault(participant.room_id, []).append(participant)
    return stages


def _spoke(room_ids: list[UUID]) -> sa.ColumnElement[bool]:
    tracks = (
        sa.select(Rendition.participant_id)
        .join(Recording, Recording.id == Rendition.recording_id)
        .where(Recording.room_id.in_(room_ids), Rendition.participant_id.is_not(None))
    )
    return Participant.id.in_(tracks)


@dataclass(frozen=True, slots=True)
class People:
    """Who is in a room: the stage, those to whom something was offered or who ask, the rest."""

    stage: list[Participant]
    asking: list[Participant]
    audience: int


async def people(session: AsyncSession, room: Room) -> People:
    present = sa.and_(
        Participant.room_id == room.id,
        Participant.joined_at.is_not(None),
        Participant.left_at.is_(None),
        Participant.removed_at.is_(None),
    )
    asks = Participant.hand_raised_at.is_not(None) | Participant.invited_role.is_not(None)
    shown = sa.select(Participant).where(present, standing_on_stage() | asks)
    found = list(await session.scalars(shown.order_by(Participant.joined_at, Participant.id)))
    count = sa.select(sa.func.count()).where(present, sa.not_(standing_on_stage()))
    return People(
        stage=[p for p in found if p.on_stage],
        asking=[p for p in found if not p.on_stage],
        audience=await session.scalar(count) or 0,
    )


async def latest_events(session: AsyncSession, room: Room) -> list[RoomEvent]:
    """What happened last, oldest first; not who came to listen and went, and no tips."""
    query = (
        sa.select(RoomEvent)
        .where(
            RoomEvent.room_id == room.id,
            RoomEvent.seq <= room.event_seq,
            RoomEvent.kind.not_in(_NOT_LOGGED),
        )
        .order_by(RoomEvent.seq.desc())
        .limit(LATEST_EVENTS)
    )
    return list(await session.scalars(query))[::-1]


async def recording_stopped(session: AsyncSession, room: Room) -> bool:
    """For good: `off` alone may also mean that it never began."""
    if room.recording_state is not RecordingState.OFF:
        return False
    stopped = sa.exists().where(
        RoomEvent.room_id == room.id, RoomEvent.kind == EventKind.RECORDING_STOPPED
    )
    return bool(await session.scalar(sa.select(stopped)))


async def host_name(session: AsyncSession, room: Room) -> str:
    return await session.scalar(sa.select(User.display_name).where(User.id == room.host_id)) or ""


def permissions(me: Principal, room: Room, own: Participant | None) -> dict[str, bool]:
    """What the caller may do in a room that he sees, by action, as of now."""
    actions = (
        Action.SPEAK,
        Action.MODERATE,
        Action.MANAGE,
        Action.RECORD,
        Action.END,
        Action.EDIT,
        Action.EDIT_OWN,
        Action.TRANSCRIBE,
        Action.TIP,
        Action.THANK,
        Action.HIDE_TIP,
    )
    return {action.value: _may(me, action, room, own) for action in actions}


def _may(me: Principal, action: Action, room: Room, own: Participant | None) -> bool:
    try:
        decide(me, action, room, own, member=True)
    except Problem:
        return False
    return True
