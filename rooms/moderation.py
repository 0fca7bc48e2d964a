"""What host and co-hosts do to others. Nobody acts on the host but himself."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import User
from core.auth.principal import Principal
from core.errors import Conflict, Forbidden, Invalid, NotFound
from rooms.access import Action, decide
from rooms.events import EventKind, record_event
from rooms.models import Participant, Role, Room
from rooms.participation import (
    OnStageAlready,
    about,
    ensure_place,
    enter,
    on_stage,
    own_row,
)
from rooms.queries import database_now, participant_in, participant_of, room_for

OFFERED = frozenset({Role.COHOST, Role.SPEAKER})


class HostStays(Forbidden):
    code = "host_stays"
    title = "The host can't be demoted, removed or muted by others"


class HostNeeded(Forbidden):
    code = "host_needed"
    title = "Only the host decides about co-hosts"


class OnlySelfUnmutes(Forbidden):
    code = "only_self_unmutes"
    title = "Only the speaker opens his own microphone"


class NotOnStage(Conflict):
    code = "not_on_stage"
    title = "This person is not on the stage"


class NotInRoom(Conflict):
    code = "not_in_room"
    title = "This person is not in the room now: send an invitation"


class ParticipantRemoved(Conflict):
    code = "participant_removed"
    title = "This person was removed from the room"


class RoleNotOffered(Invalid):
    code = "role_not_offered"
    title = "This role can't be given"


async def _target(
    session: AsyncSession, principal: Principal, room_id: UUID, participant_id: UUID
) -> tuple[Room, Participant]:
    """Somebody else whom the caller may act on. Co-hosts are the host's (or an operator's)."""
    room, own = await room_for(session, principal, room_id, Action.MODERATE, lock=True)
    target = await participant_in(session, room, participant_id)
    if target.role is Role.HOST:
        raise HostStays
    if target.role is Role.COHOST:
        _require_host(principal, room, own)
    return room, target


def _require_host(principal: Principal, room: Room, own: Participant | None) -> None:
    try:
        decide(principal, Action.END, room, own, member=True)
    except Forbidden:
        raise HostNeeded from None


async def change_role(
    session: AsyncSession,
    *,
    principal: Principal,
    room_id: UUID,
    participant_id: UUID,
    role: Role,
) -> Participant:
    """To co-host (by the host), speaker or listener; a raised hand is lowered with it.

    Raises HostStays, HostNeeded, RoleNotOffered, NotInRoom, ParticipantRemoved, StageFull.
    """
    if role is Role.HOST:
        raise RoleNotOffered("A room keeps its host.")
    room, target = await _target(session, principal, room_id, participant_id)
    if role is Role.COHOST:
        await _require_manager(session, principal, room_id)
    if target.role is role:
        return target
    _must_be_here(target)
    was_on_stage, hand = target.on_stage, target.hand_raised_at
    if not was_on_stage:
        target.share_bps = room.speakers_share_bps
    target.role, target.invited_role, target.hand_raised_at = role, None, None
    if role is Role.LISTENER:
        target.muted = False
    else:
        await ensure_place(session, room, target)
    await session.flush()
    if hand is not None:
        await _record(session, room, EventKind.HAND_LOWERED, principal, target)
    if target.on_stage:
        await on_stage(session, room, target, actor_id=principal.user_id)
    elif was_on_stage:
        await _record(session, room, EventKind.STAGE_LEFT, principal, target)
    return target


def _must_be_here(target: Participant) -> None:
    if target.removed_at is not None:
        raise ParticipantRemoved
    if not target.present:
        raise NotInRoom


async def set_muted(
    session: AsyncSession,
    *,
    principal: Principal,
    room_id: UUID,
    participant_id: UUID,
    muted: bool,
) -> Participant:
    """Speakers mute and unmute themselves; moderators mute, and can't open a microphone.

    Raises NotOnStage, OnlySelfUnmutes, HostStays, HostNeeded.
    """
    room, own = await room_for(session, principal, room_id, Action.SEE, lock=True)
    if own is not None and own.id == participant_id:
        await room_for(session, principal, room_id, Action.SPEAK)
        target = own
    else:
        room, target = await _target(session, principal, room_id, participant_id)
        if not muted:
            raise OnlySelfUnmutes
    if not target.on_stage:
        raise NotOnStage
    if target.muted == muted:
        return target
    target.muted = muted
    await session.flush()
    kind = EventKind.SPEAKER_MUTED if muted else EventKind.SPEAKER_UNMUTED
    await _record(session, room, kind, principal, target)
    return target


async def lower_hand(
    session: AsyncSession, *, principal: Principal, room_id: UUID, participant_id: UUID
) -> Participant:
    """Somebody else's; idempotent."""
    room, target = await _target(session, principal, room_id, participant_id)
    if target.hand_raised_at is not None:
        target.hand_raised_at = None
        await session.flush()
        await _record(session, room, EventKind.HAND_LOWERED, principal, target)
    return target


