from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import uuid7
from rooms.events import EventKind, announce, record_event
from rooms.models import RoomState
from rooms.stage import RecordMark, close_recording, live_rooms, stage_of
from tests.rooms.conftest import House

LIVE = {"state": RoomState.LIVE}


def live_since(**ago: float) -> dict[str, object]:
    return {**LIVE, "live_at": datetime.now(UTC) - timedelta(**ago), "recording_id": uuid7()}


async def test_events_are_numbered_from_one_without_holes(
    session: AsyncSession, house: House
) -> None:
    room = await house.bare_room()
    seqs = [(await record_event(session, room, EventKind.ROOM_UPDATED)).seq for _ in range(3)]
    assert seqs == [1, 2, 3]
    assert room.event_seq == 3


async def test_a_live_room_stamps_its_clock(session: AsyncSession, house: House) -> None:
    room = await house.bare_room(**live_since(seconds=90))
    event = await record_event(session, room, EventKind.HAND_RAISED)
    assert event.room_ms is not None
    assert 90_000 <= event.room_ms < 120_000


async def test_outside_of_live_there_is_no_room_time(session: AsyncSession, house: House) -> None:
    room = await house.bare_room()
    assert (await record_event(session, room, EventKind.ROOM_CREATED)).room_ms is None


async def test_a_clock_set_back_moves_no_event_back(session: AsyncSession, house: House) -> None:
    room = await house.bare_room(**live_since(seconds=10), event_ms=3_600_000)
    assert (await record_event(session, room, EventKind.HAND_RAISED)).room_ms == 3_600_000


async def test_a_given_room_time_is_kept(session: AsyncSession, house: House) -> None:
    room = await house.bare_room(**live_since(seconds=10))
    assert (await record_event(session, room, "tip.sent", room_ms=7)).room_ms == 7


async def test_a_notification_follows_the_commit_only(
    session: AsyncSession, house: House, raw: asyncpg.Connection
) -> None:
    heard: list[object] = []
    await raw.add_listener("encore_room", lambda *args: heard.append(args[-1]))
    room = await house.bare_room()
    await record_event(session, room, EventKind.ROOM_CREATED)
    await raw.execute("select 1")
    assert heard == []


async def test_an_ephemeral_event_too_large_to_notify_is_refused(session: AsyncSession) -> None:
    with pytest.raises(ValueError, match="at most"):
        await announce(session, uuid4(), "levels", {"x": "y" * 8000})


async def test_the_stage_lists_marks_in_order_and_the_end(
    session: AsyncSession, house: House
) -> None:
    room = await house.bare_room(**live_since(seconds=60))
    await record_event(session, room, EventKind.RECORDING_STARTED, room_ms=0)
    await record_event(session, room, EventKind.RECORDING_PAUSED, room_ms=20_000)
    await record_event(session, room, EventKind.HAND_RAISED)
    await record_event(session, room, EventKind.RECORDING_RESUMED, room_ms=61_000)
    stage = await stage_of(session, room.id)
    assert stage is not None
    assert stage.marks == (
        RecordMark(0, on=True),
        RecordMark(20_000, on=False),
        RecordMark(61_000, on=True),
    )
    assert (stage.state, stage.ended_room_ms, stage.speakers) == (RoomState.LIVE, None, {})


async def test_there_is_no_stage_before_go_live(session: AsyncSession, house: House) -> None:
    assert await stage_of(session, (await house.bare_room()).id) is None
    assert await stage_of(session, uuid4()) is None


async def test_an_ended_room_is_received_until_its_recording_is_closed(
    session: AsyncSession, house: House
) -> None:
    room = await house.bare_room(**live_since(seconds=60))
    assert room.id in await live_rooms(session)
    await close_recording(session, room.id)
    assert room.id in await live_rooms(session), "a live room's recording can't be closed"
    room.state, room.ended_at = RoomState.ENDED, datetime.now(UTC)
    await session.flush()
    assert room.id in await live_rooms(session)
    await close_recording(session, room.id)
    assert room.id not in await live_rooms(session)


async def test_an_abandoned_recording_drops_out_after_a_day(
    session: AsyncSession, house: House
) -> None:
    ended = datetime.now(UTC) - timedelta(days=2)
    room = await house.bare_room(
        state=RoomState.ENDED, live_at=ended, ended_at=ended, recording_id=uuid7()
    )
    assert room.id not in await live_rooms(session)
