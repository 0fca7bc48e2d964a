from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Forbidden, Unauthenticated
from rooms.access import Removed, RoomEnded, RoomNotLive
from rooms.lifecycle import end_room
from rooms.models import Participant, RecordingState, Role, Room
from rooms.moderation import (
    HostNeeded,
    HostStays,
    NotOnStage,
    OnlySelfUnmutes,
    ParticipantRemoved,
    RoleNotOffered,
    change_role,
    invite,
    lower_hand,
    remove_participant,
    set_muted,
)
from rooms.participation import (
    MAX_ON_STAGE,
    OnStageAlready,
    StageFull,
    join_room,
    leave_room,
    set_hand,
)
from rooms.recording import RecordingNotStarted, RecordingStopped, set_recording
from rooms.stage import stage_of
from tests.factories import make_user
from tests.rooms.conftest import House
from tests.rooms.told import kinds_after


async def test_a_listener_joins_once(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    seq = room.event_seq
    guest, first = await house.listener(room)
    _, again = await join_room(session, principal=guest, room_id=room.id)
    assert again.id == first.id
    assert first.role is Role.LISTENER
    assert await kinds_after(session, room, seq) == ["participant.joined"]


async def test_strangers_and_keys_do_not_join(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    with pytest.raises(Unauthenticated):
        await join_room(session, principal=house.stranger, room_id=room.id)
    with pytest.raises(Forbidden):
        await join_room(session, principal=house.key, room_id=room.id)


async def test_nobody_joins_before_live_or_after_the_end(
    session: AsyncSession, house: House
) -> None:
    room, guest = await house.room(), await house.user()
    with pytest.raises(RoomNotLive):
        await join_room(session, principal=guest, room_id=room.id)
    live = await house.live_room()
    await end_room(session, principal=house.hosting, room_id=live.id)
    with pytest.raises(RoomEnded):
        await join_room(session, principal=guest, room_id=live.id)


async def test_a_speaker_who_leaves_comes_back_as_listener(
    session: AsyncSession, house: House
) -> None:
    room = await house.live_room()
    guest, participant = await house.speaker(room)
    seq = room.event_seq
    await leave_room(session, principal=guest, room_id=room.id)
    await leave_room(session, principal=guest, room_id=room.id)
    assert await kinds_after(session, room, seq) == ["stage.left", "participant.left"]
    await join_room(session, principal=guest, room_id=room.id)
    assert (participant.role, participant.present) == (Role.LISTENER, True)


async def test_host_and_cohost_come_back_to_the_stage(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    cohost, _ = await house.speaker(room, Role.COHOST)
    for principal in (house.hosting, cohost):
        await leave_room(session, principal=principal, room_id=room.id)
        _, back = await join_room(session, principal=principal, room_id=room.id)
        assert back.on_stage


async def test_promoting_a_raised_hand_lowers_it(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    guest, participant = await house.listener(room)
    await set_hand(session, principal=guest, room_id=room.id, raised=True)
    seq = room.event_seq
    await change_role(
        session,
        principal=house.hosting,
        room_id=room.id,
        participant_id=participant.id,
        role=Role.SPEAKER,
    )
    assert participant.hand_raised_at is None
    assert await kinds_after(session, room, seq) == ["hand.lowered", "stage.joined"]
    with pytest.raises(OnStageAlready):
        await set_hand(session, principal=guest, room_id=room.id, raised=True)


async def test_hands_are_ordered_and_idempotent(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    hands = []
    for name in ("first", "second"):
        guest, participant = await house.listener(room, name)
        await set_hand(session, principal=guest, room_id=room.id, raised=True)
        await set_hand(session, principal=guest, room_id=room.id, raised=True)
        hands.append(participant.hand_raised_at)
    assert hands == sorted(hands, key=str)
    assert (await kinds_after(session, room, 0)).count("hand.raised") == 2


async def test_a_moderator_lowers_a_hand(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    guest, participant = await house.listener(room)
    await set_hand(session, principal=guest, room_id=room.id, raised=True)
    cohost, _ = await house.speaker(room, Role.COHOST)
    await lower_hand(session, principal=cohost, room_id=room.id, participant_id=participant.id)
    assert participant.hand_raised_at is None


async def test_the_stage_holds_fifty_and_a_place_for_the_host(
    session: AsyncSession, house: House
) -> None:
    room = await house.live_room()
    await leave_room(session, principal=house.hosting, room_id=room.id)
    _, last = await house.listener(room)
    await fill_stage(session, house, room, MAX_ON_STAGE - 1)
    with pytest.raises(StageFull):
        await change_role(
            session,
            principal=house.hosting,
            room_id=room.id,
            participant_id=last.id,
            role=Role.SPEAKER,
        )
    await session.refresh(last)
    _, host = await join_room(session, principal=house.hosting, room_id=room.id)
    assert host.on_stage


async def fill_stage(session: AsyncSession, house: House, room: Room, count: int) -> None:
    for number in range(count):
        user = await make_user(session, house.platform, display_name=f"S{number}")
        session.add(
            Participant(
                room_id=room.id,
                user_id=user.id,
                display_name=user.display_name,
                role=Role.SPEAKER,
                joined_at=room.live_at,
            )
        )
    await session.flush()


async def test_a_removed_participant_never_comes_back(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    guest, participant = await house.speaker(room)
    seq = room.event_seq
    for _ in range(2):
        await remove_participant(
            session, principal=house.hosting, room_id=room.id, participant_id=participant.id
        )
    assert await kinds_after(session, room, seq) == ["stage.left", "participant.removed"]
    with pytest.raises(Removed):
        await join_room(session, principal=guest, room_id=room.id)
    with pytest.raises(ParticipantRemoved):
        await invite(
            session,
            principal=house.hosting,
            room_id=room.id,
            user_id=participant.user_id,
            role=Role.SPEAKER,
        )


async def test_a_cohost_cannot_touch_host_or_cohosts(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    cohost, _ = await house.speaker(room, Role.COHOST)
    _, other = await house.speaker(room, Role.COHOST)
    _, listener = await house.listener(room)
    host = await session.scalar(
        sa.select(Participant).where(Participant.room_id == room.id, Participant.role == Role.HOST)
    )
    assert host is not None
    call: dict[str, Any] = {"principal": cohost, "room_id": room.id}
    with pytest.raises(HostStays):
        await remove_participant(session, **call, participant_id=host.id)
    with pytest.raises(HostStays):
        await change_role(session, **call, participant_id=host.id, role=Role.LISTENER)
    with pytest.raises(HostNeeded):
        await remove_participant(session, **call, participant_id=other.id)
    with pytest.raises(HostNeeded):
        await change_role(session, **call, participant_id=listener.id, role=Role.COHOST)
    with pytest.raises(HostNeeded):
        await invite(session, **call, user_id=listener.user_id, role=Role.COHOST)
    with pytest.raises(RoleNotOffered):
        await change_role(session, **call, participant_id=listener.id, role=Role.HOST)
    with pytest.raises(Forbidden):
        await end_room(session, **call)


async def test_others_mute_but_only_the_speaker_unmutes(
    session: AsyncSession, house: House
) -> None:
    room = await house.live_room()
    speaker, participant = await house.speaker(room)
    call: dict[str, Any] = {"room_id": room.id, "participant_id": participant.id}
    await set_muted(session, principal=house.hosting, **call, muted=True)
    assert participant.muted
    with pytest.raises(OnlySelfUnmutes):
        await set_muted(session, principal=house.hosting, **call, muted=False)
    await set_muted(session, principal=speaker, **call, muted=False)
    assert not participant.muted
    _, listener = await house.listener(room)
    with pytest.raises(NotOnStage):
        await set_muted(
            session,
            principal=house.hosting,
            room_id=room.id,
            participant_id=listener.id,
            muted=True,
        )


async def test_off_the_record_and_back(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    cohost, _ = await house.speaker(room, Role.COHOST)
    call: dict[str, Any] = {"principal": cohost, "room_id": room.id}
    await set_recording(session, **call, state=RecordingState.PAUSED)
    await set_recording(session, **call, state=RecordingState.PAUSED)
    await set_recording(session, **call, state=RecordingState.ON)
    with pytest.raises(Forbidden):
        await set_recording(session, **call, state=RecordingState.OFF)
    await set_recording(session, principal=house.hosting, room_id=room.id, state=RecordingState.OFF)
    with pytest.raises(RecordingStopped):
        await set_recording(session, **call, state=RecordingState.ON)
    stage = await stage_of(session, room.id)
    assert stage is not None
    assert [mark.on for mark in stage.marks] == [True, False, True, False]
    assert [m.room_ms for m in stage.marks] == sorted(m.room_ms for m in stage.marks)


async def test_what_never_started_cannot_pause(session: AsyncSession, house: House) -> None:
    room = await house.live_room(record_from_start=False)
    call: dict[str, Any] = {"principal": house.hosting, "room_id": room.id}
    with pytest.raises(RecordingNotStarted):
        await set_recording(session, **call, state=RecordingState.PAUSED)
    await set_recording(session, **call, state=RecordingState.ON)
    assert (await kinds_after(session, room, 0))[-1] == "recording.started"
