"""A room's way: created, scheduled, live, ended. Ended rooms stay ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import User
from core.auth.principal import Kind, Principal, Scope
from core.auth.rights import ScopeMissing, require_user
from core.errors import Conflict, Forbidden, Invalid
from core.ids import uuid7
from core.webhooks.service import emit
from rooms.access import Action, RoomEnded, RoomNotLive
from rooms.events import EventKind, clock_ms, record_event
from rooms.groups import group_for
from rooms.models import (
    Participant,
    RecordingState,
    Role,
    Room,
    RoomEvent,
    RoomState,
    Visibility,
)
from rooms.participation import enter
from rooms.queries import room_for

ONLY_BEFORE_LIVE = frozenset({"scheduled_at", "record_from_start"})


class RoomAlreadyLive(Conflict):
    code = "room_already_live"
    title = "The room is live already"


class RoomStarted(Conflict):
    code = "room_started"
    title = "This can only be changed before the room goes live"


class HostUnknown(Invalid):
    code = "host_unknown"
    title = "The host must be a user of the platform"


class GroupMismatch(Invalid):
    code = "group_mismatch"
    title = "A group room names its group, other rooms name none"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomDraft:
    """What a room is created from; `group_id` exactly for Visibility.GROUP."""

    title: str
    description: str = ""
    topics: tuple[str, ...] = ()
    language: str = "en"
    visibility: Visibility = Visibility.PUBLIC
    group_id: UUID | None = None
    scheduled_at: datetime | None = None
    record_from_start: bool = True
    speakers_share_bps: int = 0


async def create_room(
    session: AsyncSession, *, principal: Principal, draft: RoomDraft, host_id: UUID | None = None
) -> Room:
    """A scheduled room. A person hosts it himself; an API key names the host.

    Raises Unauthenticated, AccountNeeded, ScopeMissing, HostUnknown, GroupMismatch, and
    NotFound for a group the creator doesn't belong to.
    """
    host = await _host(session, principal, host_id)
    await _check_group(session, principal, draft.visibility, draft.group_id)
    room = Room(
        platform_id=host.platform_id,
        host_id=host.id,
        title=draft.title,
        description=draft.description,
        topics=list(draft.topics),
        language=draft.language,
        visibility=draft.visibility,
        group_id=draft.group_id,
        scheduled_at=draft.scheduled_at,
        record_from_start=draft.record_from_start,
        speakers_share_bps=draft.speakers_share_bps,
    )
    session.add(room)
    await session.flush()
    session.add(
        Participant(
            room_id=room.id, user_id=host.id, display_name=host.display_name, role=Role.HOST
        )
    )
    await record_event(session, room, EventKind.ROOM_CREATED, actor_id=principal.user_id)
    return room


async def _host(session: AsyncSession, principal: Principal, host_id: UUID | None) -> User:
    if principal.kind is Kind.API_KEY:
        if Scope.ROOMS_WRITE not in principal.scopes:
            raise ScopeMissing(f"this needs an API key with the scope {Scope.ROOMS_WRITE}")
    elif host_id is None or host_id == principal.user_id:
        host_id = require_user(principal)
    else:
        require_user(principal)
        raise Forbidden("You can only host a room yourself.")
    found = None if host_id is None else await session.get(User, host_id)
    if found is None or found.platform_id != principal.platform_id:
        raise HostUnknown("Name a user of your platform as host_id.")
    return found


async def _check_group(
    session: AsyncSession, principal: Principal, visibility: Visibility, group_id: UUID | None
) -> None:
    if (visibility is Visibility.GROUP) != (group_id is not None):
        raise GroupMismatch
    if group_id is not None:
        await group_for(session, principal, group_id)


async def update_room(
    session: AsyncSession, *, principal: Principal, room_id: UUID, changes: Mapping[str, Any]
) -> Room:
    """`changes`: fields of RoomDraft with new values; the event names those that differ.

    Raises RoomStarted for fields that only matter before go-live, GroupMismatch, NotFound.
    """
    room, _ = await room_for(session, principal, room_id, Action.MANAGE, lock=True)
    if changes.get("visibility", Visibility.GROUP) is not Visibility.GROUP:
        changes = {"group_id": None, **changes}
    changed = {name: new for name, new in changes.items() if getattr(room, name) != new}
    if room.state is not RoomState.SCHEDULED and changed.keys() & ONLY_BEFORE_LIVE:
        raise RoomStarted
    if changed.keys() & {"visibility", "group_id"}:
        visibility = changed.get("visibility", room.visibility)
        await _check_group(session, principal, visibility, changed.get("group_id", room.group_id))
    for name, new in changed.items():
        setattr(room, name, new)
    if changed:
        data = {"fields": sorted(changed)}
        kind = EventKind.ROOM_UPDATED
        await record_event(session, room, kind, actor_id=principal.user_id, data=data)
    return room


async def delete_room(session: AsyncSession, *, principal: Principal, room_id: UUID) -> None:
    """Calls a scheduled room off. Raises RoomStarted: what was said isn't lost by a DELETE."""
    room, _ = await room_for(session, principal, room_id, Action.MANAGE, lock=True)
    if room.state is not RoomState.SCHEDULED:
        raise RoomStarted("A room that went live can't be deleted; end it instead.")
    await session.execute(sa.delete(RoomEvent).where(RoomEvent.room_id == room.id))
    await session.execute(sa.delete(Participant).where(Participant.room_id == room.id))
    await session.execute(sa.delete(Room).where(Room.id == room.id))


