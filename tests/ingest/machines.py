"""Machines with a disk each, one database, one store: a recording that moves between them."""

import asyncio
import contextlib
import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.storage import ObjectStore
from ingest.continuation import continued, stored_lines, write_manifest
from ingest.fencing import set_aside
from ingest.fleet import beat
from ingest.folders import Folders
from ingest.journal import MAGIC
from ingest.manifest import (
    Ended,
    HandedOver,
    ManifestReader,
    SegmentWritten,
)
from ingest.models import Gap, IngestWorker, Recording, RecordingEpoch, Rendition, Segment
from ingest.packager import Packager
from ingest.placement import Candidate, Placement, claim
from ingest.salvaging import bring_in
from ingest.uploader import Patience, Uploader
from rooms.events import EventKind, record_event
from rooms.models import Participant, Role, Room
from rooms.stage import stage_of
from tests.ingest.journals import JournalMaker
from tests.ingest.listening import Heard, decode_bytes
from tests.ingest.recorded import placed_recording

HASTE = Patience(poll=0.01, first_backoff=0.01, longest_backoff=0.05, spool_grace=0)


@dataclass
class Machine:
    """A worker's disk, with its packager and uploader, run by hand."""

    folders: Folders
    worker: UUID
    maker: JournalMaker

    def receive(self, *, first: float, last: float) -> None:
        """What arrived between two moments lies in its journal."""
        path = self.folders.journal(self.maker.recording_id) / "00000001.journal"
        if not path.exists():
            path.parent.mkdir(parents=True)
            path.write_bytes(MAGIC + self.maker.opened(first, restart=False))
        with path.open("ab") as file:
            file.write(b"".join(self.maker.batches(first=first, last=last)))

    def package(self) -> None:
        with contextlib.closing(Packager(self.folders, self.maker.recording_id)) as packager:
            while packager.step(0):
                pass

    async def store(self, database: Database, store: ObjectStore) -> None:
        """Uploads what the manifest names; ends when nothing is left to be done."""
        reader = ManifestReader(self.folders.manifest(self.maker.recording_id))
        lines = reader.read()
        named = sum(isinstance(x, SegmentWritten) for x in lines)
        over = isinstance(lines[-1], Ended | HandedOver)
        uploader = Uploader(database, store, self.folders, self.maker.recording_id, HASTE)
        task = asyncio.create_task(uploader.run())
        try:
            async with asyncio.timeout(20):
                while not task.done() and (  # noqa: ASYNC110 - rows are polled
                    over or await self._rows(database) < named
                ):
                    await asyncio.sleep(0.01)
        finally:
            if not task.done():
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _rows(self, database: Database) -> int:
        async with database.transaction() as session:
            count = (
                sa.select(sa.func.count())
                .select_from(Segment)
                .join(Rendition)
                .where(Rendition.recording_id == UUID(self.maker.recording_id))
            )
            return await session.scalar(count) or 0


@dataclass
class Recorded:
    """The recording as its rows have it."""

    revision: int
    segments: dict[str, list[Segment]]
    gaps: list[Gap]
    init_keys: dict[str, str]

    def check(self) -> None:
        """Every rendition counts from 0, without a hole and without an overlap."""
        for rows in self.segments.values():
            assert [row.sequence for row in rows] == list(range(len(rows)))
            for before, row in itertools.pairwise(rows):
                assert row.media_start == before.media_start + before.samples

    async def hear(self, store: ObjectStore, rendition: str) -> Heard:
        keys = [self.init_keys[rendition], *(s.object_key for s in self.segments[rendition])]
        return decode_bytes(b"".join([await store.get(key) for key in keys]))


