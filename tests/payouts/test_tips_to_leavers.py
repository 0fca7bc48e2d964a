"""Tips for moments of people who have left Encore since."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from payouts.earned import Earner
from payouts.leaving import StillLive, close_account, leave
from payouts.tip_place import unpaid
from payouts.tips import NobodyToPay, TipToOneself
from rooms.lifecycle import end_room
from rooms.moments import course_of
from rooms.participation import leave_room
from tests.payouts.tills import on_our_clock
from tests.payouts.tipping import AGE, Hall, make_hall


@pytest.fixture
async def hall(session: AsyncSession) -> Hall:
    await on_our_clock(session)
    return await make_hall(session)


async def leaves(hall: Hall, who: Principal) -> None:
    assert who.user_id is not None
    await leave(hall.session, platform_id=hall.room.platform_id, user_id=who.user_id)


async def test_who_has_left_is_paid_no_tip(hall: Hall) -> None:
    """Those of the moment who are still there share it; where nobody is it is refused, which the
    page knows before."""
    fan = await hall.fan(1_000)
    await hall.offer(5_000)
    one, other = await hall.speaker("One"), await hall.speaker("Other")
    assert hall.room.live_at is not None
    both = hall.room.live_at + timedelta(milliseconds=(await hall.tip(fan, 100)).room_ms)
    alone = hall.room.live_at + AGE / 2
    assert await hall.earned(hall.host, one, other) == [50, 25, 25]
    for speaker in (one, other):
        await leave_room(hall.session, principal=speaker, room_id=hall.room.id)
    await end_room(hall.session, principal=hall.host, room_id=hall.room.id)
    await leaves(hall, one)
    await hall.tip(fan, 100, heard_at=both)
    assert await hall.earned(hall.host, one, other) == [100, 25, 75]
    await leaves(hall, hall.host)
    await hall.tip(fan, 100, heard_at=both)
    assert await hall.earned(hall.host, one, other) == [100, 25, 175]
    with pytest.raises(NobodyToPay):
        await hall.tip(fan, 100, heard_at=alone)
    course = await course_of(hall.session, hall.room.id)
    came, left = (move.room_ms for move in course.moves if move.user_id == other.user_id)
    host_id = hall.room.host_id
    assert unpaid(course, host=host_id, payer=fan.user_id) == [(0, came), (left, None)]
    await leaves(hall, other)
    course = await course_of(hall.session, hall.room.id)
    assert unpaid(course, host=host_id, payer=fan.user_id) == [(0, None)]
    with pytest.raises(NobodyToPay):
        await hall.tip(fan, 100, heard_at=both)
    assert await hall.earned(hall.host, one, other) == [100, 25, 175]
    assert await hall.broken() == []


async def test_a_host_alone_is_still_told_of_themselves(hall: Hall) -> None:
    speaker = await hall.speaker()
    await hall.give(hall.host, 50)
    await leaves(hall, speaker)
    with pytest.raises(TipToOneself):
        await hall.tip(hall.host, 50)


async def test_nobody_leaves_from_a_live_stage(hall: Hall) -> None:
    speaker = await hall.speaker()
    for who, first in ((hall.host, "End your room"), (speaker, "Leave the stage")):
        assert who.user_id is not None
        earner = Earner(hall.room.platform_id, who.user_id, "USD")
        with pytest.raises(StillLive, match=first):
            await close_account(hall.session, earner, give_up=True)
    await leave_room(hall.session, principal=speaker, room_id=hall.room.id)
    await close_account(hall.session, earner, give_up=True)
