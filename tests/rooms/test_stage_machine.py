"""Random walks of people through a room: whatever they try, the room stays consistent."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.db import Database
from core.errors import Problem
from rooms.lifecycle import RoomDraft, create_room, end_room, go_live, update_room
from rooms.models import Participant, RecordingState, Role, Room, RoomEvent, RoomState
from rooms.moderation import (
    accept_invitation,
    change_role,
    decline_invitation,
    invite,
    lower_hand,
    remove_participant,
    set_muted,
    withdraw_invitation,
)
from rooms.participation import (
    MAX_ON_STAGE,
    join_room,
    leave_room,
    set_consent,
    set_hand,
)
from rooms.recording import set_recording
from tests.factories import make_user
from tests.rooms.conftest import House, make_house

PEOPLE = 5
EXTRAS = MAX_ON_STAGE - 3
"""On the stage from the start, so that five people fight for the last places."""


@dataclass
class Walk:
    session: AsyncSession
    house: House
    room_id: UUID
    people: list[Principal]
    shares: dict[str, int] = field(default_factory=dict)
    """Of the tips, of those who were on stage before the last step."""

    async def target(self, number: int) -> UUID:
        """The participant id of a person; of the host's for one who never came."""
        query = sa.select(Participant.id).where(Participant.room_id == self.room_id)
        found = await self.session.scalar(
            query.where(Participant.user_id == self.people[number].user_id)
        )
        host = query.where(Participant.role == Role.HOST)
        return found or (await self.session.scalars(host)).one()


Step = tuple["Act", int, int, Role, bool]
Act = Callable[[Walk, Principal, int, Role, bool], Awaitable[object]]


async def _join(w: Walk, who: Principal, *_: object) -> None:
    await join_room(w.session, principal=who, room_id=w.room_id)


async def _leave(w: Walk, who: Principal, *_: object) -> None:
    await leave_room(w.session, principal=who, room_id=w.room_id)


async def _hand(w: Walk, who: Principal, _n: int, _r: Role, flag: bool) -> None:
    await set_hand(w.session, principal=who, room_id=w.room_id, raised=flag)


async def _consent(w: Walk, who: Principal, _n: int, _r: Role, flag: bool) -> None:
    await set_consent(w.session, principal=who, room_id=w.room_id, consent=flag)


async def _role(w: Walk, who: Principal, number: int, role: Role, _f: bool) -> None:
    target = await w.target(number)
    await change_role(w.session, principal=who, room_id=w.room_id, participant_id=target, role=role)


async def _mute(w: Walk, who: Principal, number: int, _r: Role, flag: bool) -> None:
    target = await w.target(number)
    await set_muted(w.session, principal=who, room_id=w.room_id, participant_id=target, muted=flag)


async def _lower(w: Walk, who: Principal, number: int, *_: object) -> None:
    target = await w.target(number)
    await lower_hand(w.session, principal=who, room_id=w.room_id, participant_id=target)


async def _remove(w: Walk, who: Principal, number: int, *_: object) -> None:
    target = await w.target(number)
    await remove_participant(w.session, principal=who, room_id=w.room_id, participant_id=target)


async def _invite(w: Walk, who: Principal, number: int, role: Role, _f: bool) -> None:
    user_id = w.people[number].user_id
    assert user_id is not None
    await invite(w.session, principal=who, room_id=w.room_id, user_id=user_id, role=role)


async def _accept(w: Walk, who: Principal, *_: object) -> None:
    await accept_invitation(w.session, principal=who, room_id=w.room_id)


async def _decline(w: Walk, who: Principal, *_: object) -> None:
    await decline_invitation(w.session, principal=who, room_id=w.room_id)


async def _withdraw(w: Walk, who: Principal, number: int, *_: object) -> None:
    target = await w.target(number)
    await withdraw_invitation(w.session, principal=who, room_id=w.room_id, participant_id=target)


async def _record(w: Walk, who: Principal, number: int, *_: object) -> None:
    state = list(RecordingState)[number % 3]
    await set_recording(w.session, principal=who, room_id=w.room_id, state=state)


async def _offer(w: Walk, who: Principal, number: int, *_: object) -> None:
    changes = {"speakers_share_bps": number * 1_000}
    await update_room(w.session, principal=who, room_id=w.room_id, changes=changes)


async def _live(w: Walk, who: Principal, *_: object) -> None:
    await go_live(w.session, principal=who, room_id=w.room_id)


async def _end(w: Walk, who: Principal, *_: object) -> None:
    await end_room(w.session, principal=who, room_id=w.room_id)


ACTS: list[Act] = [
    _join, _leave, _hand, _consent, _role, _role, _mute, _lower, _remove, _invite, _accept,
    _decline, _withdraw, _join, _join, _role, _record, _offer, _live, _end,
]  # fmt: skip
HOST_OFTEN = (0, 0, *range(PEOPLE))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(ACTS),
        st.sampled_from(HOST_OFTEN),
        st.integers(1, PEOPLE - 1),
        st.sampled_from(Role),
        st.booleans(),
    ),
    min_size=5,
    max_size=25,
)


WALKS = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
START_LIVE = st.sampled_from([True, True, False])


@settings(WALKS, max_examples=6)
@given(start_live=START_LIVE, steps=STEPS)
async def test_a_room_stays_consistent(
    database: Database, start_live: bool, steps: list[Step]
) -> None:
    await _walk(database, start_live, steps)


@pytest.mark.slow
@settings(WALKS, max_examples=40)
@given(start_live=START_LIVE, steps=STEPS)
async def test_a_room_stays_consistent_on_many_walks(
    database: Database, start_live: bool, steps: list[Step]
) -> None:
    await _walk(database, start_live, steps)


