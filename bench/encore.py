"""Encore's media plane as it runs for people: PostgreSQL, receiving, packaging, rooms, uploads.

Processes are started one by one, so that each counts on its own.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self, TypeVar
from uuid import UUID

import httpx
import sqlalchemy as sa

import core.auth.models
import core.progress
import core.webhooks.models  # noqa: F401
from bench.cpu import pin
from bench.ending import stop
from bench.webrtc_client import ConnectFailed, WebRtcClient
from core.auth.models import Platform, User
from core.auth.principal import Kind, Principal
from core.auth.room_tokens import RoomClaims, issue_room_token
from core.db import Database
from core.ids import uuid7
from core.migrate import upgrade
from core.postgres import EmbeddedPostgres, free_port
from ingest.models import Recording, RecordingStatus
from ingest.placement import whip_base_url
from rooms.lifecycle import RoomDraft, create_room, end_room, go_live
from rooms.models import Participant, Role, Room

T = TypeVar("T")
SECRET: Final = "bench" * 8
WAIT_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.05


class NeverHappened(Exception):  # noqa: N818 - what happened, as the caller reads it
    """Something that was waited for did not come about in WAIT_SECONDS."""


@asynccontextmanager
async def postgres() -> AsyncIterator[tuple[str, int]]:
    """The URL of an empty, migrated database, and its server's pid."""
    with tempfile.TemporaryDirectory(prefix="encore-bench-postgres-") as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            url = await asyncio.to_thread(server.start)
            await upgrade(url)
            yield url, int((server.cluster / "postmaster.pid").read_text().splitlines()[0])
        finally:
            await asyncio.to_thread(server.stop)


@dataclass(frozen=True, slots=True)
class Hall:
    """A live room and the people on its stage."""

    room_id: UUID
    recording_id: UUID
    host: Principal
    speakers: Sequence[tuple[UUID, str]]
    """Participant and room token."""


