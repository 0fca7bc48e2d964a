"""People in every role, with the credentials they send over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import Platform, User
from core.auth.platforms import ensure_default_platform
from core.auth.room_tokens import RoomClaims, issue_room_token
from core.db import Database
from rooms.groups import add_member
from rooms.lifecycle import go_live
from rooms.models import Participant, Role, Room
from rooms.participation import join_room
from tests.factories import as_user, make_api_key, make_platform, make_user, sign_in
from tests.rooms.conftest import House
from tests.rooms.serving import SECRET, in_process, make_app

Json = dict[str, Any]


@dataclass
class World:
    """Encore's own platform with people in every role, and a second platform."""

    database: Database
    client: httpx.AsyncClient
    platform: Platform
    people: dict[str, User]
    bearers: dict[str, str]

    async def room(self, *, group: bool = False, state: str = "live") -> dict[str, UUID]:
        """A fresh room; returns the ids that paths are made of."""
        async with self.database.transaction() as session:
            house = House(session, self.platform, self.people["host"])
            room = await (house.group_room() if group else house.room())
            if group and room.group_id is not None:
                await self._add_members(session, house, room.group_id)
            ids = {"room": room.id, "group": room.group_id or uuid4()}
            if state == "live":
                ids |= await self._seat(session, house, room)
        self.bearers["token"] = self._token(room, "user")
        self.bearers["other_token"] = self._token(room, "user", room_id=uuid4())
        return ids

    async def _add_members(self, session: AsyncSession, house: House, group_id: UUID) -> None:
        for name in ("listener", "speaker", "cohost"):
            await add_member(
                session,
                principal=house.hosting,
                group_id=group_id,
                user_id=self.people[name].id,
            )

    async def _seat(self, session: AsyncSession, house: House, room: Room) -> dict[str, UUID]:
        await go_live(session, principal=house.hosting, room_id=room.id)
        ids = {}
        for name in ("listener", "speaker", "cohost"):
            person = as_user(self.people[name])
            _, participant = await join_room(session, principal=person, room_id=room.id)
            if name != "listener":
                participant.role = Role(name)
            ids[name] = participant.id
        target = await make_user(session, self.platform, display_name="Target")
        place = Participant(
            room_id=room.id,
            user_id=target.id,
            display_name="Target",
            role=Role.SPEAKER,
            joined_at=room.live_at,
        )
        session.add(place)
        await session.flush()
        return ids | {"target": place.id, "target_user": target.id}

    def _token(self, room: Room, name: str, *, room_id: UUID | None = None) -> str:
        claims = RoomClaims(
            platform_id=self.platform.id,
            user_id=self.people[name].id,
            room_id=room_id or room.id,
            display_name="Ada",
            role="listener",
        )
        return issue_room_token(SECRET, claims).token

    async def call(
        self, caller: str, method: str, path: str, body: Json | None = None
    ) -> httpx.Response:
        headers = {}
        if caller != "stranger":
            headers["Authorization"] = f"Bearer {self.bearers[caller]}"
        return await self.client.request(method, path, json=body, headers=headers)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with database.transaction() as session:
        platform = await session.get_one(Platform, await ensure_default_platform(session))
        other = await make_platform(session)
        names = ("user", "listener", "speaker", "cohost", "host")
        people = {n: await make_user(session, platform, display_name=n) for n in names}
        people["admin"] = await make_user(session, platform, admin=True)
        people["other_host"] = await make_user(session, other)
        bearers = {name: await sign_in(session, user) for name, user in people.items()}
        _, bearers["key"] = await make_api_key(session, platform)
        _, bearers["other_key"] = await make_api_key(session, other)
    async with in_process(make_app(database, tmp_path)) as client:
        yield World(database, client, platform, people, bearers)
