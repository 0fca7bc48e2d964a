"""Real connections against each other."""

import asyncio
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.db import Database
from core.errors import Problem
from rooms.events import record_event
from rooms.lifecycle import RoomAlreadyLive, end_room, go_live
from rooms.listing import events_after
from rooms.models import Participant, Role, Room, RoomEvent
from rooms.moderation import change_role
from rooms.participation import MAX_ON_STAGE, StageFull, join_room
from rooms.queries import standing_on_stage
from tests.rooms.conftest import House, make_house
from tests.rooms.test_stage_machine import EXTRAS, fill_stage

WRITERS = 20


async def open_room(session: AsyncSession) -> tuple[House, Room]:
    house = await make_house(session)
    return house, await house.live_room()


async def test_the_last_place_on_the_stage_is_given_once(database: Database) -> None:
    async with database.transaction() as session:
        house, room = await open_room(session)
        await fill_stage(session, room, house.platform.id)
        rivals = [await house.listener(room) for _ in range(8)]

    async def promote(participant: Participant) -> bool:
        try:
            async with database.transaction() as session:
                await change_role(
                    session,
                    principal=house.hosting,
                    room_id=room.id,
                    participant_id=participant.id,
                    role=Role.SPEAKER,
                )
        except StageFull:
            return False
        return True

    promoted = await asyncio.gather(*(promote(participant) for _, participant in rivals))
    assert promoted.count(True) == MAX_ON_STAGE - 1 - EXTRAS
    async with database.transaction() as session:
        on_stage = sa.select(sa.func.count()).where(
            Participant.room_id == room.id, standing_on_stage()
        )
        assert await session.scalar(on_stage) == MAX_ON_STAGE


async def test_a_person_joining_in_many_tabs_is_one_participant(database: Database) -> None:
    async with database.transaction() as session:
        house, room = await open_room(session)
        guest = await house.user()

    async def join() -> UUID:
        async with database.transaction() as session:
            _, participant = await join_room(session, principal=guest, room_id=room.id)
            return participant.id

    assert len(set(await asyncio.gather(*(join() for _ in range(8))))) == 1
    assert await count(database, room, "participant.joined") == 2, "the host's and the guest's"


async def test_a_reader_never_sees_a_hole_while_twenty_write(database: Database) -> None:
    async with database.transaction() as session:
        _, room = await open_room(session)
    last = room.event_seq + WRITERS * 3

    async def write() -> None:
        for _ in range(3):
            async with database.transaction() as session:
                mine = await session.get_one(Room, room.id)
                await record_event(session, mine, "test.happened")

    async def read() -> list[RoomEvent]:
        seen: list[RoomEvent] = []
        async with asyncio.timeout(20):
            while len(seen) < last:
                async with database.transaction() as session:
                    after = seen[-1].seq if seen else 0
                    seen += await events_after(session, room.id, after=after, limit=500)
        return seen

    reading = asyncio.create_task(read())
    await asyncio.gather(*(write() for _ in range(WRITERS)))
    seen = await reading
    assert [event.seq for event in seen] == list(range(1, last + 1))
    times = [event.room_ms for event in seen if event.room_ms is not None]
    assert times == sorted(times)


async def test_a_room_starts_and_ends_once(database: Database) -> None:
    async with database.transaction() as session:
        house = await make_house(session)
        room = await house.room()

    async def start(principal: Principal) -> type[Problem] | None:
        try:
            async with database.transaction() as session:
                await go_live(session, principal=principal, room_id=room.id)
        except Problem as problem:
            return type(problem)
        return None

    async def end(principal: Principal) -> int | None:
        async with database.transaction() as session:
            return (await end_room(session, principal=principal, room_id=room.id)).duration_ms

    started = await asyncio.gather(*(start(house.hosting) for _ in range(5)))
    assert sorted(map(str, started)) == sorted(map(str, [None] + [RoomAlreadyLive] * 4))
    assert len(set(await asyncio.gather(*(end(house.hosting) for _ in range(5))))) == 1
    for kind in ("room.went_live", "room.ended"):
        assert await count(database, room, kind) == 1


async def count(database: Database, room: Room, kind: str) -> int:
    query = sa.select(sa.func.count()).where(RoomEvent.room_id == room.id, RoomEvent.kind == kind)
    async with database.transaction() as session:
        return (await session.execute(query)).scalar_one()
