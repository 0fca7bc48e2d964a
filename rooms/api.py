"""HTTP: rooms, from their creation to their end."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

import rooms.groups_api
import rooms.people_api
from core.auth.accounts import EmailNotVerified, require_verified
from core.auth.browser import CrossSite
from core.auth.dependencies import CallerDep
from core.auth.documented import problems
from core.auth.principal import Kind
from core.auth.rights import AccountNeeded, ScopeMissing
from core.errors import Forbidden, NotFound, TooManyRequests, Unauthenticated
from core.http import ServicesDep, SessionDep
from core.ratelimit import rate_limit
from rooms import lifecycle
from rooms.access import Action, RoomEnded, RoomNotLive, hears
from rooms.lifecycle import GroupMismatch, HostUnknown, RoomAlreadyLive, RoomDraft, RoomStarted
from rooms.limits import CHANGE, CREATE
from rooms.listing import events_after, host_name, list_rooms
from rooms.models import Room, RoomState
from rooms.queries import room_for
from rooms.recording import RecordingNotStarted, RecordingStopped, set_recording
from rooms.schemas import (
    LAST_SEEN,
    History,
    NewRoom,
    ParticipantOut,
    RecordingChange,
    RoomChanges,
    RoomDetail,
    RoomOut,
    RoomPage,
    TopicFilter,
)

router = APIRouter(prefix="/v1")
router.include_router(rooms.people_api.router)
router.include_router(rooms.groups_api.router)

CHANGING = [Depends(rate_limit(CHANGE, per_credential=True))]
REFUSED = (Unauthenticated, Forbidden, ScopeMissing, NotFound, CrossSite, TooManyRequests)
Limit = Annotated[int, Query(ge=1, le=100)]


@router.post(
    "/rooms",
    status_code=201,
    tags=["rooms"],
    summary="Open a room",
    dependencies=[Depends(rate_limit(CREATE, per_credential=True))],
    responses=problems(*REFUSED, AccountNeeded, EmailNotVerified, GroupMismatch, HostUnknown),
)
async def create(
    new: NewRoom, services: ServicesDep, session: SessionDep, principal: CallerDep
) -> RoomOut:
    """A person hosts it; an API key names a user of its platform. It is live only with
    `POST /v1/rooms/{room_id}/live`, whatever `scheduled_at` says.

    In production a person's email must be confirmed first.
    """
    if principal.kind is Kind.USER and principal.user_id is not None:
        await require_verified(session, services.settings, principal.user_id)
    draft = RoomDraft(**new.model_dump(exclude={"host_id"}))
    room = await lifecycle.create_room(
        session, principal=principal, draft=draft, host_id=new.host_id
    )
    return await _shown(session, room)


@router.get("/rooms", tags=["rooms"], summary="Find rooms", responses=problems(Unauthenticated))
async def find(
    session: SessionDep,
    principal: CallerDep,
    state: Annotated[RoomState | None, Query(description="only rooms that are so now")] = None,
    topic: TopicFilter | None = None,
    host_id: UUID | None = None,
    after: UUID | None = None,
    limit: Limit = 50,
) -> RoomPage:
    """The newest first. Unlisted rooms show up only for their host and the platform."""
    found = await list_rooms(
        session,
        principal,
        state=state,
        topic=topic,
        host_id=host_id,
        after=after,
        limit=limit + 1,
    )
    items = [RoomOut.of(room, name) for room, name in found[:limit]]
    return RoomPage(items=items, next=items[-1].id if len(found) > limit else None)


@router.get(
    "/rooms/{room_id}",
    tags=["rooms"],
    summary="See a room",
    responses=problems(Unauthenticated, NotFound),
)
async def see(room_id: UUID, session: SessionDep, principal: CallerDep) -> RoomDetail:
    room, own = await room_for(session, principal, room_id, Action.SEE)
    shown = RoomDetail.of(room, await host_name(session, room))
    return shown.model_copy(update={"me": ParticipantOut.model_validate(own) if own else None})


@router.patch(
    "/rooms/{room_id}",
    tags=["rooms"],
    summary="Change a room",
    dependencies=CHANGING,
    responses=problems(*REFUSED, RoomStarted, GroupMismatch),
)
async def change(
    room_id: UUID, changes: RoomChanges, session: SessionDep, principal: CallerDep
) -> RoomOut:
    """`scheduled_at` and `record_from_start` only before the room goes live."""
    room = await lifecycle.update_room(
        session,
        principal=principal,
        room_id=room_id,
        changes={name: getattr(changes, name) for name in changes.model_fields_set},
    )
    return await _shown(session, room)


@router.delete(
    "/rooms/{room_id}",
    status_code=204,
    tags=["rooms"],
    summary="Call a scheduled room off",
    dependencies=CHANGING,
    responses=problems(*REFUSED, RoomStarted),
)
async def delete(room_id: UUID, session: SessionDep, principal: CallerDep) -> None:
    await lifecycle.delete_room(session, principal=principal, room_id=room_id)


@router.post(
    "/rooms/{room_id}/live",
    tags=["rooms"],
    summary="Go live",
    dependencies=CHANGING,
    responses=problems(*REFUSED, RoomAlreadyLive, RoomEnded),
)
async def go_live(room_id: UUID, session: SessionDep, principal: CallerDep) -> RoomOut:
    """Starts the room's clock; a host who calls it enters the room with it."""
    room = await lifecycle.go_live(session, principal=principal, room_id=room_id)
    return await _shown(session, room)


@router.post(
    "/rooms/{room_id}/end",
    tags=["rooms"],
    summary="End the room",
    dependencies=CHANGING,
    responses=problems(*REFUSED, RoomNotLive),
)
async def end(room_id: UUID, session: SessionDep, principal: CallerDep) -> RoomOut:
    """For good. Its replay plays at once. Ending it again changes nothing."""
    room = await lifecycle.end_room(session, principal=principal, room_id=room_id)
    return await _shown(session, room)


@router.put(
    "/rooms/{room_id}/recording",
    tags=["rooms"],
    summary="Record, go off the record, stop",
    dependencies=CHANGING,
    responses=problems(*REFUSED, RoomNotLive, RoomEnded, RecordingNotStarted, RecordingStopped),
)
async def record(
    room_id: UUID, wanted: RecordingChange, session: SessionDep, principal: CallerDep
) -> RoomOut:
    room = await set_recording(session, principal=principal, room_id=room_id, state=wanted.state)
    return await _shown(session, room)


@router.get(
    "/rooms/{room_id}/history",
    tags=["events"],
    summary="Page through a room's events",
    responses=problems(Unauthenticated, NotFound),
)
async def history(
    room_id: UUID,
    session: SessionDep,
    principal: CallerDep,
    after: Annotated[int, Query(ge=0, le=2**62, description=LAST_SEEN)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> History:
    """Everything that happened, in order, numbered from 1 without holes."""
    room, own = await room_for(session, principal, room_id, Action.SEE)
    events = await events_after(session, room.id, after=after, limit=limit + 1)
    told = hears(principal, room, own)
    return History.of(events[:limit], hears=told, more=len(events) > limit)


async def _shown(session: SessionDep, room: Room) -> RoomOut:
    return RoomOut.of(room, await host_name(session, room))