async def remove_participant(
    session: AsyncSession, *, principal: Principal, room_id: UUID, participant_id: UUID
) -> None:
    """For good: may not join or speak in this room again. Idempotent.

    Raises HostStays, HostNeeded for co-hosts.
    """
    room, target = await _target(session, principal, room_id, participant_id)
    if target.removed_at is not None:
        return
    was_on_stage = target.on_stage
    now = await database_now(session)
    target.removed_at, target.left_at = now, target.left_at or now
    target.role, target.invited_role = Role.LISTENER, None
    target.muted, target.hand_raised_at = False, None
    await session.flush()
    if was_on_stage:
        await _record(session, room, EventKind.STAGE_LEFT, principal, target)
    await _record(session, room, EventKind.PARTICIPANT_REMOVED, principal, target)


async def invite(
    session: AsyncSession, *, principal: Principal, room_id: UUID, user_id: UUID, role: Role
) -> Participant:
    """To the stage, before or while the room is live. Co-hosts are invited by the host.

    With it the room's present share of tips is offered, which stands whatever the room offers
    later. An invitation opens no group room to a non-member. Raises RoleNotOffered, HostNeeded,
    ParticipantRemoved, OnStageAlready, NotFound for somebody of no or another platform.
    """
    if role not in OFFERED:
        raise RoleNotOffered("Invite as speaker or cohost.")
    room, _ = await room_for(session, principal, room_id, Action.INVITE, lock=True)
    guest = await participant_of(session, room, user_id) or await _guest(session, room, user_id)
    if Role.COHOST in (role, guest.role, guest.invited_role):
        await _require_manager(session, principal, room_id)
    if guest.removed_at is not None:
        raise ParticipantRemoved
    if guest.role is Role.HOST or guest.role is role:
        raise OnStageAlready
    if guest.role is Role.COHOST:
        raise OnStageAlready("A co-host's role is changed, not offered again.")
    if guest.invited_role is not role:
        guest.invited_role = role
        if guest.role is Role.LISTENER:
            guest.share_bps = room.speakers_share_bps
        await session.flush()
        data = {**about(guest), "role": role.value, "share_bps": guest.share_bps}
        kind = EventKind.INVITATION_SENT
        await record_event(session, room, kind, actor_id=principal.user_id, data=data)
    return guest


async def _require_manager(session: AsyncSession, principal: Principal, room_id: UUID) -> None:
    try:
        await room_for(session, principal, room_id, Action.MANAGE)
    except Forbidden:
        raise HostNeeded from None


async def _guest(session: AsyncSession, room: Room, user_id: UUID) -> Participant:
    user = await session.scalar(
        sa.select(User).where(User.id == user_id, User.platform_id == room.platform_id)
    )
    if user is None:
        raise NotFound("There is no such user.")
    guest = Participant(
        room_id=room.id, user_id=user.id, display_name=user.display_name, role=Role.LISTENER
    )
    session.add(guest)
    return guest


async def accept_invitation(
    session: AsyncSession, *, principal: Principal, room_id: UUID
) -> tuple[Room, Participant]:
    """Takes the offered role: at once in a live room, with the join in a scheduled one.

    Raises Forbidden without an invitation, StageFull, RoomEnded.
    """
    room, own = await room_for(session, principal, room_id, Action.ACCEPT, lock=True)
    own = own_row(own)
    was_present, was_on_stage, hand = own.present, own.on_stage, own.hand_raised_at
    own.role, own.invited_role, own.hand_raised_at = own.invited_role or own.role, None, None
    if room.live_at is not None:
        await ensure_place(session, room, own)
    await session.flush()
    await _record(session, room, EventKind.INVITATION_ACCEPTED, principal, own)
    if hand is not None:
        await _record(session, room, EventKind.HAND_LOWERED, principal, own)
    if room.live_at is None:
        return room, own
    if not was_present:
        await enter(session, room, own)
    elif not was_on_stage or own.role is Role.COHOST:
        await on_stage(session, room, own, actor_id=principal.user_id)
    return room, own


async def decline_invitation(session: AsyncSession, *, principal: Principal, room_id: UUID) -> None:
    """The person keeps the place he has. Raises Forbidden without an invitation, RoomEnded."""
    room, own = await room_for(session, principal, room_id, Action.DECLINE, lock=True)
    own = own_row(own)
    own.invited_role = None
    await session.flush()
    await _record(session, room, EventKind.INVITATION_DECLINED, principal, own)


async def withdraw_invitation(
    session: AsyncSession, *, principal: Principal, room_id: UUID, participant_id: UUID
) -> None:
    """An open one; the role of somebody who accepted is changed instead. Idempotent.

    Raises HostNeeded for a co-host's, NotFound for somebody who was never in the room or invited.
    """
    room, _ = await room_for(session, principal, room_id, Action.INVITE, lock=True)
    guest = await participant_in(session, room, participant_id)
    if guest.invited_role is None:
        return
    if guest.invited_role is Role.COHOST:
        await _require_manager(session, principal, room_id)
    guest.invited_role = None
    await session.flush()
    await _record(session, room, EventKind.INVITATION_WITHDRAWN, principal, guest)


async def _record(
    session: AsyncSession,
    room: Room,
    kind: EventKind,
    principal: Principal,
    target: Participant,
) -> None:
    await record_event(session, room, kind, actor_id=principal.user_id, data=about(target))
