"""From a room's end to its playable replay: how long, and does it depend on the room's length?

A room of ten minutes and one of two hours, as they lie on the disk a moment before their end:
mix and four tracks packaged and uploaded, the packager caught up with the journal. Then the end
comes in; measured is the time until an edge on this machine, and one on another machine that
has only rows and store, lists ENDLIST and serves the last segment.
"""

import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from pydantic import SecretStr

from bench.report import Cell, bench_lines, table
from core.auth.models import User
from core.auth.platforms import create_platform
from core.db import Database, dsn
from core.ids import uuid7
from core.migrate import upgrade
from core.postgres import EmbeddedPostgres
from core.queue import install_queue
from core.settings import Settings
from core.storage import open_store
from ingest import package
from ingest.aac import BIT_RATE, CODEC, audio_specific_config
from ingest.fmp4 import aac_entry, fragment, init_segment, opus_entry
from ingest.folders import Folders
from ingest.journal import MAGIC, next_journal_file, pack_batch, pack_event
from ingest.manifest import Opened
from ingest.marks import Mark, RecordingOpened, RecordMark, RoomEnded, to_event
from ingest.mix import SEGMENT_FRAMES
from ingest.models import IngestWorker, Recording, Rendition, Segment
from ingest.opus import RATE, SILENCE
from ingest.rounds import unix_us
from ingest.spool import RenditionWriter, Spool
from replay.answers import Request
from replay.capability import capability_key, issue
from replay.edge import Edge
from replay.library import Library
from rooms.models import Room, RoomState, Visibility

SHORT_S: Final = 600
LONG_S: Final = 7200
SPEAKERS: Final = 4
RUNS: Final = 3
MIX_SAMPLES: Final = SEGMENT_FRAMES * 1024
TRACK_SAMPLES: Final = 30 * RATE
LEAD_S: Final = 4
KEY: Final = capability_key(b"k" * 32)


@dataclass(frozen=True)
class Machine:
    """One installation: a data folder, the database, the store."""

    settings: Settings
    database: Database

    @property
    def folders(self) -> Folders:
        return Folders(self.settings.data_dir)

    def edge(self, data_dir: Path) -> tuple[Edge, Library]:
        library = Library(Folders(data_dir), self.database, open_store(self.settings))
        return Edge(library, key=KEY), library


@dataclass(frozen=True)
class RoomOnDisk:
    opened: Opened
    live_at: datetime
    journal: Path

    @property
    def recording_id(self) -> UUID:
        return UUID(self.opened.recording_id)

    def room_us(self) -> int:
        return unix_us() - self.opened.live_at_us

    def append(self, *marks: Mark) -> None:
        """A drain of the receiving process, as of now."""
        events = [pack_event(to_event(mark)) for mark in marks]
        with self.journal.open("ab") as file:
            file.write(pack_batch(self.room_us(), events))


async def make_room(machine: Machine, seconds: int) -> RoomOnDisk:
    """Rows, journal and spool of a room that has run for so long."""
    live_at, recording_id = datetime.now(UTC) - timedelta(seconds=seconds), uuid7()
    async with machine.database.transaction() as session:
        site = await create_platform(session, slug=f"p{uuid7().hex[:20]}", name="Bench")
        host = User(platform_id=site.id, display_name="Host")
        worker = IngestWorker(whip_url="", started_at=live_at, heartbeat_at=live_at)
        session.add_all([host, worker])
        await session.flush()
        room = Room(
            platform_id=site.id,
            host_id=host.id,
            title="Bench",
            visibility=Visibility.PUBLIC,
            state=RoomState.LIVE,
            live_at=live_at,
            recording_id=recording_id,
            epoch=1,
        )
        session.add(room)
        await session.flush()
        session.add(
            Recording(
                id=recording_id,
                room_id=room.id,
                platform_id=site.id,
                worker_id=worker.id,
                epoch=1,
                live_at=live_at,
            )
        )
    us = round(live_at.timestamp() * 1_000_000)
    opened = Opened(str(recording_id), str(room.id), str(site.id), 1, 1, us)
    on_disk = RoomOnDisk(opened, live_at, _write_journal(machine.folders, opened))
    await asyncio.to_thread(_write_spool, machine.folders, opened, seconds)
    return on_disk


def _write_journal(folders: Folders, opened: Opened) -> Path:
    folder = folders.journal(opened.recording_id)
    folder.mkdir(parents=True)
    first = RecordingOpened(
        opened.recording_id, opened.room_id, opened.platform_id, 1, 1, opened.live_at_us, False, 0
    )
    marks = [pack_event(to_event(mark)) for mark in (first, RecordMark(0, True))]
    path = next_journal_file(folder)
    path.write_bytes(MAGIC + pack_batch(0, marks))
    return path


