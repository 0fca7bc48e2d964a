"""Who may do what in a room: one table, one function, one SQL predicate.

Replays, transcripts, payouts and files ask here too. A room of another tenant, and a
members-only room for anyone it is not open to, answer NotFound whatever is asked.

Decided here: a participant whom the host removed keeps what a stranger has (a public or
unlisted room may still be heard, a group room not) and never joins or speaks again. An
operator (`admin`) sees, moderates and ends every room of the platform, but joins and
speaks only as himself. An API key acts as the platform within its scopes. A stranger
belongs to the tenant whose site he looks at (core/auth/platforms.py).
"""

from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa

from core.auth.principal import Kind, Principal, Scope
from core.auth.rights import ScopeMissing
from core.errors import Conflict, Forbidden, NotFound, Problem, Unauthenticated
from rooms.models import (
    Group,
    GroupMember,
    Participant,
    Role,
    Room,
    RoomState,
    Visibility,
)


class Removed(Forbidden):
    code = "removed"
    title = "You were removed from this room"


class RoomNotLive(Conflict):
    code = "room_not_live"
    title = "The room is not live yet"


class RoomEnded(Conflict):
    code = "room_ended"
    title = "The room has ended"


class Action(StrEnum):
    FIND = "find"
    """In lists and search."""
    SEE = "see"
    """The room, who is in it, its events."""
    LISTEN = "listen"
    """Live, or the replay of an ended room."""
    JOIN = "join"
    LEAVE = "leave"
    RAISE_HAND = "raise_hand"
    ACCEPT = "accept"
    """An invitation of one's own."""
    DECLINE = "decline"
    """One's own invitation; there may be another."""
    CONSENT = "consent"
    """To be recorded and read: given by the person alone. It can always be withdrawn."""
    SPEAK = "speak"
    """Publish sound."""
    INVITE = "invite"
    """To the stage; and take it back."""
    MODERATE = "moderate"
    """Roles up to speaker, mute, remove, lower hands."""
    RECORD = "record"
    """Start, go off the record, resume."""
    MANAGE = "manage"
    """Edit, schedule, go live, appoint co-hosts."""
    END = "end"
    """The room, or its recording for good."""
    TIP = "tip"
    """Send Stars, live or on the replay."""
    THANK = "thank"
    """For a tip."""
    HIDE_TIP = "hide_tip"
    """What somebody wrote with a tip."""
    EDIT_OWN = "edit_own"
    """What the transcript says that one said oneself, and how one is called in it."""
    EDIT = "edit"
    """The same of everybody."""
    TRANSCRIBE = "transcribe"
    """Say who speaks which language; have another model listen."""


class Standing(StrEnum):
    """What a caller is to a room that he may know of; one caller may be several."""

    ANYONE = "anyone"
    PERSON = "person"
    """Signed in, or holding this room's token."""
    REMOVED = "removed"
    INVITED = "invited"
    PARTICIPANT = "participant"
    """Has a place in the room, be it for later."""
    PRESENT = "present"
    ON_STAGE = "on_stage"
    COHOST = "cohost"
    HOST = "host"
    ADMIN = "admin"
    PLATFORM_READ = "platform_read"
    PLATFORM_WRITE = "platform_write"


_S = Standing
_ALL = frozenset(Standing)
_MODERATORS = frozenset({_S.HOST, _S.COHOST, _S.ADMIN, _S.PLATFORM_WRITE})
_EDITORS = frozenset({_S.HOST, _S.COHOST, _S.ADMIN})
"""People only: an edit is kept with who made it."""
_SCHEDULED, _LIVE, _ENDED = RoomState.SCHEDULED, RoomState.LIVE, RoomState.ENDED

