"""Rooms and people for the tests of this package."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import Platform, User
from core.auth.principal import Kind, Principal, Scope
from rooms.groups import create_group
from rooms.lifecycle import RoomDraft, create_room, go_live
from rooms.models import Participant, Role, Room, RoomState, Visibility
from rooms.moderation import change_role
from rooms.participation import join_room
from tests.factories import as_user, make_platform, make_user


@dataclass
class House:
    """One platform with a host."""

    session: AsyncSession
    platform: Platform
    host: User

    def on(self, session: AsyncSession) -> "House":
        """The same house in another transaction."""
        return House(session, self.platform, self.host)

    async def user(self, name: str = "Guest", **values: Any) -> Principal:
        return as_user(await make_user(self.session, self.platform, display_name=name, **values))

    @property
    def hosting(self) -> Principal:
        return as_user(self.host)

    @property
    def key(self) -> Principal:
        scopes = frozenset({Scope.ROOMS_READ, Scope.ROOMS_WRITE})
        return Principal(kind=Kind.API_KEY, platform_id=self.platform.id, scopes=scopes)

    @property
    def stranger(self) -> Principal:
        return Principal(platform_id=self.platform.id)

    async def room(self, **values: Any) -> Room:
        draft = RoomDraft(**{"title": "A room"} | values)
        return await create_room(self.session, principal=self.hosting, draft=draft)

    async def live_room(self, **values: Any) -> Room:
        room = await self.room(**values)
        return await go_live(self.session, principal=self.hosting, room_id=room.id)

    async def group_room(self, **values: Any) -> Room:
        """Of a group that the host owns."""
        group = await create_group(self.session, principal=self.hosting, name="Friends")
        return await self.room(visibility=Visibility.GROUP, group_id=group.id, **values)

    async def listener(self, room: Room, name: str = "Guest") -> tuple[Principal, Participant]:
        guest = await self.user(name)
        _, participant = await join_room(self.session, principal=guest, room_id=room.id)
        return guest, participant

    async def speaker(self, room: Room, role: Role = Role.SPEAKER) -> tuple[Principal, Participant]:
        guest, participant = await self.listener(room, role.value)
        await change_role(
            self.session,
            principal=self.hosting,
            room_id=room.id,
            participant_id=participant.id,
            role=role,
        )
        return guest, participant

    async def bare_room(self, **values: Any) -> Room:
        """A row, without what `create_room` does besides."""
        defaults = {
            "platform_id": self.platform.id,
            "host_id": self.host.id,
            "title": "A room",
            "visibility": Visibility.PUBLIC,
            "state": RoomState.SCHEDULED,
        }
        room = Room(**defaults | values)
        self.session.add(room)
        await self.session.flush()
        return room


async def make_house(session: AsyncSession) -> House:
    platform = await make_platform(session)
    host = await make_user(session, platform, display_name="Host")
    return House(session, platform, host)


@pytest.fixture
async def house(session: AsyncSession) -> House:
    return await make_house(session)
