"""HTTP: who is in a room, and what they do there."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from core.auth.api_keys import ExternalIdInvalid
from core.auth.browser import CrossSite
from core.auth.dependencies import CallerDep
from core.auth.display import NameInvalid
from core.auth.documented import problems
from core.auth.limits import ROOM_TOKEN
from core.auth.principal import Principal
from core.auth.rights import ScopeMissing
from core.auth.room_tokens import RoomTokenExpired
from core.errors import Forbidden, Invalid, NotFound, TooManyRequests, Unauthenticated
from core.http import ServicesDep, SessionDep
from core.ratelimit import rate_limit
from rooms import moderation, participation
from rooms.access import Action, Removed, RoomEnded, RoomNotLive
from rooms.limits import CHANGE
from rooms.listing import list_participants
from rooms.models import Participant, Role
from rooms.moderation import (
    HostNeeded,
    HostStays,
    NotInRoom,
    NotOnStage,
    OnlySelfUnmutes,
    ParticipantRemoved,
    RoleNotOffered,
)
from rooms.participation import OnStageAlready, StageFull
from rooms.queries import room_for
from rooms.schemas import (
    Consent,
    Hand,
    Invitation,
    Joined,
    MintedToken,
    ParticipantChange,
    ParticipantOut,
    ParticipantPage,
    TokenRequest,
)
from rooms.tokens import Guest, NameNeeded, mint_token, token_for

router = APIRouter(prefix="/rooms/{room_id}")

CHANGING = [Depends(rate_limit(CHANGE, per_credential=True))]
TOKENS = [Depends(rate_limit(ROOM_TOKEN, per_credential=True))]
REFUSED = (
    Unauthenticated,
    Forbidden,
    Removed,
    NotFound,
    RoomNotLive,
    RoomEnded,
    CrossSite,
    TooManyRequests,
)


class NothingToChange(Invalid):
    code = "nothing_to_change"
    title = "Send role, muted or hand_raised"


@router.post(
    "/join",
    tags=["people"],
    summary="Join a live room",
    dependencies=TOKENS,
    responses=problems(*REFUSED, RoomTokenExpired, StageFull),
)
async def join(
    room_id: UUID,
    response: Response,
    services: ServicesDep,
    session: SessionDep,
    principal: CallerDep,
) -> Joined:
    """As host, as what an accepted invitation offered, or as listener. Again: a fresh token.

    What it says of groups ends with the token that the platform minted: ask it for another.
    """
    room, own = await participation.join_room(session, principal=principal, room_id=room_id)
    response.headers["Cache-Control"] = "no-store"
    return Joined.of(own, token_for(services.secret, principal, room, own))


@router.post(
    "/leave",
    status_code=204,
    tags=["people"],
    summary="Leave the room",
    dependencies=CHANGING,
    responses=problems(*REFUSED),
)
async def leave(room_id: UUID, session: SessionDep, principal: CallerDep) -> None:
    """A speaker who comes back listens."""
    await participation.leave_room(session, principal=principal, room_id=room_id)


@router.put(
    "/consent",
    tags=["people"],
    summary="Agree to be recorded, or no longer",
    dependencies=CHANGING,
    responses=problems(*REFUSED),
)
async def consent(
    room_id: UUID, wanted: Consent, session: SessionDep, principal: CallerDep
) -> ParticipantOut:
    """Nothing a speaker says is kept without it. Withdrawing stops keeping from then on, and at
    once hides what they said from captions, subtitles, transcript and search; also after the
    room has ended, and for whoever was removed since. Words that stay hidden are erased later;
    the sound of a recording that has ended is not erased by it."""
    own = await participation.set_consent(
        session, principal=principal, room_id=room_id, consent=wanted.consent
    )
    return ParticipantOut.model_validate(own)


@router.put(
    "/hand",
    tags=["people"],
    summary="Raise or lower your hand",
    dependencies=CHANGING,
    responses=problems(*REFUSED, OnStageAlready),
)
async def hand(
    room_id: UUID, wanted: Hand, session: SessionDep, principal: CallerDep
) -> ParticipantOut:
    own = await participation.set_hand(
        session, principal=principal, room_id=room_id, raised=wanted.raised
    )
    return ParticipantOut.model_validate(own)


@router.get(
    "/participants",
    tags=["people"],
    summary="Who is in the room",
    responses=problems(Unauthenticated, NotFound),
)
async def participants(
    room_id: UUID,
    session: SessionDep,
    principal: CallerDep,
    role: Role | None = None,
    hand_raised: bool | None = None,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> ParticipantPage:
    """Everybody who ever came or was invited; with `hand_raised=true` in the order of raising."""
    room, _ = await room_for(session, principal, room_id, Action.SEE)
    found = await list_participants(
        session, room, role=role, hand_raised=hand_raised, after=after, limit=limit + 1
    )
    items = [ParticipantOut.model_validate(person) for person in found[:limit]]
    return ParticipantPage(items=items, next=items[-1].id if len(found) > limit else None)


@router.patch(
    "/participants/{participant_id}",
    tags=["people"],
    summary="Give a role, mute, lower a hand",
    dependencies=CHANGING,
    responses=problems(
        *REFUSED,
        HostStays,
        HostNeeded,
        OnlySelfUnmutes,
        NotInRoom,
        NotOnStage,
        ParticipantRemoved,
        StageFull,
        RoleNotOffered,
        NothingToChange,
    ),
)
async def change(
    room_id: UUID,
    participant_id: UUID,
    wanted: ParticipantChange,
    session: SessionDep,
    principal: CallerDep,
) -> ParticipantOut:
    """By host and co-hosts; speakers mute and unmute themselves."""
    changed = await _change(session, principal, room_id, participant_id, wanted)
    if changed is None:
        raise NothingToChange
    return ParticipantOut.model_validate(changed)


async def _change(
    session: SessionDep,
    principal: Principal,
    room_id: UUID,
    participant_id: UUID,
    wanted: ParticipantChange,
) -> Participant | None:
    changed = None
    if wanted.role is not None:
        changed = await moderation.change_role(
            session,
            principal=principal,
            room_id=room_id,
            participant_id=participant_id,
            role=wanted.role,
        )
    if wanted.muted is not None:
        changed = await moderation.set_muted(
            session,
            principal=principal,
            room_id=room_id,
            participant_id=participant_id,
            muted=wanted.muted,
        )
    if wanted.hand_raised is not None:
        changed = await moderation.lower_hand(
            session, principal=principal, room_id=room_id, participant_id=participant_id
        )
    return changed


@router.delete(
    "/participants/{participant_id}",
    status_code=204,
    tags=["people"],
    summary="Remove somebody for good",
    dependencies=CHANGING,
    responses=problems(*REFUSED, HostStays, HostNeeded),
)
async def remove(
    room_id: UUID, participant_id: UUID, session: SessionDep, principal: CallerDep
) -> None:
    await moderation.remove_participant(
        session, principal=principal, room_id=room_id, participant_id=participant_id
    )


@router.post(
    "/invitations",
    status_code=201,
    tags=["people"],
    summary="Invite somebody to the stage",
    dependencies=CHANGING,
    responses=problems(*REFUSED, HostNeeded, OnStageAlready, ParticipantRemoved, RoleNotOffered),
)
async def invite(
    room_id: UUID, offer: Invitation, session: SessionDep, principal: CallerDep
) -> ParticipantOut:
    """Before the room is live, or while it is. Inviting again changes nothing."""
    guest = await moderation.invite(
        session, principal=principal, room_id=room_id, user_id=offer.user_id, role=offer.role
    )
    return ParticipantOut.model_validate(guest)


@router.post(
    "/invitations/accept",
    tags=["people"],
    summary="Accept an invitation to the stage",
    dependencies=TOKENS,
    responses=problems(*REFUSED, RoomTokenExpired, StageFull),
)
async def accept(
    room_id: UUID,
    response: Response,
    services: ServicesDep,
    session: SessionDep,
    principal: CallerDep,
) -> Joined:
    """In a live room this joins too; before that, join once it is live."""
    room, own = await moderation.accept_invitation(session, principal=principal, room_id=room_id)
    response.headers["Cache-Control"] = "no-store"
    return Joined.of(own, token_for(services.secret, principal, room, own))


@router.post(
    "/invitations/decline",
    status_code=204,
    tags=["people"],
    summary="Decline an invitation to the stage",
    dependencies=CHANGING,
    responses=problems(*REFUSED),
)
async def decline(room_id: UUID, session: SessionDep, principal: CallerDep) -> None:
    """Whoever is in the room stays in it. There may be another invitation."""
    await moderation.decline_invitation(session, principal=principal, room_id=room_id)


@router.delete(
    "/invitations/{participant_id}",
    status_code=204,
    tags=["people"],
    summary="Withdraw an invitation to the stage",
    dependencies=CHANGING,
    responses=problems(*REFUSED, HostNeeded),
)
async def withdraw(
    room_id: UUID, participant_id: UUID, session: SessionDep, principal: CallerDep
) -> None:
    """By host and co-hosts, until it is accepted. Withdrawing again changes nothing."""
    await moderation.withdraw_invitation(
        session, principal=principal, room_id=room_id, participant_id=participant_id
    )


@router.post(
    "/tokens",
    status_code=201,
    tags=["people"],
    summary="Mint a room token for one of your users",
    dependencies=TOKENS,
    responses=problems(
        Unauthenticated,
        ScopeMissing,
        NotFound,
        ParticipantRemoved,
        RoomEnded,
        StageFull,
        ExternalIdInvalid,
        NameInvalid,
        NameNeeded,
        TooManyRequests,
    ),
)
async def mint(
    room_id: UUID,
    wanted: TokenRequest,
    response: Response,
    services: ServicesDep,
    session: SessionDep,
    principal: CallerDep,
) -> MintedToken:
    """By an API key with `tokens:write` (and `rooms:write` for a place on the stage). The
    person goes by the platform's own id: made or renamed with `display_name`, without it one that
    was made before. `groups` opens group rooms."""
    guest = Guest(wanted.external_user_id, wanted.display_name, wanted.role, tuple(wanted.groups))
    user_id, issued = await mint_token(
        session,
        secret=services.secret,
        principal=principal,
        room_id=room_id,
        guest=guest,
        ttl=timedelta(seconds=wanted.ttl_s),
    )
    response.headers["Cache-Control"] = "no-store"
    return MintedToken(user_id=user_id, token=issued.token, expires_at=issued.expires_at)
