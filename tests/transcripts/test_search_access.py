"""Nothing that a caller may not hear is ever found, counted or suggested: the whole table."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import STRANGER, Kind, Principal, Scope
from core.errors import Problem
from rooms.access import Action
from rooms.groups import create_group
from rooms.models import GroupMember, Participant, Room, Visibility
from rooms.queries import room_for
from tests.rooms.conftest import House, make_house
from tests.transcripts.archive import Archive, make_archive
from transcripts.found import FoundRoom
from transcripts.ranking import Sort
from transcripts.reach import Effort

WORDS = {
    "public": "lighthouse",
    "unlisted": "submarine",
    "group": "carpenter",
    "other": "elephant",
    "silent": "volcano",
}
"""The rooms, each with a word that is said in it alone; in `silent` without consent."""

READS = Effort(common=0)
MISSPELT = {
    "public": "lighthuose",
    "unlisted": "submariine",
    "group": "carpennter",
    "other": "elefphant",
    "silent": "volccano",
}


@dataclass
class World:
    archive: Archive
    rooms: dict[str, Room]
    callers: dict[str, Principal]

    def name_of(self, room: FoundRoom) -> str:
        return next(name for name, one in self.rooms.items() if one.id == room.id)


@pytest.fixture
async def world(session: AsyncSession, house: House, archive: Archive) -> World:
    group = await create_group(session, principal=house.hosting, name="Friends")
    other = await make_archive(await make_house(session))
    places: dict[str, dict[str, Any]] = {
        "public": {},
        "unlisted": {"visibility": Visibility.UNLISTED},
        "group": {"visibility": Visibility.GROUP, "group_id": group.id},
        "silent": {},
    }
    rooms = {
        name: await archive.recording(f"ship and {WORDS[name]}", **place)
        for name, place in places.items()
    }
    rooms["other"] = await other.recording(f"ship and {WORDS['other']}")
    await session.execute(
        sa.update(Participant)
        .where(Participant.room_id == rooms["silent"].id)
        .values(consented_at=None)
    )
    member, removed = await house.user("Member"), await house.user("Removed")
    for one in (member, removed):
        session.add(GroupMember(group_id=group.id, user_id=one.user_id))
    gone = await archive.speaker(rooms["group"], "Removed", removed.user_id)
    gone.removed_at = datetime.now(UTC)
    await session.flush()
    return World(
        archive, rooms, await _callers(house, other.house, rooms, member, removed, group.key)
    )


async def _callers(
    house: House,
    other: House,
    rooms: dict[str, Room],
    member: Principal,
    removed: Principal,
    key: str,
) -> dict[str, Principal]:
    guest = await house.user("Guest")
    token = replace(guest, kind=Kind.ROOM_TOKEN, groups=frozenset({key}))
    reading = frozenset({Scope.ROOMS_READ, Scope.RECORDINGS_READ})
    return {
        "nobody": STRANGER,
        "stranger": house.stranger,
        "guest": guest,
        "member": member,
        "removed": removed,
        "host": house.hosting,
        "admin": await house.user("Admin", admin=True),
        "other_admin": await other.user("Admin", admin=True),
        "group_token": replace(token, room_id=rooms["group"].id),
        "foreign_token": replace(token, room_id=rooms["public"].id),
        "unlisted_token": replace(token, room_id=rooms["unlisted"].id, groups=frozenset()),
        "key": replace(house.key, scopes=reading),
        "key_without_rooms": replace(house.key, scopes=frozenset({Scope.RECORDINGS_READ})),
    }


HEARS = {
    "nobody": "",
    "stranger": "public",
    "guest": "public",
    "member": "public group",
    "removed": "public",
    "host": "public unlisted group",
    "admin": "public unlisted group",
    "other_admin": "other",
    "group_token": "public group",
    "foreign_token": "public",
    "unlisted_token": "public",
    "key": "public unlisted group",
    "key_without_rooms": "public",
}


@pytest.mark.parametrize("caller", HEARS)
async def test_a_caller_finds_exactly_what_he_hears(
    world: World, session: AsyncSession, caller: str
) -> None:
    principal, heard = world.callers[caller], set(HEARS[caller].split())
    assert await rooms_open_to(principal, world, session) - {"silent"} == heard
    for wanted in ({}, {"sort": Sort.DATE}, {"prefix": True}, {"limit": 1}, {"effort": READS}):
        found = await world.archive.find("ship", principal, **wanted)
        names = {world.name_of(one.room) for one in found.recordings}
        assert names <= heard
        assert found.total is not None
        assert (found.total.recordings, found.total.matches) == (len(heard), len(heard))
        assert names == heard or "limit" in wanted
    for name, room in world.rooms.items():
        suggested = await world.archive.find(MISSPELT[name], principal)
        assert suggested.recordings == []
        assert suggested.did_you_mean == (WORDS[name] if name in heard else None)
        for filters in (
            {"recording_id": room.recording_id},
            {"room_id": room.id, "host_id": room.host_id},
        ):
            found = await world.archive.find("ship or " + WORDS[name], principal, **filters)
            assert bool(found.recordings) == (name in heard), "no filter opens what is not heard"


async def rooms_open_to(principal: Principal, world: World, session: AsyncSession) -> set[str]:
    """As is decided for one room."""
    heard = set()
    for name, room in world.rooms.items():
        try:
            for action in (Action.FIND, Action.LISTEN):
                await room_for(session, principal, room.id, action)
        except Problem:
            continue
        heard.add(name)
    return heard


Change = Callable[[World], None]


def hide(world: World) -> None:
    world.rooms["public"].visibility = Visibility.UNLISTED


def show(world: World) -> None:
    world.rooms["unlisted"].visibility = Visibility.PUBLIC


@pytest.mark.parametrize(("change", "heard"), [(hide, set()), (show, {"public", "unlisted"})])
async def test_a_change_of_visibility_shows_at_once(
    world: World, session: AsyncSession, change: Change, heard: set[str]
) -> None:
    change(world)
    await session.flush()
    found = await world.archive.find("ship")
    assert {world.name_of(one.room) for one in found.recordings} == heard


async def test_leaving_a_group_shows_at_once(world: World, session: AsyncSession) -> None:
    await session.execute(sa.delete(GroupMember))
    found = await world.archive.find("ship", world.callers["member"])
    assert {world.name_of(one.room) for one in found.recordings} == {"public"}


async def test_consent_shows_at_once(world: World, session: AsyncSession) -> None:
    await session.execute(sa.update(Participant).values(consented_at=datetime.now(UTC)))
    found = await world.archive.find("ship")
    assert {world.name_of(one.room) for one in found.recordings} == {"public", "silent"}
