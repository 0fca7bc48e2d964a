"""Rooms that everybody left are ended, others are not."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from rooms.models import Room, RoomEvent, RoomState
from tests.rooms.conftest import make_house
from workers.abandoned import end_abandoned_rooms
from workers.jobs import CHORES
from workers.kinds import Tools


async def room_live_since(tools: Tools, minutes: int) -> UUID:
    """One that no worker receives."""
    async with tools.database.transaction() as session:
        room = await (await make_house(session)).live_room()
        since = sa.func.now() - timedelta(minutes=minutes)
        await session.execute(sa.update(Room).where(Room.id == room.id).values(live_at=since))
    return room.id


async def state_of(tools: Tools, room_id: UUID) -> RoomState:
    async with tools.database.transaction() as session:
        return (await session.get_one(Room, room_id)).state


async def test_a_room_that_nobody_attends_is_ended_once(tools: Tools) -> None:
    left, fresh = await room_live_since(tools, 31), await room_live_since(tools, 29)
    await end_abandoned_rooms(tools)
    await end_abandoned_rooms(tools)
    assert await state_of(tools, left) is RoomState.ENDED
    assert await state_of(tools, fresh) is RoomState.LIVE
    async with tools.database.transaction() as session:
        query = sa.select(RoomEvent).where(RoomEvent.room_id == left)
        (ended,) = await session.scalars(query.where(RoomEvent.kind == "room.ended"))
    assert ended.actor_id is None
    assert ended.data["reason"] == "abandoned"
    assert ended.data["duration_ms"] >= 31 * 60_000


async def test_the_time_is_a_setting_and_zero_is_never(tools: Tools) -> None:
    room_id = await room_live_since(tools, 29)
    for minutes, state in ((0, RoomState.LIVE), (28, RoomState.ENDED)):
        settings = tools.settings.model_copy(update={"abandoned_room_minutes": minutes})
        await end_abandoned_rooms(replace(tools, settings=settings))
        assert await state_of(tools, room_id) is state


def test_it_is_looked_for_every_minute() -> None:
    assert [c.cron for c in CHORES if c.body is end_abandoned_rooms] == ["* * * * *"]
