"""A name that is taken out of rooms stays out of what happened in them."""

import sqlalchemy as sa

from core.auth.leaving import NOBODY
from rooms.leaving import call_off, forget_names
from rooms.models import Participant, Room, RoomEvent
from tests.rooms.conftest import House
from transcripts.models import TrackLanguage

NOWHERE = sa.select(Room.id).where(sa.false())


async def test_rooms_forget_one_name_and_keep_the_others(house: House) -> None:
    room = await house.live_room()
    guest, _ = await house.speaker(room)
    assert guest.user_id is not None
    await forget_names(house.session, guest.user_id, also=NOWHERE)
    people = await house.session.execute(
        sa.select(Participant.user_id, Participant.display_name)
        .where(Participant.room_id == room.id)
        .execution_options(populate_existing=True)
    )
    names = dict(people.all())
    assert names[guest.user_id] == NOBODY
    assert names[house.host.id] != NOBODY
    events = sa.select(RoomEvent.data).where(RoomEvent.room_id == room.id)
    told = (await house.session.scalars(events)).all()
    said = {data["user_id"]: data["display_name"] for data in told if "display_name" in data}
    assert said[str(guest.user_id)] == NOBODY
    assert said[str(house.host.id)] != NOBODY


async def test_rooms_that_have_not_begun_are_called_off(house: House) -> None:
    """With what their people chose before."""
    waiting, live = await house.room(), await house.live_room()
    people = sa.select(Participant.id).where(Participant.room_id == waiting.id)
    host_id = (await house.session.scalars(people)).one()
    house.session.add(TrackLanguage(participant_id=host_id, language="it"))
    await house.session.flush()
    for _ in range(2):
        await call_off(house.session, house.host.id)
    mine = sa.select(Room.id).where(Room.host_id == house.host.id)
    assert (await house.session.scalars(mine)).all() == [live.id]
    assert waiting.id != live.id