class MediaPlane:
    """Receiving and packaging over an empty folder, on `cores`; `mixing` brings live HLS too."""

    def __init__(self, url: str, folder: Path, cores: set[int], *, mixing: bool) -> None:
        self._cores = cores
        self._environment = {
            **os.environ,
            "ENCORE_DATABASE_URL": url,
            "ENCORE_DATA_DIR": str(folder),
            "ENCORE_SECRET_KEY": SECRET,
            "ENCORE_INGEST_PORT": str(free_port()),
            "ENCORE_INGEST_UDP_PORT": "0",
            "ENCORE_EDGE_PORT": str(free_port()),
            "ENCORE_LOG_LEVEL": "WARNING",
        }
        self._database = Database(url, pool_size=4)
        self._http = httpx.AsyncClient(timeout=WAIT_SECONDS)
        self._commands = {
            "receive": ("web.cli", "process", "receive"),
            "package": ("web.cli", "process", "package") if mixing else ("bench.package_tracks",),
        }
        if mixing:
            self._commands["edge"] = ("web.cli", "process", "edge")
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._halls: list[Hall] = []

    async def __aenter__(self) -> Self:
        for name, command in self._commands.items():
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *command),
                stdin=asyncio.subprocess.PIPE,
                env=self._environment,
            )
            pin(process.pid, self._cores)
            self._processes[name] = process
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*map(stop, self._processes.values()))
        await self._http.aclose()
        await self._database.close()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes.values()]

    async def open_hall(self, speakers: int, age: float) -> Hall:
        """A live room in which `speakers` may publish, recorded, `age` seconds old.

        Rooms of different ages write the objects of their tracks at different times, as rooms
        of different people do: each moment then costs what it costs on average.
        """
        async with self._database.transaction() as session:
            platform = Platform(slug=f"bench-{uuid7().hex}", name="Bench")
            session.add(platform)
            await session.flush()
            people = [_user(platform.id, number) for number in range(speakers)]
            session.add_all(people)
            await session.flush()
            host = _principal(people[0])
            draft = RoomDraft(title="Bench")
            room = await create_room(session, principal=host, draft=draft)
            guests = [_guest(room.id, user) for user in people[1:]]
            session.add_all(guests)
            room = await go_live(session, principal=host, room_id=room.id)
            room.live_at = (room.live_at or datetime.now(UTC)) - timedelta(seconds=age)
            own = sa.select(Participant.id).where(
                Participant.room_id == room.id, Participant.role == Role.HOST
            )
            host_id = (await session.scalars(own)).one()
            consent = sa.update(Participant).where(Participant.id == host_id)
            await session.execute(consent.values(consented_at=sa.func.now()))
        ids = [host_id, *(guest.id for guest in guests)]
        tokens = [_token(room, user, own) for user, own in zip(people, ids, strict=True)]
        recording_id = room.recording_id or UUID(int=0)
        hall = Hall(room.id, recording_id, host, list(zip(ids, tokens, strict=True)))
        self._halls.append(hall)
        return hall

    async def publish(self, hall: Hall, client: WebRtcClient, seat: int) -> None:
        """The hall's speaker of that seat connects. Raises ConnectFailed, NeverHappened."""
        base_url = await _eventually(lambda: self._whip_base_url(hall))
        _, token = hall.speakers[seat]
        answer = await self._http.post(
            f"{base_url}/whip/{hall.room_id}",
            content=client.offer(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"},
        )
        if answer.status_code != httpx.codes.CREATED:
            raise ConnectFailed(f"WHIP answered {answer.status_code}: {answer.text}")
        await client.connect(answer.text)

    async def _whip_base_url(self, hall: Hall) -> str | None:
        async with self._database.transaction() as session:
            return await whip_base_url(session, hall.room_id)

    async def end(self) -> tuple[int, int]:
        """Ends all rooms, waits until they are stored: packets received and lost on all tracks."""
        async with self._database.transaction() as session:
            for hall in self._halls:
                await end_room(session, principal=hall.host, room_id=hall.room_id)
        return await _eventually(self._stored)

    async def _stored(self) -> tuple[int, int] | None:
        ids = [hall.recording_id for hall in self._halls]
        query = sa.select(
            sa.func.count(),
            sa.func.sum(Recording.packets_received),
            sa.func.sum(Recording.packets_lost),
        ).where(Recording.id.in_(ids), Recording.status == RecordingStatus.STORED)
        async with self._database.transaction() as session:
            count, received, lost = (await session.execute(query)).one()
        return (int(received), int(lost)) if count == len(ids) else None


def _user(platform_id: UUID, number: int) -> User:
    email = f"{uuid7().hex}@example.org"
    name = f"Speaker {number}"
    verified = datetime.now(UTC)
    return User(platform_id=platform_id, display_name=name, email=email, email_verified_at=verified)


def _principal(user: User) -> Principal:
    return Principal(
        kind=Kind.USER,
        platform_id=user.platform_id,
        user_id=user.id,
        display_name=user.display_name,
    )


def _guest(room_id: UUID, user: User) -> Participant:
    now = datetime.now(UTC)
    return Participant(
        id=uuid7(),
        room_id=room_id,
        user_id=user.id,
        display_name=user.display_name,
        role=Role.SPEAKER,
        joined_at=now,
        consented_at=now,
    )


def _token(room: Room, user: User, participant_id: UUID) -> str:
    claims = RoomClaims(
        platform_id=room.platform_id,
        user_id=user.id,
        room_id=room.id,
        display_name=user.display_name,
        role=Role.SPEAKER,
        participant_id=participant_id,
    )
    return issue_room_token(SECRET.encode(), claims, ttl=timedelta(minutes=30)).token


async def _eventually(probe: Callable[[], Awaitable[T | None]]) -> T:
    deadline = time.monotonic() + WAIT_SECONDS
    while (found := await probe()) is None:
        if time.monotonic() > deadline:
            raise NeverHappened(f"not within {WAIT_SECONDS:.0f} s")
        await asyncio.sleep(POLL_SECONDS)
    return found
