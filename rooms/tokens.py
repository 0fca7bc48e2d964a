"""Room tokens: issued with a join, and minted by a platform's server for its people."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.api_keys import external_user, upsert_external_user
from core.auth.models import User
from core.auth.principal import Principal, Scope
from core.auth.rights import require_scope
from core.auth.room_tokens import (
    DEFAULT_TTL,
    IssuedToken,
    RoomClaims,
    RoomTokenExpired,
    issue_room_token,
)
from core.errors import Invalid
from rooms.access import Action
from rooms.models import Participant, Role, Room
from rooms.moderation import ParticipantRemoved, change_role
from rooms.queries import participant_of, room_for


def token_for(
    secret: bytes, principal: Principal, room: Room, participant: Participant
) -> IssuedToken:
    """For somebody who joined; vouched groups go on, so that a group room stays open to him.

    Raises RoomTokenExpired when the vouching ends within this second.
    """
    claims = RoomClaims(
        platform_id=room.platform_id,
        user_id=participant.user_id,
        room_id=room.id,
        display_name=participant.display_name,
        role=participant.role.value,
        groups=tuple(sorted(principal.groups)),
        participant_id=participant.id,
    )
    return issue_room_token(secret, claims, ttl=_lifetime(principal))


def _lifetime(principal: Principal) -> timedelta:
    """Groups are vouched for until the caller's own token ends, however often he joins."""
    if not principal.groups or principal.expires_at is None:
        return DEFAULT_TTL
    left = principal.expires_at - datetime.now(UTC)
    if left < timedelta(seconds=1):
        raise RoomTokenExpired
    return min(DEFAULT_TTL, left)


class NameNeeded(Invalid):
    code = "display_name_needed"
    title = "Send display_name: you have no user with this external_user_id yet"


@dataclass(frozen=True, slots=True)
class Guest:
    """A person of the platform, and the group keys that it vouches for. Without a name: the one
    that the person has."""

    external_user_id: str
    display_name: str | None = None
    role: Role = Role.LISTENER
    groups: tuple[str, ...] = ()


async def mint_token(
    session: AsyncSession,
    *,
    secret: bytes,
    principal: Principal,
    room_id: UUID,
    guest: Guest,
    ttl: timedelta,
) -> tuple[UUID, IssuedToken]:
    """The person's user id and a token. A place on the stage needs `rooms:write` besides.

    Raises ScopeMissing, ParticipantRemoved, NotFound, RoomEnded, StageFull, NameNeeded.
    """
    require_scope(principal, Scope.TOKENS_WRITE)
    # Vouching for a person includes naming him and knowing the room.
    vouching = {Scope.USERS_WRITE, Scope.ROOMS_READ}
    platform = replace(principal, scopes=principal.scopes | vouching)
    room, _ = await room_for(session, platform, room_id, Action.SEE)
    user = await _person(session, platform, guest)
    if guest.role is not Role.LISTENER:
        await _seat(session, principal, room, user, guest.role)
    own = await participant_of(session, room, user.id)
    if own is not None and own.removed_at is not None:
        raise ParticipantRemoved
    claims = RoomClaims(
        platform_id=room.platform_id,
        user_id=user.id,
        room_id=room.id,
        display_name=user.display_name,
        role=(own.role if own is not None else Role.LISTENER).value,
        groups=guest.groups,
        participant_id=own.id if own is not None else None,
    )
    return user.id, issue_room_token(secret, claims, ttl=ttl)


async def _person(session: AsyncSession, platform: Principal, guest: Guest) -> User:
    external_id, name = guest.external_user_id, guest.display_name
    if name is None:
        known = await external_user(session, platform, external_user_id=external_id)
        if known is None:
            raise NameNeeded
        return known
    user, _ = await upsert_external_user(
        session, platform, external_user_id=external_id, display_name=name
    )
    return user


async def _seat(
    session: AsyncSession, principal: Principal, room: Room, user: User, role: Role
) -> None:
    """The role from the join on, or at once for somebody who is in the room."""
    await room_for(session, principal, room.id, Action.INVITE, lock=True)
    own = await participant_of(session, room, user.id)
    if own is None:
        own = Participant(
            room_id=room.id,
            user_id=user.id,
            display_name=user.display_name,
            role=role,
            share_bps=room.speakers_share_bps,
        )
        session.add(own)
        await session.flush()
    elif own.removed_at is not None or own.role in (Role.HOST, role):
        return
    elif own.present:
        await change_role(
            session, principal=principal, room_id=room.id, participant_id=own.id, role=role
        )
    else:
        if own.role is Role.LISTENER:
            own.share_bps = room.speakers_share_bps
        own.role, own.invited_role = role, None
        await session.flush()