RULES: dict[Action, tuple[frozenset[Standing], frozenset[RoomState]]] = {
    # action           who (any of)                                        while the room is
    Action.FIND: (_ALL, frozenset(RoomState)),
    Action.SEE: (_ALL, frozenset(RoomState)),
    Action.LISTEN: (_ALL, frozenset({_LIVE, _ENDED})),
    Action.JOIN: (frozenset({_S.PERSON}), frozenset({_LIVE})),
    Action.LEAVE: (frozenset({_S.PERSON}), frozenset({_LIVE, _ENDED})),
    Action.RAISE_HAND: (frozenset({_S.PRESENT}), frozenset({_LIVE})),
    Action.ACCEPT: (frozenset({_S.INVITED}), frozenset({_SCHEDULED, _LIVE})),
    Action.DECLINE: (frozenset({_S.INVITED}), frozenset({_SCHEDULED, _LIVE})),
    Action.CONSENT: (frozenset({_S.PARTICIPANT}), frozenset(RoomState)),
    Action.SPEAK: (frozenset({_S.ON_STAGE}), frozenset({_LIVE})),
    Action.INVITE: (_MODERATORS, frozenset({_SCHEDULED, _LIVE})),
    Action.MODERATE: (_MODERATORS, frozenset({_LIVE})),
    Action.RECORD: (_MODERATORS, frozenset({_LIVE})),
    Action.MANAGE: (frozenset({_S.HOST, _S.PLATFORM_WRITE}), frozenset(RoomState)),
    Action.END: (frozenset({_S.HOST, _S.ADMIN, _S.PLATFORM_WRITE}), frozenset({_LIVE, _ENDED})),
    Action.TIP: (frozenset({_S.PERSON}), frozenset({_LIVE, _ENDED})),
    Action.THANK: (frozenset({_S.HOST}), frozenset({_LIVE, _ENDED})),
    Action.HIDE_TIP: (_MODERATORS, frozenset({_LIVE, _ENDED})),
    Action.EDIT_OWN: (_EDITORS | {_S.PARTICIPANT}, frozenset({_LIVE, _ENDED})),
    Action.EDIT: (_EDITORS, frozenset({_LIVE, _ENDED})),
    Action.TRANSCRIBE: (frozenset({_S.HOST, _S.ADMIN, _S.PLATFORM_WRITE}), frozenset(RoomState)),
}
_CLOSED_TO_REMOVED = frozenset(
    {
        Action.JOIN,
        Action.LEAVE,
        Action.RAISE_HAND,
        Action.ACCEPT,
        Action.DECLINE,
        Action.CONSENT,
        Action.SPEAK,
        Action.TIP,
        Action.EDIT_OWN,
    }
)
_WHO = {
    Action.RAISE_HAND: "Join the room first.",
    Action.CONSENT: "Join the room first.",
    Action.ACCEPT: "You have no invitation to this room's stage.",
    Action.DECLINE: "You have no invitation to this room's stage.",
    Action.SPEAK: "Only people on the stage may speak: raise a hand or ask the host.",
    Action.INVITE: "Only the host and co-hosts may do this.",
    Action.MODERATE: "Only the host and co-hosts may do this.",
    Action.RECORD: "Only the host and co-hosts may do this.",
    Action.MANAGE: "Only the host may do this.",
    Action.END: "Only the host may do this.",
    Action.THANK: "Only the host may do this.",
    Action.HIDE_TIP: "Only the host and co-hosts may do this.",
    Action.EDIT_OWN: "Only those who spoke, the host and co-hosts may do this.",
    Action.EDIT: "You may only do this with what you said yourself.",
    Action.TRANSCRIBE: "Only the host may do this.",
}


def seen_from(principal: Principal, room_id: UUID) -> Principal:
    """A room token counts in its own room only; elsewhere its holder is a stranger."""
    if principal.kind is Kind.ROOM_TOKEN and principal.room_id != room_id:
        return Principal(platform_id=principal.platform_id)
    return principal


def decide(
    principal: Principal,
    action: Action,
    room: Room,
    participant: Participant | None,
    *,
    member: bool,
) -> None:
    """Returns when the caller may; `participant` is his row, `member` his group membership.

    Raises NotFound for what he may not know of; Unauthenticated, Removed, ScopeMissing,
    Forbidden when he may not; RoomNotLive, RoomEnded when nobody may in this state.
    """
    who = standings(seen_from(principal, room.id), room, participant, member=member)
    if not who or (action is Action.FIND and not _findable(who, room)):
        raise NotFound("There is no such room.")
    allowed, states = RULES[action]
    if action is Action.SPEAK and room.state is _SCHEDULED and _S.HOST in who:
        raise RoomNotLive  # its host is on the stage from then on
    if not allowed & who or _shut_out(action, room, who):
        raise _refusal(principal, action, who)
    if room.state not in states:
        raise RoomEnded() if room.state is RoomState.ENDED else RoomNotLive()


def hears(principal: Principal, room: Room, participant: Participant | None) -> bool:
    """Whether somebody who sees the room may be told what is said in it, once it is live, and what
    is written with tips. An API key reads it with the scope that transcripts need."""
    if principal.kind is Kind.API_KEY and Scope.RECORDINGS_READ not in principal.scopes:
        return False
    try:
        decide(principal, Action.LISTEN, room, participant, member=True)
    except RoomNotLive:
        return True
    except Problem:
        return False
    return True


