"""Recordings that are over: spoken, packaged and uploaded by the real parts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from core.db import Database
from core.storage import ObjectStore
from core.storage.folder import FolderStore
from ingest.folders import Folders
from ingest.uploader import Patience, Uploader
from replay.compaction import compact, sweep
from replay.holdings import Holding, load_holding
from rooms.models import Participant
from tests.ingest.journals import JournalMaker, Voice, tone
from tests.ingest.packaging import package
from tests.ingest.recorded import placed_recording

HASTE = Patience(poll=0.01, first_backoff=0.01, longest_backoff=0.05, spool_grace=0)

Script = Callable[[JournalMaker, list[str]], object]


@dataclass(frozen=True)
class Over:
    """A stored recording; its journal and spool are gone."""

    recording_id: UUID
    store: ObjectStore
    database: Database
    scratch: Path
    speakers: list[str]

    async def holding(self) -> Holding:
        async with self.database.transaction() as session:
            return await load_holding(session, self.recording_id)

    async def compact(self) -> bool:
        return await compact(self.database, self.store, self.recording_id, scratch=self.scratch)

    async def sweep(self) -> int:
        return await sweep(self.database, self.store, self.recording_id)

    async def objects(self) -> dict[str, int]:
        """Sizes by the key below the recording's prefix."""
        prefix = (await self.holding()).prefix
        return {
            info.key.removeprefix(f"{prefix}/"): info.size async for info in self.store.list(prefix)
        }

    async def all_bytes(self) -> dict[tuple[str, int], bytes]:
        """Every segment's bytes where its row says that they are."""
        return {
            (rendition.name, segment.sequence): await self.store.get(
                segment.object_key,
                start=segment.byte_start,
                end=segment.byte_start + segment.bytes,
            )
            for rendition in (await self.holding()).renditions
            for segment in rendition.segments
        }


async def store_room(
    database: Database,
    folder: Path,
    script: Script,
    *,
    names: Iterable[str] = ("Ada", "Bob"),
    store: ObjectStore | None = None,
    outages: Iterable[tuple[float, float]] = (),
) -> Over:
    """Plays the script, whose times are seconds on the room's clock, to its stored end."""
    named = list(names)
    maker, speakers = await placed_recording(database, speakers=len(named))
    async with database.transaction() as session:
        for speaker, name in zip(speakers, named, strict=True):
            row = sa.update(Participant).where(Participant.id == UUID(speaker))
            await session.execute(row.values(display_name=name))
    script(maker, speakers)
    folders = Folders(folder / "data")
    maker.write(folders, outages=outages)
    package(folders, maker.recording_id)
    kept = store or FolderStore(folder / "objects")
    await Uploader(database, kept, folders, maker.recording_id, HASTE).run()
    return Over(UUID(maker.recording_id), kept, database, folder / "scratch", speakers)


def two_with_a_pause(maker: JournalMaker, speakers: list[str]) -> None:
    """Ten seconds: Ada from 0, Bob from 2 on, off the record from 4 to 6."""
    maker.record(0, on=True)
    maker.speak(Voice(speakers[0], tone(10, 300)))
    maker.record(4, on=False)
    maker.record(6, on=True)
    maker.speak(Voice(speakers[1], tone(7.5, 500), start=2, seed=2))
    maker.end(10)


def nobody_speaks(maker: JournalMaker, speakers: list[str]) -> None:
    """The mix alone, of silence."""
    maker.record(0, on=True)
    maker.end(5)


def never_on_the_record(maker: JournalMaker, speakers: list[str]) -> None:
    maker.speak(Voice(speakers[0], tone(2)))
    maker.end(3)
