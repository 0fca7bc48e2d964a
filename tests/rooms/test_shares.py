"""What part of the tips somebody agreed to by coming on stage, whichever way they came."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal, Scope
from rooms.lifecycle import update_room
from rooms.models import Participant, Role, Room, RoomEvent
from rooms.moderation import accept_invitation, change_role, invite
from rooms.moments import course_of
from rooms.participation import join_room, leave_room
from rooms.tokens import Guest, mint_token
from tests.rooms.conftest import House
from tests.rooms.serving import SECRET


@pytest.fixture
async def room(house: House) -> Room:
    return await house.live_room(speakers_share_bps=4_000)


async def offer(house: House, room: Room, share_bps: int) -> None:
    changes = {"speakers_share_bps": share_bps}
    await update_room(house.session, principal=house.hosting, room_id=room.id, changes=changes)


async def shares(session: AsyncSession, room: Room) -> dict[str, int]:
    """By name, as the events tell it at the latest moment."""
    course = await course_of(session, room.id)
    there = course.on_stage(course.now_ms)
    rows = await session.scalars(sa.select(Participant).where(Participant.room_id == room.id))
    names = {row.user_id: row.display_name for row in rows}
    return {names[who]: share for who, share in there.items()}


async def invited(house: House, room: Room, role: Role = Role.SPEAKER) -> Principal:
    guest = await house.user()
    assert guest.user_id is not None
    await invite(
        house.session, principal=house.hosting, room_id=room.id, user_id=guest.user_id, role=role
    )
    return guest


async def test_an_invitation_offers_what_was_offered_then(house: House, room: Room) -> None:
    guest = await invited(house, room)
    await offer(house, room, 1_000)
    await accept_invitation(house.session, principal=guest, room_id=room.id)
    assert await shares(house.session, room) == {"Host": 0, "Guest": 4_000}
    await offer(house, room, 9_000)
    assert await shares(house.session, room) == {"Host": 0, "Guest": 4_000}


async def test_who_is_called_up_agrees_to_what_is_offered_now(house: House, room: Room) -> None:
    _, place = await house.speaker(room)
    await offer(house, room, 1_000)
    await change_role(
        house.session,
        principal=house.hosting,
        room_id=room.id,
        participant_id=place.id,
        role=Role.COHOST,
    )
    assert await shares(house.session, room) == {"Host": 0, "speaker": 4_000}


async def test_a_cohost_comes_back_on_the_same_terms_a_speaker_on_new_ones(
    house: House, room: Room
) -> None:
    cohost, _ = await house.speaker(room, Role.COHOST)
    speaker, place = await house.speaker(room)
    await offer(house, room, 1_000)
    for who in (cohost, speaker):
        await leave_room(house.session, principal=who, room_id=room.id)
    assert await shares(house.session, room) == {"Host": 0}
    for who in (cohost, speaker):
        await join_room(house.session, principal=who, room_id=room.id)
    await change_role(
        house.session,
        principal=house.hosting,
        room_id=room.id,
        participant_id=place.id,
        role=Role.SPEAKER,
    )
    assert await shares(house.session, room) == {"Host": 0, "cohost": 4_000, "speaker": 1_000}


async def test_another_invitation_alters_nothing_for_who_is_on_stage(
    house: House, room: Room
) -> None:
    speaker, place = await house.speaker(room)
    await offer(house, room, 1_000)
    await invite(
        house.session,
        principal=house.hosting,
        room_id=room.id,
        user_id=place.user_id,
        role=Role.COHOST,
    )
    await accept_invitation(house.session, principal=speaker, room_id=room.id)
    assert await shares(house.session, room) == {"Host": 0, "speaker": 4_000}


async def test_a_seat_of_the_platforms_is_on_the_rooms_terms(house: House, room: Room) -> None:
    scopes = frozenset({Scope.TOKENS_WRITE, Scope.ROOMS_WRITE})
    key = Principal(house.key.kind, house.platform.id, scopes=scopes)
    user_id, _ = await mint_token(
        house.session,
        secret=SECRET,
        principal=key,
        room_id=room.id,
        guest=Guest("customer-1815", "Ada", Role.SPEAKER),
        ttl=timedelta(hours=1),
    )
    own = await house.session.scalar(
        sa.select(Participant.share_bps).where(Participant.user_id == user_id)
    )
    assert own == 4_000


async def test_the_event_says_what_was_agreed_to(house: House, room: Room) -> None:
    _, place = await house.speaker(room)
    query = sa.select(RoomEvent.data).where(RoomEvent.kind == "stage.joined")
    told = await house.session.scalars(query.where(RoomEvent.room_id == room.id))
    assert [one["share_bps"] for one in told if one["user_id"] == str(place.user_id)] == [4_000]