def standings(
    principal: Principal, room: Room, participant: Participant | None, *, member: bool
) -> frozenset[Standing]:
    """Everything the caller is to this room; empty when he may not know that it exists."""
    if principal.platform_id != room.platform_id:
        return frozenset()
    person = principal.user_id is not None
    who = _offices(principal)
    if person and principal.user_id == room.host_id:
        who.add(_S.HOST)
    admitted = bool(who) or (person and member) or room.visibility is not Visibility.GROUP
    if not admitted:
        return frozenset()
    who.add(_S.ANYONE)
    if person:
        who |= {_S.PERSON} | _presence(participant)
    return frozenset(who)


def _offices(principal: Principal) -> set[Standing]:
    """What opens every room of the platform to the caller."""
    who = set()
    if principal.kind is Kind.USER and principal.admin:
        who.add(_S.ADMIN)
    if principal.kind is Kind.API_KEY and Scope.ROOMS_WRITE in principal.scopes:
        who |= {_S.PLATFORM_READ, _S.PLATFORM_WRITE}
    elif principal.kind is Kind.API_KEY and Scope.ROOMS_READ in principal.scopes:
        who.add(_S.PLATFORM_READ)
    return who


def _presence(participant: Participant | None) -> set[Standing]:
    if participant is None:
        return set()
    if participant.removed_at is not None:
        return {_S.REMOVED}
    facts = {
        _S.PARTICIPANT: True,
        _S.INVITED: participant.invited_role is not None,
        _S.PRESENT: participant.present,
        _S.ON_STAGE: participant.on_stage,
        _S.COHOST: participant.role is Role.COHOST,
    }
    return {standing for standing, true in facts.items() if true}


def _findable(who: frozenset[Standing], room: Room) -> bool:
    """Unlisted rooms show up only for those who run them."""
    runs = who & {_S.HOST, _S.ADMIN, _S.PLATFORM_READ}
    return room.visibility is not Visibility.UNLISTED or bool(runs)


def _shut_out(action: Action, room: Room, who: frozenset[Standing]) -> bool:
    if _S.REMOVED not in who:
        return False
    if action is Action.LISTEN:
        return room.visibility is Visibility.GROUP and _S.ADMIN not in who
    return action in _CLOSED_TO_REMOVED


def _refusal(
    principal: Principal, action: Action, who: frozenset[Standing]
) -> Forbidden | Unauthenticated:
    if _S.REMOVED in who:
        return Removed("The host removed you; you can't come back to this room.")
    if principal.kind is Kind.API_KEY and _S.PLATFORM_WRITE not in who:
        return ScopeMissing(f"This needs an API key with the scope {Scope.ROOMS_WRITE}.")
    if principal.kind is Kind.API_KEY:
        return Forbidden("A platform doesn't do this itself: use a room token of one person.")
    if _S.PERSON not in who:
        return Unauthenticated("Sign in, or present a token of this room.")
    return Forbidden(_WHO.get(action, ""))


def visible_rooms(principal: Principal) -> sa.ColumnElement[bool]:
    """The rooms for which `decide(principal, Action.FIND, ...)` returns."""
    if principal.platform_id is None:
        return sa.false()
    ours = Room.platform_id == principal.platform_id
    public = Room.visibility == Visibility.PUBLIC
    if principal.kind is Kind.ROOM_TOKEN:
        return ours & (public | ((Room.id == principal.room_id) & _found_by_person(principal)))
    if _offices(principal):
        return ours
    return ours & (public | _found_by_person(principal))


def audible_rooms(principal: Principal) -> sa.ColumnElement[bool]:
    """Those of them for which `decide(principal, Action.LISTEN, ...)` returns too, once live."""
    visible = visible_rooms(principal)
    if principal.user_id is None or _S.ADMIN in _offices(principal):
        return visible
    removed = sa.exists().where(
        Participant.room_id == Room.id,
        Participant.user_id == principal.user_id,
        Participant.removed_at.is_not(None),
    )
    return visible & ((Room.visibility != Visibility.GROUP) | ~removed)


def _found_by_person(principal: Principal) -> sa.ColumnElement[bool]:
    if principal.user_id is None:
        return sa.false()
    member = (Room.visibility == Visibility.GROUP) & member_of(principal)
    return (Room.host_id == principal.user_id) | member


def member_of(principal: Principal) -> sa.ColumnElement[bool]:
    """Whether the caller belongs to the room's group: by its list, or by his token's claim."""
    listed = sa.exists().where(
        GroupMember.group_id == Room.group_id, GroupMember.user_id == principal.user_id
    )
    if not principal.groups:
        return listed
    claimed = sa.exists().where(
        Group.id == Room.group_id,
        Group.platform_id == principal.platform_id,
        Group.key.in_(principal.groups),
    )
    return listed | claimed
