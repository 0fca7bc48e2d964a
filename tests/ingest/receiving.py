"""A real receiving process beside the test, and rooms as people would have made them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa
from pydantic import SecretStr

from core.auth.principal import Principal
from core.auth.room_tokens import RoomClaims, issue_room_token
from core.db import Database
from core.settings import Settings
from ingest.folders import Folders
from ingest.journal import Batch, JournalReader, Packet, journal_files
from ingest.marks import Mark, StreamOpened, from_event
from ingest.placement import whip_base_url
from ingest.receive import run
from rooms.lifecycle import RoomDraft, create_room, end_room, go_live
from rooms.models import RecordingState, Role, Room, RoomState
from rooms.moderation import change_role, set_muted
from rooms.participation import join_room, set_consent
from rooms.recording import set_recording
from tests.factories import as_user, make_platform, make_user

T = TypeVar("T")
SECRET = "s" * 32
DEADLINE_SECONDS = 30.0


async def eventually(probe: Callable[[], T]) -> T:
    """The first truthy answer of `probe`; fails after DEADLINE_SECONDS."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := probe()):
        assert time.monotonic() < deadline, "this never came about"
        await asyncio.sleep(0.01)
    return found


async def eventually_async(probe: Callable[[], Awaitable[T]]) -> T:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := await probe()):
        assert time.monotonic() < deadline, "this never came about"
        await asyncio.sleep(0.01)
    return found


def settings_for(url: str, data_dir: Path, *, udp_port: int = 0) -> Settings:
    return Settings(
        _env_file=None,
        database_url=SecretStr(url),
        data_dir=data_dir,
        secret_key=SecretStr(SECRET),
        ingest_port=0,
        ingest_udp_port=udp_port,
    )


@asynccontextmanager
async def receiving(settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    """`ingest.receive.run` in this loop until the block ends."""
    stop = asyncio.Event()
    process = asyncio.create_task(run(settings, stop))
    try:
        yield process
    finally:
        stop.set()
        await asyncio.wait_for(process, 5)


@dataclass
class Guest:
    principal: Principal
    participant_id: UUID
    token: str


class Hall:
    """One live room with people in it; every method is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.room_id = UUID(int=0)
        self.recording_id = UUID(int=0)
        self.host = Guest(Principal(), UUID(int=0), "")

    async def go_live(self, *, record: bool = True, alone: bool = True) -> None:
        """The only live room: those that earlier tests left would be received as well."""
        async with self.database.transaction() as session:
            if alone:
                await session.execute(
                    sa.update(Room)
                    .where(Room.state == RoomState.LIVE)
                    .values(
                        state=RoomState.ENDED,
                        ended_at=sa.func.now(),
                        duration_ms=0,
                        recording_closed_at=sa.func.now(),
                    )
                )
            user = await make_user(session, await make_platform(session), display_name="Host")
            principal = as_user(user)
            draft = RoomDraft(title="Hall", record_from_start=record)
            room = await create_room(session, principal=principal, draft=draft)
            room = await go_live(session, principal=principal, room_id=room.id)
            self.room_id, self.recording_id = room.id, room.recording_id or UUID(int=0)
            self.host = Guest(principal, UUID(int=0), "")

    async def guest(self, *, role: Role = Role.SPEAKER, consent: bool = True) -> Guest:
        async with self.database.transaction() as session:
            platform_id = self.host.principal.platform_id
            assert platform_id is not None
            user = await make_user(session, None, display_name="Guest")
            user.platform_id = platform_id
            await session.flush()
            principal = as_user(user)
            _, own = await join_room(session, principal=principal, room_id=self.room_id)
            if role is not Role.LISTENER:
                await change_role(
                    session,
                    principal=self.host.principal,
                    room_id=self.room_id,
                    participant_id=own.id,
                    role=role,
                )
        guest = Guest(principal, own.id, self.token(principal, own.id, role))
        if consent:
            await self.consent(guest, given=True)
        return guest

    def token(self, principal: Principal, participant_id: UUID | None, role: str) -> str:
        assert principal.platform_id is not None
        assert principal.user_id is not None
        claims = RoomClaims(
            platform_id=principal.platform_id,
            user_id=principal.user_id,
            room_id=self.room_id,
            display_name="Guest",
            role=role,
            participant_id=participant_id,
        )
        return issue_room_token(SECRET.encode(), claims, ttl=timedelta(minutes=10)).token

    async def consent(self, guest: Guest, *, given: bool) -> None:
        async with self.database.transaction() as session:
            await set_consent(
                session, principal=guest.principal, room_id=self.room_id, consent=given
            )

    async def demote(self, guest: Guest) -> None:
        async with self.database.transaction() as session:
            await change_role(
                session,
                principal=self.host.principal,
                room_id=self.room_id,
                participant_id=guest.participant_id,
                role=Role.LISTENER,
            )

    async def mute(self, guest: Guest) -> None:
        async with self.database.transaction() as session:
            await set_muted(
                session,
                principal=guest.principal,
                room_id=self.room_id,
                participant_id=guest.participant_id,
                muted=True,
            )

    async def record(self, state: RecordingState) -> None:
        async with self.database.transaction() as session:
            await set_recording(
                session, principal=self.host.principal, room_id=self.room_id, state=state
            )

    async def end(self) -> int:
        """The room's length in milliseconds."""
        async with self.database.transaction() as session:
            room = await end_room(session, principal=self.host.principal, room_id=self.room_id)
            return room.duration_ms or 0

    async def whip_url(self) -> str:
        """Once a worker has the room."""

        async def placed() -> str | None:
            async with self.database.transaction() as session:
                return await whip_base_url(session, self.room_id)

        return f"{await eventually_async(placed)}/whip/{self.room_id}"

    def journal(self, data_dir: Path) -> "Journal":
        return Journal(Folders(data_dir).journal(str(self.recording_id)))


class Journal:
    """What a recording's journal holds now, read afresh at each question."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def batches(self) -> list[Batch]:
        found: list[Batch] = []
        for path in journal_files(self.folder):
            reader = JournalReader(path)
            while batches := reader.read():
                found += batches
            reader.close()
        return found

    def marks(self) -> list[Mark]:
        records = [r for b in self.batches() for r in b.records if not isinstance(r, Packet)]
        return [mark for mark in map(from_event, records) if mark is not None]

    def packets(self) -> list[Packet]:
        return [r for b in self.batches() for r in b.records if isinstance(r, Packet)]

    def after_restart(self) -> list[Packet]:
        """The packets of the newest file."""
        newest = JournalReader(journal_files(self.folder)[-1])
        batches = newest.read()
        newest.close()
        return [r for b in batches for r in b.records if isinstance(r, Packet)]

    def streams(self, participant_id: UUID) -> list[int]:
        return [
            m.stream
            for m in self.marks()
            if isinstance(m, StreamOpened) and m.participant_id == str(participant_id)
        ]

    def said(self, participant_id: UUID) -> list[Packet]:
        streams = set(self.streams(participant_id))
        return [p for p in self.packets() if p.stream in streams]
