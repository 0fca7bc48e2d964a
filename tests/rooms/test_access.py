"""The whole table: every caller, every action, every state and visibility, decided and in SQL."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import User
from core.auth.principal import Kind, Principal, Scope
from core.auth.rights import ScopeMissing
from core.errors import Conflict, Forbidden, NotFound, Problem, Unauthenticated
from rooms.access import Action, Removed, RoomEnded, RoomNotLive, decide, seen_from, visible_rooms
from rooms.models import (
    Group,
    GroupMember,
    Participant,
    Role,
    Room,
    RoomState,
    Visibility,
)
from rooms.queries import room_for
from tests.factories import make_platform, make_user

OURS, THEIRS = uuid4(), uuid4()
ROOM, OTHER_ROOM = uuid4(), uuid4()
HOST, GUEST = uuid4(), uuid4()
NOW = datetime.now(UTC)


def room(state: RoomState, visibility: Visibility) -> Room:
    return Room(id=ROOM, platform_id=OURS, host_id=HOST, state=state, visibility=visibility)


def person(**values: object) -> Participant:
    defaults: dict[str, object] = {"role": Role.LISTENER, "joined_at": NOW}
    return Participant(room_id=ROOM, user_id=GUEST, **defaults | values)


def user(user_id: UUID = GUEST, *, platform_id: UUID = OURS, admin: bool = False) -> Principal:
    return Principal(Kind.USER, platform_id, user_id, admin=admin)


def key(*scopes: Scope, platform_id: UUID = OURS) -> Principal:
    return Principal(Kind.API_KEY, platform_id, scopes=frozenset(scopes))


def token(room_id: UUID) -> Principal:
    return Principal(Kind.ROOM_TOKEN, OURS, GUEST, room_id=room_id)


@dataclass(frozen=True)
class Caller:
    """Somebody, and by their initials what they may do while the room is live.

    f find, s see, l listen, j join, x leave, h hand, a accept, d decline, c consent,
    p speak (publish), i invite, m moderate, r record, g manage, e end, t edit the transcript,
    w the own words in it, b have one made, o tip, k thank, q take out what was written with a tip.
    `group` says whether a group room knows them;
    `listed` is what they find of an unlisted room.
    """

    principal: Principal
    may: str
    participant: Participant | None = None
    member: bool = False
    group: bool = False
    unlisted: bool = False


LETTERS = dict(
    zip(
        "fsljxhadcpimrgetwbokq",
        [
            Action.FIND,
            Action.SEE,
            Action.LISTEN,
            Action.JOIN,
            Action.LEAVE,
            Action.RAISE_HAND,
            Action.ACCEPT,
            Action.DECLINE,
            Action.CONSENT,
            Action.SPEAK,
            Action.INVITE,
            Action.MODERATE,
            Action.RECORD,
            Action.MANAGE,
            Action.END,
            Action.EDIT,
            Action.EDIT_OWN,
            Action.TRANSCRIBE,
            Action.TIP,
            Action.THANK,
            Action.HIDE_TIP,
        ],
        strict=True,
    )
)
STAGE_ROLE = person(role=Role.SPEAKER)

CALLERS = {
    "stranger": Caller(Principal(platform_id=OURS), "fsl"),
    "stranger of no site": Caller(Principal(), ""),
    "stranger elsewhere": Caller(Principal(platform_id=THEIRS), ""),
    "user": Caller(user(), "fsljxo"),
    "member": Caller(user(), "fsljxo", member=True, group=True),
    "listener": Caller(user(), "fsljxhcwo", person(), member=True, group=True),
    "who left": Caller(user(), "fsljxcwo", person(left_at=NOW), member=True, group=True),
    "invited": Caller(
        user(), "fsljxadcwo", person(joined_at=None, invited_role=Role.SPEAKER), True, True
    ),
    "speaker": Caller(user(), "fsljxhcpwo", STAGE_ROLE, member=True, group=True),
    "speaker put off the group": Caller(user(), "fsljxhcpwo", STAGE_ROLE),
    "speaker not there yet": Caller(
        user(), "fsljxcwo", person(role=Role.SPEAKER, joined_at=None), True, True
    ),
    "cohost": Caller(user(), "fsljxhcpimrtwoq", person(role=Role.COHOST), True, True),
    "cohost who left": Caller(
        user(), "fsljxcimrtwoq", person(role=Role.COHOST, left_at=NOW), True, True
    ),
    "removed": Caller(user(), "fsl", person(removed_at=NOW), member=True, group=True),
    "host": Caller(
        user(HOST), "fsljxhcpimrgetwbokq", person(role=Role.HOST), group=True, unlisted=True
    ),
    "host not there": Caller(user(HOST), "fsljximrgetwbokq", group=True, unlisted=True),
    "host's token": Caller(
        Principal(Kind.ROOM_TOKEN, OURS, HOST, room_id=ROOM),
        "fsljxhcpimrgetwbokq",
        person(role=Role.HOST),
        group=True,
        unlisted=True,
    ),
    "host with another room's token": Caller(
        Principal(Kind.ROOM_TOKEN, OURS, HOST, room_id=OTHER_ROOM),
        "fsl",
        person(role=Role.HOST),
        member=True,
    ),
    "token": Caller(token(ROOM), "fsljxo", member=True, group=True),
    "token of another room": Caller(token(OTHER_ROOM), "fsl", STAGE_ROLE, member=True),
    "admin": Caller(user(admin=True), "fsljximretwboq", group=True, unlisted=True),
    "admin elsewhere": Caller(user(admin=True, platform_id=THEIRS), "", member=True),
    "host's id elsewhere": Caller(user(HOST, platform_id=THEIRS), "", member=True),
    "key that writes": Caller(key(Scope.ROOMS_WRITE), "fslimrgebq", group=True, unlisted=True),
    "key that reads": Caller(key(Scope.ROOMS_READ), "fsl", group=True, unlisted=True),
    "key of other scopes": Caller(key(Scope.WEBHOOKS_WRITE), "fsl"),
    "key elsewhere": Caller(key(*Scope, platform_id=THEIRS), ""),
}
IN_STATE = {
    RoomState.SCHEDULED: "fsadcigb",
    RoomState.LIVE: "".join(LETTERS),
    RoomState.ENDED: "fslxcgetwbokq",
}


def outcome(caller: Caller, letter: str, subject: Room) -> type[Problem] | None:
    try:
        decide(
            caller.principal,
            LETTERS[letter],
            subject,
            caller.participant,
            member=caller.member,
        )
    except Problem as problem:
        return type(problem)
    return None


def expected(
    caller: Caller, letter: str, state: RoomState, visibility: Visibility
) -> type[Problem] | None:
    known = bool(caller.may) and (visibility is not Visibility.GROUP or caller.group)
    hidden = letter == "f" and visibility is Visibility.UNLISTED and not caller.unlisted
    if not known or hidden:
        return NotFound
    hosts = seen_from(caller.principal, ROOM).user_id == HOST
    if hosts and letter == "p" and state is RoomState.SCHEDULED:
        return RoomNotLive
    removed = caller.participant is not None and caller.participant.removed_at is not None
    banned = removed and letter == "l" and visibility is Visibility.GROUP
    if letter not in caller.may or banned:
        return refusal(caller, removed=removed)
    if letter in IN_STATE[state]:
        return None
    return RoomEnded if state is RoomState.ENDED else RoomNotLive


def refusal(caller: Caller, *, removed: bool) -> type[Problem]:
    principal = seen_from(caller.principal, ROOM)
    if removed:
        return Removed
    if principal.kind is Kind.STRANGER:
        return Unauthenticated
    writes = Scope.ROOMS_WRITE in principal.scopes
    return ScopeMissing if principal.kind is Kind.API_KEY and not writes else Forbidden


@pytest.mark.parametrize("name", CALLERS)
def test_the_table(name: str) -> None:
    caller = CALLERS[name]
    wrong = [
        (letter, state, visibility, got, wanted)
        for letter, state, visibility in product(LETTERS, RoomState, Visibility)
        if (got := outcome(caller, letter, room(state, visibility)))
        is not (wanted := expected(caller, letter, state, visibility))
    ]
    assert wrong == []


@given(
    principal=st.builds(
        Principal,
        kind=st.sampled_from(Kind),
        platform_id=st.sampled_from([OURS, THEIRS, None]),
        user_id=st.sampled_from([HOST, GUEST, None]),
        admin=st.booleans(),
        scopes=st.frozensets(st.sampled_from(list(Scope))),
        room_id=st.sampled_from([ROOM, OTHER_ROOM, None]),
    ),
    action=st.sampled_from(Action),
    state=st.sampled_from(RoomState),
    visibility=st.sampled_from(Visibility),
    participant=st.sampled_from([None, person(), STAGE_ROLE, person(removed_at=NOW)]),
    member=st.booleans(),
)
def test_invariants_of_every_decision(
    principal: Principal,
    action: Action,
    state: RoomState,
    visibility: Visibility,
    participant: Participant | None,
    member: bool,
) -> None:
    def may(asked: Action) -> type[Problem] | None:
        try:
            decide(principal, asked, room(state, visibility), participant, member=member)
        except Problem as problem:
            return type(problem)
        return None

    result = may(action)
    if principal.platform_id != OURS:
        assert result is NotFound, "another tenant never learns that the room exists"
    if may(Action.SEE) is not None:
        assert result is NotFound, "what can't be seen can't be told from what doesn't exist"
    if action is Action.SPEAK and result is None:
        assert participant is not None
        assert participant.on_stage, "nobody speaks for somebody else"
    if state is RoomState.ENDED and action in (Action.JOIN, Action.SPEAK, Action.MODERATE):
        assert result is not None
    if result is not None and issubclass(result, Conflict):
        assert may(Action.SEE) is None


@dataclass
class Town:
    """Rooms of every kind on two platforms, and everybody who could ask for them."""

    rooms: list[Room]
    principals: list[Principal]


@pytest.fixture
async def town(session: AsyncSession) -> Town:
    rooms: list[Room] = []
    principals: list[Principal] = [Principal()]
    for _ in range(2):
        platform = await make_platform(session)
        people = [await make_user(session, platform) for _ in range(3)]
        group = Group(platform_id=platform.id, key="patrons", name="Patrons")
        session.add(group)
        await session.flush()
        session.add(GroupMember(group_id=group.id, user_id=people[1].id))
        ours = [_room(people[0], visibility, group) for visibility in Visibility]
        session.add_all(ours)
        await session.flush()
        rooms += ours
        principals += _callers(platform.id, people, ours)
    return Town(rooms, principals)


def _room(host: User, visibility: Visibility, group: Group) -> Room:
    return Room(
        platform_id=host.platform_id,
        host_id=host.id,
        title="R",
        visibility=visibility,
        group_id=group.id if visibility is Visibility.GROUP else None,
    )


def _callers(platform_id: UUID, people: list[User], rooms: list[Room]) -> list[Principal]:
    callers = [Principal(platform_id=platform_id)]
    callers += [Principal(Kind.USER, platform_id, user.id) for user in people]
    callers.append(Principal(Kind.USER, platform_id, people[2].id, admin=True))
    for scopes in ((), (Scope.ROOMS_READ,), (Scope.ROOMS_WRITE,)):
        callers.append(Principal(Kind.API_KEY, platform_id, scopes=frozenset(scopes)))
    for user, subject, groups in product(people, rooms, ((), ("patrons",), ("others",))):
        callers.append(
            Principal(
                Kind.ROOM_TOKEN,
                platform_id,
                user.id,
                groups=frozenset(groups),
                room_id=subject.id,
            )
        )
    return callers


async def test_the_predicate_finds_what_the_decision_lets_find(
    session: AsyncSession, town: Town
) -> None:
    ids = [room.id for room in town.rooms]
    for principal in town.principals:
        query = sa.select(Room.id).where(Room.id.in_(ids), visible_rooms(principal))
        listed = set(await session.scalars(query))
        found = {r.id for r in town.rooms if await _finds(session, principal, r)}
        assert listed == found, principal


async def _finds(session: AsyncSession, principal: Principal, subject: Room) -> bool:
    try:
        await room_for(session, principal, subject.id, Action.FIND)
    except NotFound:
        return False
    return True
