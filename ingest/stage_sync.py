"""Keeps the receiver's rooms in step with the database; while that is away, they stay."""

import asyncio
import contextlib
import itertools
import logging
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.listen import Listener
from ingest.attendance import attend
from ingest.continuation import continued, stored_lines, write_manifest
from ingest.folders import Folders
from ingest.journal_end import read_end
from ingest.known_rooms import KnownRooms
from ingest.live_room import LiveRoom
from ingest.manifest import Line
from ingest.marks import RecordingOpened
from ingest.membership import Membership
from ingest.placement import (
    Placement,
    claim,
    claim_delay,
    close_settled,
    epochs_of,
    is_stored,
    rooms_to_receive,
)
from ingest.receiver import Receiver
from ingest.recorder import Recorder
from ingest.room_clock import RoomClock, measure_offset, monotonic_us, unix_us
from ingest.withdrawals import withdrawals
from rooms.events import DURABLE_CHANNEL
from rooms.models import RoomState
from rooms.stage import Stage, close_recording, stage_of

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 0.5
REFRESH_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 10.0
"""A database that does not answer in this time is away."""
REREAD_BEATS: Final = 5
"""Every so many beats all rooms are read again, whatever was notified."""
DRAIN_SECONDS: Final = 1.0
DATABASE_AWAY = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