def _write_spool(folders: Folders, opened: Opened, seconds: int) -> None:
    """Mix and tracks up to some seconds ago; the packager goes on from there."""
    spool = Spool(folders.spool(opened.recording_id))
    spool.stage(opened)
    until = (seconds - LEAD_S) * RATE
    aac = init_segment(aac_entry(audio_specific_config(), BIT_RATE))
    mix = RenditionWriter(spool, "mix", participant_id=None, codec=CODEC, init=aac)
    frames = [(bytes(170), 1024)] * SEGMENT_FRAMES
    for number in range(until // MIX_SAMPLES):
        start = number * MIX_SAMPLES
        _segment(mix, fragment(number + 1, start, frames), start, MIX_SAMPLES)
        spool.commit(lambda: None)
    packets = [(SILENCE + bytes(80), 960)] * (TRACK_SAMPLES // 960)
    for _ in range(SPEAKERS):
        who = str(uuid7())
        track = RenditionWriter(
            spool,
            f"track-{who}",
            participant_id=None,
            codec="opus",
            init=init_segment(opus_entry()),
        )
        for number in range(until // TRACK_SAMPLES):
            start = number * TRACK_SAMPLES
            _segment(track, fragment(number + 1, start, packets), start, TRACK_SAMPLES)
        spool.commit(lambda: None)


def _segment(writer: RenditionWriter, data: bytes, start: int, samples: int) -> None:
    writer.write(data, media_start=start, samples=samples, room_start=start, discontinuity=False)


async def until_caught_up(machine: Machine, room: RoomOnDisk) -> None:
    """Every segment of the disk has its row, and the mix is as far as it can be."""
    manifest = machine.folders.manifest(room.opened.recording_id)
    count = sa.select(sa.func.count()).select_from(Segment)
    async with asyncio.timeout(300):
        while True:
            room.append()
            named = manifest.read_bytes().count(b'"kind":"segment"')
            last = manifest.stat().st_mtime
            async with machine.database.transaction() as session:
                stored = await session.scalar(count.where(Segment.rendition_id.in_(_ids(room))))
            if stored == named and time.time() - last < 1.5:
                return
            await asyncio.sleep(0.02)


def _ids(room: RoomOnDisk) -> sa.ScalarSelect[UUID]:
    return (
        sa.select(Rendition.id).where(Rendition.recording_id == room.recording_id).scalar_subquery()
    )


async def until_playable(edge: Edge, room: RoomOnDisk, since: float) -> float:
    """Seconds from `since` until the list has its end and the last segment comes."""
    token = issue(KEY, room.recording_id, at=datetime.now(UTC)).token
    base = f"/{token}/{room.recording_id}"
    async with asyncio.timeout(60):
        while True:
            listed = await edge.answer(Request("GET", f"{base}/index.m3u8"))
            if listed.status == 200 and b"#EXT-X-ENDLIST" in listed.body:
                break
            await asyncio.sleep(0.01)
    uris = [line for line in listed.body.decode().splitlines() if line.endswith(".m4s")]
    last = await edge.answer(Request("GET", f"{base}/{uris[-1]}"))
    if last.status != 200 or not last.body:
        raise RuntimeError(f"the last segment is answered with {last.status}")
    return time.monotonic() - since


async def measure(machine: Machine, seconds: int) -> tuple[float, float]:
    """The end of one room: for an edge beside the packager, and one elsewhere."""
    room = await make_room(machine, seconds)
    stop = asyncio.Event()
    packaging = asyncio.create_task(package.run(machine.settings, stop))
    here, tail = machine.edge(machine.settings.data_dir)
    there, _ = machine.edge(machine.settings.data_dir / "elsewhere")
    tailing = asyncio.create_task(tail.tail())
    try:
        await until_caught_up(machine, room)
        for edge in (here, there):
            token = issue(KEY, room.recording_id, at=datetime.now(UTC)).token
            await edge.answer(Request("GET", f"/{token}/{room.recording_id}/index.m3u8"))
        began = time.monotonic()
        room.append(RoomEnded(room.room_us() // 1000))
        return await asyncio.gather(
            until_playable(here, room, began), until_playable(there, room, began)
        )
    finally:
        stop.set()
        tailing.cancel()
        await asyncio.gather(packaging, tailing, return_exceptions=True)


async def main() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="encore-end-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        url = await asyncio.to_thread(server.start)
        try:
            await upgrade(url)
            queue = await asyncpg.connect(dsn(url))
            await install_queue(queue)
            await queue.close()
            print(await _report(Path(folder), url))
        finally:
            await asyncio.to_thread(server.stop)


async def _report(folder: Path, url: str) -> str:
    times: dict[int, list[tuple[float, float]]] = {SHORT_S: [], LONG_S: []}
    for run in range(RUNS):
        for seconds, found in times.items():
            data_dir = folder / f"{run}-{seconds}"
            settings = Settings(_env_file=None, data_dir=data_dir, database_url=SecretStr(url))
            database = Database(url)
            found.append(await measure(Machine(settings, database), seconds))
            await database.close()
    here = {s: statistics.median(t[0] for t in found) for s, found in times.items()}
    there = {s: statistics.median(t[1] for t in found) for s, found in times.items()}
    rows: list[list[Cell]] = [
        [f"{seconds // 60} min", here[seconds], there[seconds], max(max(t) for t in times[seconds])]
        for seconds in times
    ]
    columns = ["room", "same machine, s", "another machine, s", "slowest, s"]
    numbers = {
        "end_to_replay_s": there[LONG_S],
        "end_to_replay_same_machine_s": here[LONG_S],
        "end_to_replay_2h_vs_10min": there[LONG_S] / there[SHORT_S],
    }
    return f"{table(columns, rows)}\n\n{bench_lines(numbers)}"


if __name__ == "__main__":
    asyncio.run(main())
