"""Invitations to the stage: sent, taken, declined, withdrawn."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.errors import Forbidden, NotFound, Unauthenticated
from rooms.access import RoomEnded
from rooms.lifecycle import end_room, go_live
from rooms.models import Participant, Role, Room, RoomEvent
from rooms.moderation import (
    HostNeeded,
    NotInRoom,
    accept_invitation,
    change_role,
    decline_invitation,
    invite,
    withdraw_invitation,
)
from rooms.participation import (
    join_room,
    leave_room,
)
from tests.rooms.conftest import House, make_house
from tests.rooms.told import kinds_after


async def test_an_invited_person_takes_the_stage_at_once(
    session: AsyncSession, house: House
) -> None:
    room = await house.live_room()
    guest = await house.user()
    assert guest.user_id is not None
    await invite(
        session,
        principal=house.hosting,
        room_id=room.id,
        user_id=guest.user_id,
        role=Role.SPEAKER,
    )
    seq = room.event_seq
    _, participant = await accept_invitation(session, principal=guest, room_id=room.id)
    assert participant.on_stage
    assert await kinds_after(session, room, seq) == [
        "invitation.accepted",
        "participant.joined",
        "stage.joined",
    ]
    with pytest.raises(Forbidden):
        await accept_invitation(session, principal=guest, room_id=room.id)


async def test_an_invitation_before_go_live_counts_at_the_join(
    session: AsyncSession, house: House
) -> None:
    room, guest = await house.room(), await house.user()
    assert guest.user_id is not None
    await invite(
        session, principal=house.hosting, room_id=room.id, user_id=guest.user_id, role=Role.COHOST
    )
    await accept_invitation(session, principal=guest, room_id=room.id)
    await go_live(session, principal=house.hosting, room_id=room.id)
    _, participant = await join_room(session, principal=guest, room_id=room.id)
    assert (participant.role, participant.on_stage) == (Role.COHOST, True)


async def invited(
    session: AsyncSession, house: House, room: Room, role: Role = Role.SPEAKER
) -> tuple[Principal, Participant]:
    guest = await house.user()
    assert guest.user_id is not None
    place = await invite(
        session, principal=house.hosting, room_id=room.id, user_id=guest.user_id, role=role
    )
    return guest, place


@pytest.mark.parametrize("live", [True, False])
async def test_a_declined_invitation_is_gone_until_the_next(
    session: AsyncSession, house: House, live: bool
) -> None:
    room = await (house.live_room() if live else house.room())
    guest, place = await invited(session, house, room)
    seq = room.event_seq
    await decline_invitation(session, principal=guest, room_id=room.id)
    assert (place.invited_role, place.role, place.present) == (None, Role.LISTENER, False)
    for answer in (decline_invitation, accept_invitation):
        with pytest.raises(Forbidden):
            await answer(session, principal=guest, room_id=room.id)
    await invite(
        session,
        principal=house.hosting,
        room_id=room.id,
        user_id=place.user_id,
        role=Role.SPEAKER,
    )
    assert await kinds_after(session, room, seq) == ["invitation.declined", "invitation.sent"]
    event = await session.get_one(RoomEvent, (room.id, seq + 1))
    assert event.actor_id == guest.user_id
    assert event.data["participant_id"] == str(place.id)


async def test_who_declines_stays_in_the_room(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    speaker, place = await house.speaker(room)
    await invite(
        session,
        principal=house.hosting,
        room_id=room.id,
        user_id=place.user_id,
        role=Role.COHOST,
    )
    await decline_invitation(session, principal=speaker, room_id=room.id)
    assert (place.role, place.on_stage, place.invited_role) == (Role.SPEAKER, True, None)


async def test_a_withdrawn_invitation_cannot_be_accepted(
    session: AsyncSession, house: House
) -> None:
    room = await house.live_room()
    cohost, _ = await house.speaker(room, Role.COHOST)
    guest, place = await invited(session, house, room)
    seq = room.event_seq
    for _ in range(2):
        await withdraw_invitation(
            session, principal=cohost, room_id=room.id, participant_id=place.id
        )
    assert await kinds_after(session, room, seq) == ["invitation.withdrawn"]
    event = await session.get_one(RoomEvent, (room.id, seq + 1))
    assert (event.actor_id, event.data["user_id"]) == (cohost.user_id, str(guest.user_id))
    with pytest.raises(Forbidden):
        await accept_invitation(session, principal=guest, room_id=room.id)


async def test_what_was_accepted_is_not_withdrawn(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    guest, place = await invited(session, house, room)
    await accept_invitation(session, principal=guest, room_id=room.id)
    seq = room.event_seq
    await withdraw_invitation(
        session, principal=house.hosting, room_id=room.id, participant_id=place.id
    )
    assert place.on_stage
    assert room.event_seq == seq


async def test_who_may_withdraw(session: AsyncSession, house: House) -> None:
    room, other = await house.live_room(), await house.live_room()
    cohost, _ = await house.speaker(room, Role.COHOST)
    speaker, _ = await house.speaker(room)
    guest, place = await invited(session, house, room, Role.COHOST)
    call: dict[str, Any] = {"room_id": room.id, "participant_id": place.id}
    with pytest.raises(Unauthenticated):
        await withdraw_invitation(session, principal=house.stranger, **call)
    for principal in (speaker, guest):
        with pytest.raises(Forbidden):
            await withdraw_invitation(session, principal=principal, **call)
    with pytest.raises(HostNeeded):
        await withdraw_invitation(session, principal=cohost, **call)
    with pytest.raises(NotFound):
        await withdraw_invitation(
            session, principal=house.hosting, room_id=other.id, participant_id=place.id
        )
    assert place.invited_role is Role.COHOST
    await withdraw_invitation(session, principal=house.key, **call)
    assert place.invited_role is None


async def test_an_ended_room_has_no_open_invitations(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    guest, place = await invited(session, house, room)
    await end_room(session, principal=house.hosting, room_id=room.id)
    with pytest.raises(RoomEnded):
        await decline_invitation(session, principal=guest, room_id=room.id)
    with pytest.raises(RoomEnded):
        await withdraw_invitation(
            session, principal=house.hosting, room_id=room.id, participant_id=place.id
        )


async def test_strangers_to_the_platform_cannot_be_invited(
    session: AsyncSession, house: House
) -> None:
    room, other = await house.live_room(), await make_house(session)
    with pytest.raises(NotFound):
        await invite(
            session,
            principal=house.hosting,
            room_id=room.id,
            user_id=other.host.id,
            role=Role.SPEAKER,
        )


async def test_who_left_cannot_be_promoted(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    guest, participant = await house.listener(room)
    await leave_room(session, principal=guest, room_id=room.id)
    with pytest.raises(NotInRoom):
        await change_role(
            session,
            principal=house.hosting,
            room_id=room.id,
            participant_id=participant.id,
            role=Role.SPEAKER,
        )