class StageSync:
    """One task reads stages, one room after the other; another beats and looks for new rooms."""

    def __init__(
        self,
        database: Database,
        listener: Listener,
        receiver: Receiver,
        *,
        data_dir: Path,
        membership: Membership,
    ) -> None:
        self._database = database
        self._listener = listener
        self._receiver = receiver
        self._folders = Folders(data_dir)
        self._known = KnownRooms(data_dir / "stages")
        self._membership = membership
        self._placements: dict[UUID, Placement] = {}
        self._claim_at: dict[UUID, float] = {}
        """Rooms that are left to less busy workers until then (on the loop's clock)."""

        self._stale: dict[UUID, None] = {}
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._away = False

    async def start(self) -> None:
        """Opens the rooms that are this worker's: as the database has them, else as last known."""
        if not await self._survey(reread=True):
            for room_id in self._known.room_ids():
                await self._open_known(room_id)
            return
        for room_id in list(self._stale):
            del self._stale[room_id]
            if not await self._try(room_id):
                await self._open_known(room_id)
                self._mark_stale(room_id)
        for room_id in self._known.room_ids():
            if room_id not in self._receiver.rooms:
                self._known.forget(room_id)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._read_stale())
            tasks.create_task(self._beat())

    async def drain(self) -> None:
        """No more rooms for this worker, whose process is about to end.

        Those that it has are handed over where another worker is there for them; else they
        wait for the next process on this disk.
        """
        with contextlib.suppress(*DATABASE_AWAY):
            async with asyncio.timeout(DRAIN_SECONDS), self._database.transaction() as session:
                await self._membership.retire(session)
        if self._membership.moving:
            self._leave_all()

    def _leave_all(self) -> None:
        """Every journal gets its end here; the packager brings it away and lets go of the room."""
        self._receiver.endpoint.drain()
        for room_id, room in list(self._receiver.rooms.items()):
            if not room.ended:
                room.leave(monotonic_us())
                log.info("room %s is left to another worker", room_id)
            if self._receiver.close_room(room_id):
                self._forget(room_id)

    def _forget(self, room_id: UUID) -> None:
        self._known.forget(room_id)
        self._placements.pop(room_id, None)

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
                    await self._survey(reread=True)
                else:
                    self._mark_stale(UUID(message["room_id"]))

    def _mark_stale(self, room_id: UUID) -> None:
        self._stale[room_id] = None
        self._wake.set()

    async def _beat(self) -> None:
        for beat_number in itertools.count():
            await self._survey(reread=beat_number % REREAD_BEATS == 0)
            await asyncio.sleep(self._membership.interval_s)

    async def _survey(self, *, reread: bool) -> bool:
        """Beats, and finds rooms to receive; False without a database.

        With `reread`, the rooms that are here already are read again too.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._database.transaction() as session:
                await self._membership.beat(session, sessions=len(self._receiver.endpoint.peers))
                await attend(session, self._receiver.attended)
                candidate = self._membership.candidate(self._folders.held())
                found = await rooms_to_receive(session, candidate)
                fenced = await self._fenced(session)
        except DATABASE_AWAY as error:
            self._note_away(error)
            return False
        self._membership.note_registered()
        self._note_back()
        here = self._receiver.rooms
        for room_id in fenced | (found | here.keys() if reread else found - here.keys()):
            self._mark_stale(room_id)
        if self._membership.moving:
            self._leave_all()
        return True

    async def _fenced(self, session: AsyncSession) -> set[UUID]:
        """Rooms here that another worker has taken over."""
        placed = {r: self._placements[r] for r in self._receiver.rooms}
        epochs = await epochs_of(session, [p.recording_id for p in placed.values()])
        return {r for r, p in placed.items() if epochs.get(p.recording_id, p.epoch) != p.epoch}

    async def _read_stale(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._stale:
                # Who is being heard comes first: they may have been muted, or have withdrawn.
                here = self._receiver.rooms
                room_id = next((r for r in self._stale if r in here), next(iter(self._stale)))
                del self._stale[room_id]
                if not await self._try(room_id):
                    self._stale[room_id] = None
                    await asyncio.sleep(RETRY_SECONDS)

    async def _try(self, room_id: UUID) -> bool:
        """False when the database could not say."""
        try:
            async with self._one_at_a_time, asyncio.timeout(ANSWER_SECONDS):
                await self._read(room_id)
        except DATABASE_AWAY as error:
            self._note_away(error)
            return False
        except Exception:
            # One room's fault must not end the others; the next reading may heal it.
            log.exception("the stage of room %s could not be taken over", room_id)
        return True

    def _note_away(self, error: Exception) -> None:
        self._membership.note_away()
        if not self._away:
            log.warning("the database is away (%s): rooms stay as they are", type(error).__name__)
        self._away = True

    def _note_back(self) -> None:
        if self._away:
            log.info("the database is back")
        self._away = False

    async def _read(self, room_id: UUID) -> None:
        room = self._receiver.rooms.get(room_id)
        async with self._database.transaction() as session:
            if room is not None and room_id in await self._fenced(session):
                self._give_up(room_id)
                return
            if room is None:
                if not await self._may_claim(session, room_id):
                    return
                candidate = self._membership.candidate(self._folders.held())
                placement = await claim(session, room_id, candidate)
                if placement is None:
                    await close_settled(session, room_id)
                    return
                self._placements[room_id] = placement
                # Whoever was connected to the process before gets the time to come back.
                await attend(session, [placement.recording_id])
            stage = await stage_of(session, room_id)
            if stage is None:
                return
            losing = room is not None and room.loses_consent(stage)
            withdrawn = await withdrawals(session, room_id) if losing else {}
        room = await self._take_over(room, stage, withdrawn)
        if room is None or room.ended:
            await self._end(room_id)

    async def _may_claim(self, session: AsyncSession, room_id: UUID) -> bool:
        """Whether it is this worker's turn; if not, the room is read again when it is."""
        loop = asyncio.get_running_loop()
        if room_id not in self._claim_at:
            delay = await claim_delay(session, room_id, self._membership.worker)
            self._claim_at[room_id] = loop.time() + delay
            if delay:
                loop.call_later(delay, self._mark_stale, room_id)
        if loop.time() < self._claim_at[room_id]:
            return False
        del self._claim_at[room_id]
        return True

    async def _take_over(
        self, room: LiveRoom | None, stage: Stage, withdrawn: dict[UUID, int]
    ) -> LiveRoom | None:
        """The room as it is now; None when its journal was ended by this process's predecessor."""
        placement = self._placements[stage.room_id]
        if room is None:
            room = await self._open(stage, placement)
            if room is None:
                return None
        elif stage != room.stage:
            # First, so that a room which has ended is never known as live once its end is written.
            self._known.save(stage, placement, room.recorder.clock.zero_us)
            self._receiver.endpoint.drain()
            room.apply(stage, withdrawn)
        self._receiver.enforce(room)
        return room

    async def _end(self, room_id: UUID) -> None:
        """The journal's end is written: nothing more will be received."""
        if room_id in self._receiver.rooms and not self._receiver.close_room(room_id):
            return
        async with self._database.transaction() as session:
            await close_recording(session, room_id)
        self._forget(room_id)

    def _give_up(self, room_id: UUID) -> None:
        """Another worker has the room. Its speakers are told to go, so that they ask anew."""
        log.warning("room %s belongs to another worker now", room_id)
        self._receiver.close_room(room_id, fenced=True)
        self._forget(room_id)

    async def _open_known(self, room_id: UUID) -> None:
        known = self._known.load(room_id)
        if known is not None and known.stage.state is RoomState.LIVE:
            log.warning("room %s goes on as last known", room_id)
            self._placements[room_id] = known.placement
            with contextlib.suppress(*DATABASE_AWAY):
                await self._open(known.stage, known.placement)

    async def _open(self, stage: Stage, placement: Placement) -> LiveRoom | None:
        folder = self._folders.journal(str(stage.recording_id))
        end = await asyncio.to_thread(read_end, folder)
        if end.ended or (stage.state is RoomState.ENDED and await self._is_stored(stage)):
            return None
        if not end.files:
            await self._continue(stage, placement)
        floor_us = max(end.last_room_us, placement.began_ms * 1000)
        clock = RoomClock(await self._zero(stage), floor_us=floor_us)
        self._known.save(stage, placement, clock.zero_us)
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
        self._receiver.add(room)
        log.info("receiving room %s", stage.room_id)
        return room

    async def _continue(self, stage: Stage, placement: Placement) -> None:
        """Where an earlier worker stored something, the packager begins with it."""
        spool = self._folders.spool(str(stage.recording_id))
        if spool.exists():
            return
        epoch = placement.epoch
        async with self._database.transaction() as session:
            lines = await stored_lines(session, stage.recording_id, epoch=epoch, up_to_epoch=epoch)
            if len(lines) == 1 and epoch == 1:
                return
            since: Line = await continued(session, stage, lines, epoch=epoch)
        await asyncio.to_thread(write_manifest, spool, [lines[0], since, *lines[1:]])
        log.info("room %s goes on from another worker", stage.room_id)

    async def _is_stored(self, stage: Stage) -> bool:
        """Asked after the journal was read: one that is gone may have been stored meanwhile."""
        async with self._database.transaction() as session:
            return await is_stored(session, stage.recording_id)

    async def _zero(self, stage: Stage) -> int:
        """Measured once per recording; a successor on the same boot counts on."""
        known = self._known.load(stage.room_id)
        if known is not None and known.stage.recording_id == stage.recording_id:
            return known.zero_us
        return (await measure_offset(self._database)).zero(stage.live_at)