@dataclass
class Site:
    """A room that went live `age_s` ago; its first machine has it."""

    database: Database
    store: ObjectStore
    root: Path
    maker: JournalMaker
    speakers: list[str]
    machines: list[Machine] = field(default_factory=list)

    @property
    def recording_id(self) -> UUID:
        return UUID(self.maker.recording_id)

    async def machine(self) -> Machine:
        """Another one, alive, with a journal of its own to fill."""
        number = len(self.machines) + 1
        async with self.database.transaction() as session:
            if number == 1:
                recording = await session.get_one(Recording, self.recording_id)
                worker = recording.worker_id
            else:
                worker = UUID(int=self.recording_id.int + number)
                await beat(session, worker, f"http://worker-{number}")
        same = (self.maker.recording_id, self.maker.room_id, self.maker.platform_id)
        maker = JournalMaker(*same, number, self.maker.live_at_us)
        machine = Machine(Folders(self.root / str(number)), worker, maker)
        self.machines.append(machine)
        return machine

    async def lose(self, machine: Machine) -> None:
        """Its heartbeat is of yesterday."""
        async with self.database.transaction() as session:
            row = sa.update(IngestWorker).where(IngestWorker.id == machine.worker)
            yesterday = sa.func.now() - sa.text("interval '1 day'")
            await session.execute(row.values(heartbeat_at=yesterday))

    async def take_over(self, machine: Machine, *lost: Machine) -> Placement:
        """As the receiving process does: the claim, then the manifest's beginning."""
        by = Candidate(machine.worker, frozenset(m.worker for m in lost))
        room_id = UUID(self.maker.room_id)
        async with self.database.transaction() as session:
            placement = await claim(session, room_id, by)
        assert placement is not None
        machine.maker.epoch = placement.epoch
        async with self.database.transaction() as session:
            stage = await stage_of(session, room_id)
            assert stage is not None
            epoch = placement.epoch
            lines = await stored_lines(session, self.recording_id, epoch=epoch, up_to_epoch=epoch)
            since = await continued(session, stage, lines, epoch=epoch)
        spool = machine.folders.spool(self.maker.recording_id)
        write_manifest(spool, [lines[0], since, *lines[1:]])
        return placement

    def fence(self, machine: Machine, epoch: int) -> None:
        set_aside(machine.folders, self.maker.recording_id, epoch)

    async def salvage(self, machine: Machine, epoch: int) -> bool:
        folders = machine.folders.fenced(epoch)
        args = (self.maker.recording_id, epoch)
        return await bring_in(self.database, self.store, folders, *args)

    async def recorded(self) -> Recorded:
        async with self.database.transaction() as session:
            recording = await session.get_one(Recording, self.recording_id, populate_existing=True)
            of_this = Rendition.recording_id == self.recording_id
            renditions = list(await session.scalars(sa.select(Rendition).where(of_this)))
            rows = await session.execute(
                sa.select(Rendition.name, Segment)
                .join(Segment, Segment.rendition_id == Rendition.id)
                .where(of_this)
                .order_by(Segment.sequence)
                .execution_options(populate_existing=True)
            )
            segments: dict[str, list[Segment]] = {}
            for name, segment in rows:
                segments.setdefault(name, []).append(segment)
            gaps = sa.select(Gap).where(Gap.recording_id == self.recording_id)
            found = list(await session.scalars(gaps.order_by(Gap.room_start_ms)))
        keys = {r.name: r.init_key for r in renditions}
        return Recorded(recording.revision, segments, found, keys)

    async def epoch(self, number: int) -> RecordingEpoch:
        async with self.database.transaction() as session:
            return await session.get_one(RecordingEpoch, (self.recording_id, number))


async def site(
    database: Database, store: ObjectStore, root: Path, *, age_s: float, speakers: int = 2
) -> Site:
    live_at_us = round((time.time() - age_s) * 1_000_000)
    maker, who = await placed_recording(database, speakers=speakers, live_at_us=live_at_us)
    async with database.transaction() as session:
        recording = await session.get_one(Recording, UUID(maker.recording_id))
        session.add(
            RecordingEpoch(
                recording_id=recording.id, epoch=1, worker_id=recording.worker_id, began_ms=0
            )
        )
        await session.execute(
            sa.update(Participant)
            .where(Participant.room_id == UUID(maker.room_id))
            .values(joined_at=sa.func.now(), consented_at=sa.func.now(), role=Role.SPEAKER)
        )
        await _start_record(session, UUID(maker.room_id))
    return Site(database, store, root, maker, who)


async def _start_record(session: AsyncSession, room_id: UUID) -> None:
    room = await session.get_one(Room, room_id)
    await record_event(session, room, EventKind.RECORDING_STARTED, room_ms=0)