async def go_live(session: AsyncSession, *, principal: Principal, room_id: UUID) -> Room:
    """Starts the room's clock and, unless told otherwise, its recording. The host enters.

    Raises RoomAlreadyLive, RoomEnded.
    """
    room, own = await room_for(session, principal, room_id, Action.MANAGE, lock=True)
    recording = RecordingState.ON if room.record_from_start else RecordingState.OFF
    start = (
        sa.update(Room)
        .where(Room.id == room.id, Room.state == RoomState.SCHEDULED)
        .values(
            state=RoomState.LIVE,
            live_at=sa.func.clock_timestamp(),
            recording_id=uuid7(),
            recording_state=recording,
        )
        .returning(Room.id)
        .execution_options(synchronize_session=False)
    )
    if (await session.execute(start)).one_or_none() is None:
        raise RoomEnded() if room.state is RoomState.ENDED else RoomAlreadyLive()
    await session.refresh(room)
    actor = principal.user_id
    await record_event(session, room, EventKind.ROOM_WENT_LIVE, actor_id=actor, room_ms=0)
    if recording is RecordingState.ON:
        await record_event(session, room, EventKind.RECORDING_STARTED, actor_id=actor, room_ms=0)
    if own is not None and own.role is Role.HOST:
        await enter(session, room, own)
    await _tell_platform(session, room, EventKind.ROOM_WENT_LIVE)
    return room


async def end_room(session: AsyncSession, *, principal: Principal, room_id: UUID) -> Room:
    """Ends the room for good; ending it again changes nothing. Raises RoomNotLive.

    Participants keep the place they had: the stage as it was at the end.
    """
    room, _ = await room_for(session, principal, room_id, Action.END, lock=True)
    return await _end(session, room, actor_id=principal.user_id, data={})


async def end_abandoned_room(session: AsyncSession, *, room_id: UUID) -> Room:
    """The system ends a room that everybody left, as `end_room` does. Raises RoomNotLive.

    The event has no actor, and `reason` in its data. Whoever calls it holds the room's lock.
    """
    room = await session.get_one(Room, room_id, populate_existing=True)
    return await _end(session, room, actor_id=None, data={"reason": "abandoned"})


async def _end(
    session: AsyncSession, room: Room, *, actor_id: UUID | None, data: dict[str, Any]
) -> Room:
    if room.state is RoomState.ENDED:
        return room
    end = (
        sa.update(Room)
        .where(Room.id == room.id, Room.state == RoomState.LIVE)
        .values(
            state=RoomState.ENDED,
            ended_at=sa.func.clock_timestamp(),
            duration_ms=sa.func.greatest(Room.event_ms, clock_ms()),
        )
        .returning(Room.duration_ms)
        .execution_options(synchronize_session=False)
    )
    ended = (await session.execute(end)).one_or_none()
    if ended is None:
        raise RoomNotLive
    await session.refresh(room)
    await record_event(
        session,
        room,
        EventKind.ROOM_ENDED,
        actor_id=actor_id,
        room_ms=ended.duration_ms,
        data={"duration_ms": ended.duration_ms, **data},
    )
    await _tell_platform(session, room, EventKind.ROOM_ENDED)
    return room


async def _tell_platform(session: AsyncSession, room: Room, kind: EventKind) -> None:
    """By webhook, which the queue sends once this has committed."""
    data = {
        "room_id": str(room.id),
        "recording_id": str(room.recording_id),
        "host_id": str(room.host_id),
        "duration_ms": room.duration_ms,
    }
    await emit(session, platform_id=room.platform_id, kind=kind, data=data)