async def _walk(database: Database, start_live: bool, steps: list[Step]) -> None:
    async with database.engine.connect() as connection:
        transaction = await connection.begin()
        async with AsyncSession(bind=connection, expire_on_commit=False) as session:
            walk = await _begin(session, start_live=start_live)
            for act, actor, target, role, flag in steps:
                await _try(walk, act, walk.people[actor], target, role, flag)
                await _check(walk)
        await transaction.rollback()


async def _begin(session: AsyncSession, *, start_live: bool) -> Walk:
    house = await make_house(session)
    room = await create_room(session, principal=house.hosting, draft=RoomDraft(title="T"))
    people = [house.hosting] + [await house.user(f"P{n}") for n in range(1, PEOPLE)]
    if start_live:
        for guest in people[1:3]:
            assert guest.user_id is not None
            await invite(
                session,
                principal=house.hosting,
                room_id=room.id,
                user_id=guest.user_id,
                role=Role.COHOST,
            )
        await go_live(session, principal=house.hosting, room_id=room.id)
    extra = await make_user(session, house.platform)
    await fill_stage(session, room, extra.platform_id)
    return Walk(session, house, room.id, people)


async def fill_stage(session: AsyncSession, room: Room, platform_id: UUID) -> None:
    """Silent speakers, in two statements."""
    users = sa.text(
        "insert into user_account (id, platform_id, display_name)"
        " select gen_random_uuid(), :platform, 'extra' from generate_series(1, :count)"
    )
    places = sa.text(
        "insert into participant (id, room_id, user_id, display_name, role, joined_at)"
        " select gen_random_uuid(), :room, id, display_name, 'speaker', now() from user_account"
        " where platform_id = :platform and display_name = 'extra'"
    )
    await session.execute(users, {"platform": platform_id, "count": EXTRAS})
    await session.execute(places, {"platform": platform_id, "room": room.id})


async def _try(walk: Walk, act: Act, who: Principal, target: int, role: Role, flag: bool) -> None:
    """A refusal undoes everything, as the request's transaction does."""
    savepoint = await walk.session.begin_nested()
    try:
        await act(walk, who, target, role, flag)
    except Problem:
        await savepoint.rollback()
    else:
        await savepoint.commit()


async def _check(walk: Walk) -> None:
    session = walk.session
    room = await session.get_one(Room, walk.room_id, populate_existing=True)
    everybody = list(
        await session.scalars(
            sa.select(Participant)
            .where(Participant.room_id == room.id)
            .execution_options(populate_existing=True)
        )
    )
    events = list(
        await session.scalars(
            sa.select(RoomEvent).where(RoomEvent.room_id == room.id).order_by(RoomEvent.seq)
        )
    )
    _check_people(everybody)
    _check_events(room, events)
    _check_fold(everybody, events)
    walk.shares = _check_shares(walk.shares, everybody, events)
    if room.state is RoomState.ENDED:
        lasting = [e for e in events if not e.kind.startswith(("consent.", "room.updated"))]
        assert lasting[-1].kind == "room.ended", "nothing of the stage changes after the end"
        assert lasting[-1].room_ms == room.duration_ms


def _check_people(everybody: list[Participant]) -> None:
    assert sum(p.on_stage for p in everybody) <= MAX_ON_STAGE
    assert [p.role for p in everybody].count(Role.HOST) == 1
    for p in everybody:
        assert not (p.removed and (p.present or p.invited_role)), "removed for good"
        assert not (p.on_stage and p.hand_raised), "a hand is for those who listen"
        assert not (p.muted and p.role is Role.LISTENER)


def _check_events(room: Room, events: list[RoomEvent]) -> None:
    assert [event.seq for event in events] == list(range(1, room.event_seq + 1))
    times = [event.room_ms for event in events if event.room_ms is not None]
    assert times == sorted(times)


def _check_fold(everybody: list[Participant], events: list[RoomEvent]) -> None:
    """The events alone tell who is on the stage, or invited, whose hand is up, who consented."""
    stage, hands, consents, muted = set[str](), set[str](), set[str](), set[str]()
    invited = set[str]()
    moves: dict[str, tuple[set[str], bool]] = {
        "stage.joined": (stage, True),
        "stage.left": (stage, False),
        "hand.raised": (hands, True),
        "hand.lowered": (hands, False),
        "consent.given": (consents, True),
        "consent.withdrawn": (consents, False),
        "speaker.muted": (muted, True),
        "speaker.unmuted": (muted, False),
        "invitation.sent": (invited, True),
        "invitation.accepted": (invited, False),
        "invitation.declined": (invited, False),
        "invitation.withdrawn": (invited, False),
        "participant.removed": (invited, False),
    }
    for event in events:
        if event.kind in moves:
            group, enters = moves[event.kind]
            (group.add if enters else group.discard)(event.data["participant_id"])
    told = [p for p in everybody if p.display_name != "extra"]
    assert stage == {str(p.id) for p in told if p.on_stage}
    assert hands == {str(p.id) for p in told if p.hand_raised}
    assert consents == {str(p.id) for p in told if p.consented}
    assert {str(p.id) for p in told if p.invited_role} <= invited
    assert muted & stage == {str(p.id) for p in told if p.muted and p.on_stage}


def _check_shares(
    before: dict[str, int], everybody: list[Participant], events: list[RoomEvent]
) -> dict[str, int]:
    """What somebody agreed to is told as they come on stage, and stays as long as they do."""
    told: dict[str, int] = {}
    for event in events:
        if event.kind == "stage.joined":
            told[event.data["participant_id"]] = event.data["share_bps"]
    there = {str(p.id): p.share_bps for p in everybody if p.on_stage and p.display_name != "extra"}
    assert there == {who: told[who] for who in there}
    assert all(there.get(who, share) == share for who, share in before.items())
    return there
