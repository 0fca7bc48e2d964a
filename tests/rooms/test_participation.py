from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.errors import Forbidden, NotFound, Unauthenticated
from core.ids import uuid7
from ingest.withdrawals import withdrawals
from rooms.access import Removed, RoomEnded, RoomNotLive
from rooms.lifecycle import end_room, go_live
from rooms.models import Participant, RecordingState, Role, Room, RoomEvent
from rooms.moderation import (
    HostNeeded,
    HostStays,
    NotInRoom,
    NotOnStage,
    OnlySelfUnmutes,
    ParticipantRemoved,
    RoleNotOffered,
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
    OnStageAlready,
    StageFull,
    join_room,
    leave_room,
    set_consent,
    set_hand,
)
from rooms.recording import RecordingNotStarted, RecordingStopped, set_recording
from rooms.stage import stage_of
from tests.factories import make_user
from tests.rooms.conftest import House, make_house


async def kinds_after(session: AsyncSession, room: Room, seq: int) -> list[str]:
    query = sa.select(RoomEvent.kind).where(RoomEvent.room_id == room.id, RoomEvent.seq > seq)
    return list(await session.scalars(query.order_by(RoomEvent.seq)))


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


async def test_consent_is_shown_to_the_receiver_and_can_be_withdrawn(
    session: AsyncSession, house: House
) -> None:
    room = await house.live_room()
    speaker, participant = await house.speaker(room)
    for consent in (True, False):
        await set_consent(session, principal=speaker, room_id=room.id, consent=consent)
        stage = await stage_of(session, room.id)
        assert stage is not None
        assert stage.speakers[participant.id].consented is consent
        assert stage.speakers[participant.id].on_stage
    assert (await kinds_after(session, room, 0))[-2:] == ["consent.given", "consent.withdrawn"]


async def test_consent_is_withdrawn_and_given_again_after_the_end(
    session: AsyncSession, house: House
) -> None:
    room = await house.live_room()
    speaker, own = await house.speaker(room)
    await set_consent(session, principal=speaker, room_id=room.id, consent=True)
    await end_room(session, principal=house.hosting, room_id=room.id)
    for consent in (False, False, True):
        await set_consent(session, principal=speaker, room_id=room.id, consent=consent)
        assert own.consented is consent
    kinds = await kinds_after(session, room, 0)
    assert kinds[-2:] == ["consent.withdrawn", "consent.given"]
    after_end = sa.select(RoomEvent.room_ms).where(
        RoomEvent.room_id == room.id, RoomEvent.kind == "consent.withdrawn"
    )
    assert await session.scalar(after_end) is None
    assert await withdrawals(session, room.id) == {}


async def test_who_was_removed_may_still_withdraw_but_not_consent(
    session: AsyncSession, house: House
) -> None:
    room = await house.live_room()
    speaker, own = await house.speaker(room)
    call: dict[str, Any] = {"principal": speaker, "room_id": room.id}
    await set_consent(session, **call, consent=True)
    await remove_participant(
        session, principal=house.hosting, room_id=room.id, participant_id=own.id
    )
    await set_consent(session, **call, consent=False)
    assert not own.consented
    with pytest.raises(Removed):
        await set_consent(session, **call, consent=True)


async def test_who_was_put_off_the_group_may_still_withdraw(
    session: AsyncSession, house: House
) -> None:
    room = await house.group_room()
    guest = await house.user()
    own = Participant(
        room_id=room.id,
        user_id=guest.user_id,
        display_name="Guest",
        role=Role.SPEAKER,
        consented_at=room.created_at,
    )
    session.add(own)
    await session.flush()
    await set_consent(session, principal=guest, room_id=room.id, consent=False)
    assert not own.consented
    with pytest.raises(NotFound):
        await set_consent(session, principal=guest, room_id=room.id, consent=True)


async def test_who_never_came_has_nothing_to_withdraw(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    call: dict[str, Any] = {"room_id": room.id, "consent": False}
    with pytest.raises(Forbidden):
        await set_consent(session, principal=await house.user(), **call)
    with pytest.raises(Unauthenticated):
        await set_consent(session, principal=house.stranger, **call)
    with pytest.raises(NotFound):
        await set_consent(session, principal=house.hosting, room_id=uuid7(), consent=False)


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
