"""Batches of tips to several rooms: what each room, its goal and its people have of them."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import sqlalchemy as sa

from core.db import Database
from payouts import goals
from payouts.spending import StarsMissing
from payouts.tip_jar import TipJar
from payouts.tip_wishes import Asked, Sent
from payouts.tips import Known, try_tips
from rooms.leaving import forget_names
from rooms.models import Room, RoomEvent
from tests.payouts.killable_tips import wishes
from tests.payouts.tills import TERMS
from tests.payouts.tipping import CAPS, Hall, make_hall
from tests.polling import eventually, waiting_in

NOWHERE = sa.select(Room.id).where(sa.false())


async def two_rooms(database: Database) -> tuple[Hall, Hall, list[UUID]]:
    """One of them with a goal of 45 Stars; seven fans of 100 Stars each."""
    async with database.transaction() as session:
        hall = await make_hall(session)
        other = Hall(hall.house, await hall.house.live_room())
        await goals.set_goal(
            session, principal=hall.host, room_id=hall.room.id, title="A boat", stars=45
        )
        fans = [(await hall.fan(100)).user_id for _ in range(7)]
    return hall, other, [fan for fan in fans if fan is not None]


async def told_in(database: Database, room: Room) -> list[tuple[str, dict[str, Any]]]:
    """What was told since the room was read, without holes."""
    events = sa.select(RoomEvent).where(
        RoomEvent.room_id == room.id, RoomEvent.seq > room.event_seq
    )
    async with database.transaction() as session:
        found = list(await session.scalars(events.order_by(RoomEvent.seq)))
    numbers = range(room.event_seq + 1, room.event_seq + 1 + len(found))
    assert [event.seq for event in found] == list(numbers)
    return [(event.kind, event.data) for event in found]


async def test_each_room_is_told_of_its_own_tips_and_of_its_goal(database: Database) -> None:
    hall, other, fans = await two_rooms(database)
    jar = TipJar(database, TERMS, CAPS)
    for batch in ("first", "second"):  # accounts are known in the second
        here = wishes(hall.room, fans[:4], f"{batch}-here")
        there = wishes(other.room, fans[2:], f"{batch}-there")
        mixed = [one for pair in zip(here, there, strict=False) for one in pair]
        tips = await asyncio.gather(*map(jar.send, [*mixed, there[-1]]))
        assert all(isinstance(tip, Sent) for tip in tips)
    told = await told_in(database, hall.room)
    progress = [data["goal"] for kind, data in told if kind == "tip.sent"]
    assert [goal["raised_stars"] for goal in progress] == list(range(10, 90, 10))
    assert [goal["reached"] for goal in progress] == [False] * 4 + [True] * 4
    [reached] = [data for kind, data in told if kind == "goal.reached"]
    assert reached == progress[4]
    elsewhere = await told_in(database, other.room)
    assert [(kind, data["goal"]) for kind, data in elsewhere] == [("tip.sent", None)] * 10
    async with database.transaction() as session:
        assert await hall.on(session).earned(hall.host) == [180]
        assert await hall.on(session).broken() == await other.on(session).broken() == []


async def test_who_sends_again_or_has_too_little_is_answered_beside_the_others(
    database: Database,
) -> None:
    hall, other, fans = await two_rooms(database)
    jar = TipJar(database, TERMS, CAPS)
    first, *_ = wishes(hall.room, fans, "first")
    sent = await jar.send(first)
    poor, *rest = wishes(other.room, fans[:3], "second")
    poor = replace(poor, wish=replace(poor.wish, stars=91))
    again, refused, *tips = await asyncio.gather(
        *map(jar.send, [first, poor, *rest]), return_exceptions=True
    )
    assert isinstance(again, Sent)
    assert (again.id, again.goal_id) == (sent.id, sent.goal_id)
    assert isinstance(refused, StarsMissing)
    assert Counter(map(type, tips)) == {Sent: 2}
    async with database.transaction() as session:
        assert await hall.on(session).broken() == await other.on(session).broken() == []


async def test_a_room_that_was_tipped_before_is_read_anew_once_its_stage_changes(
    database: Database,
) -> None:
    hall, _, fans = await two_rooms(database)
    jar = TipJar(database, TERMS, CAPS)

    async def tip(batch: str) -> None:
        one, *_ = wishes(hall.room, fans, batch)
        await jar.send(replace(one, wanted_ms=None))

    await tip("alone")
    await tip("alone still")
    async with database.transaction() as session:
        here = hall.on(session)
        await here.offer(5_000)
        speaker = await here.speaker()
    await tip("beside a speaker")
    assert speaker.user_id is not None
    async with database.transaction() as session:
        assert await hall.on(session).earned(hall.host, speaker) == [25, 5]
        await forget_names(session, speaker.user_id, also=NOWHERE)
    await tip("alone again")
    async with database.transaction() as session:
        assert await hall.on(session).earned(hall.host, speaker) == [35, 5]
        assert await hall.on(session).broken() == []


async def test_a_stage_that_changes_between_two_batches_at_once(database: Database) -> None:
    """The first was told nothing of a room that it knew, and hears that after the second, which
    was told of the speaker who has come since."""
    hall, _, fans = await two_rooms(database)
    async with database.transaction() as session:
        here = hall.on(session)
        await here.offer(4_000)
        first = await here.speaker()
    known = Known()
    wanted = [
        replace(wishes(hall.room, fans[n : n + 1], str(n))[0], wanted_ms=None) for n in range(4)
    ]

    async def tip(raw: Any, number: int) -> None:
        assert await try_tips(raw, [wanted[number]], terms=TERMS, caps=CAPS, known=known)

    async with database.raw() as raw, database.raw() as other:
        await tip(raw, 0)
        late = _Late(raw)
        waiting = asyncio.create_task(tip(late, 1))
        await late.answered.wait()
        async with database.transaction() as session:
            second = await hall.on(session).speaker()
        await tip(other, 2)
        late.heard.set()
        await waiting
        await tip(raw, 3)
    async with database.transaction() as session:
        # of 10: twice 6 and 4, then twice 6 and 2 and 2
        assert await hall.on(session).earned(hall.host, first, second) == [24, 12, 4]
        assert await hall.on(session).broken() == []


class _Late:
    """A connection whose first answer is on its way until it is `heard`."""

    def __init__(self, raw: asyncpg.Connection) -> None:
        self._raw, self.answered, self.heard = raw, asyncio.Event(), asyncio.Event()

    async def fetchrow(self, query: str, *values: object) -> Any:
        found = await self._raw.fetchrow(query, *values)
        self.answered.set()
        await self.heard.wait()
        return found


@pytest.mark.parametrize("first", ["tips", "leaving"])
async def test_who_leaves_and_tips_take_rooms_in_one_order(database: Database, first: str) -> None:
    """Whichever comes first to the room that both lock first, which somebody else holds until the
    other waits too: were one of them to take the rooms in another order, it would hold the second
    one by then."""
    hall, other, fans = await two_rooms(database)
    asked = [*wishes(hall.room, fans[:1], "here"), *wishes(other.room, fans[1:2], "there")]
    lower = min(hall.room.id, other.room.id)

    async def tips() -> Sequence[object] | None:
        async with database.raw() as raw:
            return await try_tips(raw, asked, terms=TERMS, caps=CAPS, known=Known())

    async def leaving() -> None:
        async with database.transaction() as session:
            await forget_names(session, hall.room.host_id, also=NOWHERE)

    acts = (tips, leaving) if first == "tips" else (leaving, tips)
    running: list[asyncio.Task[object]] = []
    async with database.raw_transaction() as raw:
        await raw.execute("select from room where id = $1 for no key update", lower)
        for number, act in enumerate(acts, 1):
            running.append(asyncio.create_task(act()))

            async def waits(wanted: int = number) -> bool:
                return await waiting_in(raw) == wanted

            await eventually(waits)
    await asyncio.gather(*running)
    assert [len(await told_in(database, each.room)) for each in (hall, other)] == [1, 1]


async def test_nothing_is_tried_where_one_would_be_refused(database: Database) -> None:
    """Its key may have been booked, and only who looks for it knows."""
    hall, _, fans = await two_rooms(database)
    one, poor, *_ = wishes(hall.room, fans, "first")
    poor = replace(poor, wish=replace(poor.wish, stars=101))

    async def tried(*asked: Asked) -> bool:
        async with database.raw() as raw:
            return await try_tips(raw, asked, terms=TERMS, caps=CAPS, known=Known()) is not None

    assert not await tried(one, poor)
    assert await told_in(database, hall.room) == []
    assert await tried(one)
    assert not await tried(one)
    assert len(await told_in(database, hall.room)) == 1
