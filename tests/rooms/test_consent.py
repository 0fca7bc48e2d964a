"""Consent to be recorded: given, withdrawn, and given again."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Forbidden, NotFound, Unauthenticated
from core.ids import uuid7
from ingest.withdrawals import withdrawals
from rooms.access import Removed
from rooms.lifecycle import end_room
from rooms.models import Participant, Role, RoomEvent
from rooms.moderation import (
    remove_participant,
)
from rooms.participation import (
    set_consent,
)
from rooms.stage import stage_of
from tests.rooms.conftest import House
from tests.rooms.told import kinds_after


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
