"""A name that is taken out of rooms stays out of what happened in them."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from core.auth.leaving import NOBODY
from rooms.groups import create_group
from rooms.leaving import call_off, forget_names, hand_on_groups
from rooms.models import GroupMember, Participant, Room, RoomEvent
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


async def test_only_a_course_that_changes_is_outdated(house: House) -> None:
    """Who only listened has no part in it: caches of it stay."""
    room = await house.live_room()
    speaker, _ = await house.speaker(room)
    listener, _ = await house.listener(room)
    await house.session.refresh(room)
    outdated = []
    for each in (listener, speaker):
        assert each.user_id is not None
        await forget_names(house.session, each.user_id, also=NOWHERE)
        before = room.course_version
        await house.session.refresh(room)
        outdated.append(room.course_version - before)
    assert outdated == [0, 1]


async def test_groups_are_handed_on(house: House) -> None:
    """To whoever has been in them longest; one that nobody is left in is the platform's."""
    members = [await house.user(name) for name in ("Second", "Third")]
    alone, shared = [
        await create_group(house.session, principal=house.hosting, name=name)
        for name in ("Alone", "Shared")
    ]
    for age, member in enumerate(members):
        assert member.user_id is not None
        added = datetime.now(UTC) - timedelta(days=9 - age)
        row = GroupMember(group_id=shared.id, user_id=member.user_id, added_at=added)
        house.session.add(row)
    await house.session.flush()
    await hand_on_groups(house.session, house.host.id)
    await house.session.refresh(alone)
    await house.session.refresh(shared)
    assert (alone.owner_id, shared.owner_id) == (None, members[0].user_id)
    listed = sa.select(GroupMember.user_id).where(GroupMember.group_id.in_([alone.id, shared.id]))
    assert set(await house.session.scalars(listed)) == {member.user_id for member in members}


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
