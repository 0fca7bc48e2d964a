"""Coming, going and raising a hand: what people do for themselves."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.errors import Conflict, Unauthenticated
from rooms.access import Action, seen_from
from rooms.events import EventKind, record_event
from rooms.models import Participant, Role, Room, RoomState
from rooms.queries import (
    database_now,
    lock_room,
    participant_of,
    room_for,
    standing_on_stage,
)

MAX_ON_STAGE = 50
"""With the host, whose place is kept free for him."""


class StageFull(Conflict):
    code = "stage_full"
    title = f"The stage holds {MAX_ON_STAGE} people"


class OnStageAlready(Conflict):
    code = "on_stage_already"
    title = "This person is on the stage already"


async def join_room(
    session: AsyncSession, *, principal: Principal, room_id: UUID
) -> tuple[Room, Participant]:
    """The caller is in the room from now on; joining again changes nothing.

    The host comes as host, co-hosts and speakers who accepted as such, all others listen.
    Raises StageFull, Removed, RoomNotLive, RoomEnded, Unauthenticated, NotFound.
    """
    room, own = await room_for(session, principal, room_id, Action.JOIN, lock=True)
    if own is None:
        own = _newcomer(room, principal)
        session.add(own)
    if not own.present:
        await enter(session, room, own)
    return room, own


def _newcomer(room: Room, principal: Principal) -> Participant:
    if principal.user_id is None:
        raise Unauthenticated
    role = Role.HOST if principal.user_id == room.host_id else Role.LISTENER
    return Participant(
        room_id=room.id, user_id=principal.user_id, display_name=principal.display_name, role=role
    )


async def enter(session: AsyncSession, room: Room, participant: Participant) -> None:
    """Into a live room with the role the participant has. Needs the room's lock."""
    now = await database_now(session)
    if participant.role is not Role.LISTENER:
        await ensure_place(session, room, participant)
    participant.joined_at, participant.left_at = now, None
    await session.flush()
    await _record(session, room, EventKind.PARTICIPANT_JOINED, participant)
    if participant.on_stage:
        await on_stage(session, room, participant, actor_id=participant.user_id)


async def ensure_place(session: AsyncSession, room: Room, participant: Participant) -> None:
    """Raises StageFull. The room's lock makes the count hold until the commit."""
    if participant.role is Role.HOST:
        return
    others = sa.select(sa.func.count()).where(
        Participant.room_id == room.id,
        Participant.user_id != participant.user_id,
        Participant.role != Role.HOST,
        standing_on_stage(),
    )
    if (await session.execute(others)).scalar_one() >= MAX_ON_STAGE - 1:
        raise StageFull("The stage is full. You can listen, and try again when somebody leaves.")


async def leave_room(session: AsyncSession, *, principal: Principal, room_id: UUID) -> None:
    """A speaker who comes back listens; host and co-hosts keep their role. Idempotent."""
    room, own = await room_for(session, principal, room_id, Action.LEAVE, lock=True)
    if own is None or not own.present or room.state is RoomState.ENDED:
        return
    was_on_stage, hand = own.on_stage, own.hand_raised_at
    own.left_at, own.hand_raised_at = await database_now(session), None
    if own.role is Role.SPEAKER:
        own.role, own.muted = Role.LISTENER, False
    await session.flush()
    if hand is not None:
        await _record(session, room, EventKind.HAND_LOWERED, own)
    if was_on_stage:
        await _record(session, room, EventKind.STAGE_LEFT, own)
    await _record(session, room, EventKind.PARTICIPANT_LEFT, own)


async def set_hand(
    session: AsyncSession, *, principal: Principal, room_id: UUID, raised: bool
) -> Participant:
    """Asks for the stage, or no longer. Raises OnStageAlready, Forbidden before joining."""
    room, own = await room_for(session, principal, room_id, Action.RAISE_HAND, lock=True)
    own = own_row(own)
    if raised and own.on_stage:
        raise OnStageAlready("You are on the stage: just speak.")
    if raised == (own.hand_raised_at is not None):
        return own
    own.hand_raised_at = await database_now(session) if raised else None
    await session.flush()
    kind = EventKind.HAND_RAISED if raised else EventKind.HAND_LOWERED
    await _record(session, room, kind, own)
    return own


async def set_consent(
    session: AsyncSession, *, principal: Principal, room_id: UUID, consent: bool
) -> Participant:
    """To be recorded in this room. Only the person decides; the stage doesn't depend on it.

    Withdrawing stops keeping from then on, and hides at once what was kept: captions, words of
    the transcript, search. After the end it hides only: taking a voice out of a finished
    recording is an erasure, which this isn't. Giving it again shows what is still there.
    """
    if consent:
        room, own = await room_for(session, principal, room_id, Action.CONSENT, lock=True)
    else:
        room, own = await _any_place(session, principal, room_id)
    own = own_row(own)
    if consent == (own.consented_at is not None):
        return own
    own.consented_at = await database_now(session) if consent else None
    await session.flush()
    kind = EventKind.CONSENT_GIVEN if consent else EventKind.CONSENT_WITHDRAWN
    await _record(session, room, kind, own)
    return own


async def _any_place(
    session: AsyncSession, principal: Principal, room_id: UUID
) -> tuple[Room, Participant | None]:
    """The caller's place also in a room that no longer admits them: their voice is still in it."""
    await lock_room(session, room_id)
    room = await session.get(Room, room_id, populate_existing=True)
    caller = seen_from(principal, room_id)
    if room is not None and caller.user_id is not None:
        own = await participant_of(session, room, caller.user_id)
        if own is not None:
            return room, own
    return await room_for(session, principal, room_id, Action.CONSENT)


def own_row(own: Participant | None) -> Participant:
    """For actions that `decide` only grants to participants."""
    if own is None:
        raise Unauthenticated
    return own


def about(participant: Participant) -> dict[str, Any]:
    """What an event says of somebody, so that events alone draw the stage."""
    return {
        "participant_id": str(participant.id),
        "user_id": str(participant.user_id),
        "display_name": participant.display_name,
        "role": participant.role.value,
    }


async def on_stage(
    session: AsyncSession, room: Room, participant: Participant, *, actor_id: UUID | None
) -> None:
    """Records it with the share of tips that was agreed to: for good, whatever is offered later."""
    data = {**about(participant), "share_bps": participant.share_bps}
    await record_event(session, room, EventKind.STAGE_JOINED, actor_id=actor_id, data=data)


async def _record(
    session: AsyncSession, room: Room, kind: EventKind, participant: Participant
) -> None:
    """Of the participant's own doing."""
    actor_id, data = participant.user_id, about(participant)
    await record_event(session, room, kind, actor_id=actor_id, data=data)
