"""Keeps the receiver's rooms in step with the database; while that is away, they stay."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from core.db import Database
from core.listen import Listener
from ingest.folders import Folders
from ingest.journal_end import read_end
from ingest.live_room import LiveRoom
from ingest.marks import RecordingOpened
from ingest.placement import HEARTBEAT_SECONDS, Placement, beat, claim
from ingest.receiver import Receiver
from ingest.recorder import Recorder
from ingest.room_clock import RoomClock, measure_offset, unix_us
from rooms.events import DURABLE_CHANNEL
from rooms.models import RoomState
from rooms.stage import Stage, close_recording, live_rooms, stage_of

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 0.5
REFRESH_SECONDS: Final = 2.0
DATABASE_AWAY = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


async def _until(attempt: Callable[[], Awaitable[bool]]) -> None:
    done = await attempt()
    while not done:
        await asyncio.sleep(RETRY_SECONDS)
        done = await attempt()


class StageSync:
    """One task reads stages, one room after the other; another beats and looks for new rooms."""

    def __init__(
        self,
        database: Database,
        listener: Listener,
        receiver: Receiver,
        *,
        folders: Folders,
        worker: UUID,
        whip_url: str,
    ) -> None:
        self._database = database
        self._listener = listener
        self._receiver = receiver
        self._folders = folders
        self._worker = worker
        self._whip_url = whip_url
        self._stale: dict[UUID, None] = {}
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._away = False

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._read_stale())
            tasks.create_task(self._beat())

    async def start(self) -> None:
        """Opens the rooms that are this worker's; waits as long as the database is away."""
        await _until(self._survey)
        for room_id in list(self._stale):
            del self._stale[room_id]
            await _until(functools.partial(self._try, room_id))

    async def refresh(self, room_id: UUID) -> None:
        """Reads one room's stage now; gives up after REFRESH_SECONDS, leaving it as it was."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REFRESH_SECONDS):
                await self._try(room_id)

    async def _listen(self) -> None:
        async with self._listener.subscribe(DURABLE_CHANNEL) as inbox:
            while True:
                message = await inbox.get()
                if message.get("resync"):
                    await self._survey()
                else:
                    self._mark_stale(UUID(message["room_id"]))

    def _mark_stale(self, room_id: UUID) -> None:
        self._stale[room_id] = None
        self._wake.set()

    async def _beat(self) -> None:
        while True:
            await self._survey()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _survey(self) -> bool:
        """Beats, and has every room read again that is live or ours; False without a database."""
        try:
            async with self._database.transaction() as session:
                await beat(session, self._worker, self._whip_url)
                found = await live_rooms(session)
        except DATABASE_AWAY as error:
            self._note_away(error)
            return False
        self._note_back()
        for room_id in (*found, *self._receiver.rooms):
            self._mark_stale(room_id)
        return True

    async def _read_stale(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._stale:
                room_id = next(iter(self._stale))
                del self._stale[room_id]
                if not await self._try(room_id):
                    self._stale[room_id] = None
                    await asyncio.sleep(RETRY_SECONDS)

    async def _try(self, room_id: UUID) -> bool:
        try:
            async with self._one_at_a_time:
                await self._read(room_id)
        except DATABASE_AWAY as error:
            self._note_away(error)
            return False
        return True

    def _note_away(self, error: Exception) -> None:
        if not self._away:
            log.warning(
                "the database is away (%s): rooms go on as last known", type(error).__name__
            )
        self._away = True

    def _note_back(self) -> None:
        if self._away:
            log.info("the database is back")
        self._away = False

    async def _read(self, room_id: UUID) -> None:
        room = self._receiver.rooms.get(room_id)
        placement = None
        async with self._database.transaction() as session:
            if room is None:
                placement = await claim(session, room_id, self._worker)
            stage = await stage_of(session, room_id)
        if stage is None:
            return
        if room is not None:
            room.apply(stage)
        elif placement is not None:
            room = await self._open(stage, placement)
        if room is not None:
            self._receiver.enforce(room)
        if stage.state is RoomState.ENDED:
            await self._end(room_id, room)

    async def _end(self, room_id: UUID, room: LiveRoom | None) -> None:
        """The journal's end is written: nothing more will be received."""
        mine = room is not None
        self._receiver.close_room(room_id)
        if mine:
            async with self._database.transaction() as session:
                await close_recording(session, room_id)

    async def _open(self, stage: Stage, placement: Placement) -> LiveRoom:
        folder = self._folders.journal(str(stage.recording_id))
        end = await asyncio.to_thread(read_end, folder)
        offset = await measure_offset(self._database)
        clock = RoomClock(offset.zero(stage.live_at), floor_us=end.last_room_us)
        opened = RecordingOpened(
            recording_id=str(stage.recording_id),
            room_id=str(stage.room_id),
            platform_id=str(stage.platform_id),
            epoch=placement.epoch,
            revision=placement.revision,
            live_at_us=unix_us(stage.live_at),
            restart=end.files > 0,
            last_room_us=end.last_room_us,
        )
        room = LiveRoom(stage, Recorder(folder, opened, clock), end)
        self._receiver.rooms[stage.room_id] = room
        log.info("receiving room %s", stage.room_id)
        return room
