"""A manifest becomes objects and rows, whatever fails on the way."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.db import Database
from core.storage import ObjectInfo, StoreUnavailable
from core.storage.folder import FolderStore
from ingest.folders import Folders
from ingest.manifest import ManifestReader, RenditionOpened, SegmentWritten, parse
from ingest.models import Gap, GapCause, Recording, RecordingStatus, Rendition, Segment
from ingest.rows import Fenced
from ingest.uploader import Patience, Uploader
from tests.ingest.journals import JournalMaker, Voice, tone
from tests.ingest.packaging import package
from tests.ingest.receiving import eventually
from tests.ingest.recorded import placed_recording

HASTE = Patience(poll=0.01, first_backoff=0.01, longest_backoff=0.05, spool_grace=0)


class FailingStore(FolderStore):
    """Does not answer the first `failures` puts."""

    def __init__(self, root: Path, failures: int = 0) -> None:
        super().__init__(root)
        self.failures = failures
        self.puts = 0

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        self.puts += 1
        if self.puts <= self.failures:
            raise StoreUnavailable
        await super().put(key, data, content_type=content_type)


async def all_objects(store: FolderStore) -> dict[str, int]:
    found: AsyncIterator[ObjectInfo] = store.list("")
    return {info.key: info.size async for info in found}


async def recorded(database: Database, folders: Folders) -> JournalMaker:
    """Five seconds of one speaker with a pause, packaged."""
    maker, (speaker,) = await placed_recording(database)
    maker.record(0, on=True)
    maker.speak(Voice(speaker, tone(5)))
    maker.record(2, on=False)
    maker.record(3, on=True)
    maker.end(5)
    maker.write(folders)
    package(folders, maker.recording_id)
    return maker


async def queued(database: Database, recording_id: str) -> int:
    async with database.transaction() as session:
        query = "select count(*) from pgqueuer where dedupe_key = :key"
        key = f"recording.finished:{recording_id}"
        return int(await session.scalar(sa.text(query), {"key": key}) or 0)


async def test_everything_is_stored_though_the_store_fails_for_a_while(
    database: Database, folders: Folders, tmp_path: Path
) -> None:
    maker = await recorded(database, folders)
    lines = ManifestReader(folders.manifest(maker.recording_id)).read()
    named = [x for x in lines if isinstance(x, RenditionOpened | SegmentWritten)]
    store = FailingStore(tmp_path / "objects", failures=5)

    await Uploader(database, store, folders, maker.recording_id, HASTE).run()

    objects = await all_objects(store)
    prefix = f"{maker.platform_id}/{maker.recording_id}/1"
    objects.pop(f"{prefix}/manifest-1.jsonl")
    assert parse(await store.get(f"{prefix}/manifest-1.jsonl")) == lines
    assert objects == {f"{prefix}/{x.rendition}/{x.file}": x.bytes for x in named}
    async with database.transaction() as session:
        recording = await session.get_one(Recording, UUID(maker.recording_id))
        assert recording.status is RecordingStatus.STORED
        assert recording.media_samples == 4 * 48_000
        assert recording.stored_at is not None
        assert recording.ended_at is not None
        assert (recording.ended_at - recording.live_at).total_seconds() == 5
        rows = await session.execute(
            sa.select(Rendition.name, Segment)
            .join(Segment, Segment.rendition_id == Rendition.id)
            .where(Rendition.recording_id == recording.id)
        )
        segments = {(name, s.sequence): s for name, s in rows}
        for line in lines:
            if isinstance(line, SegmentWritten):
                row = segments.pop((line.rendition, line.sequence))
                assert (row.sha256, row.bytes) == (line.sha256, objects[row.object_key])
                assert (row.media_start, row.samples) == (line.media_start, line.samples)
                assert row.discontinuity == line.discontinuity
        assert not segments
        gap = await session.scalar(sa.select(Gap).where(Gap.recording_id == recording.id))
        assert gap is not None
        assert (gap.cause, gap.room_start_ms) == (GapCause.OFF_THE_RECORD, 2000)
    assert await queued(database, maker.recording_id) == 1
    assert not folders.journal(maker.recording_id).exists()
    assert not folders.spool(maker.recording_id).exists()


async def test_a_restarted_uploader_does_the_same_again_once(
    database: Database, folders: Folders, tmp_path: Path
) -> None:
    maker = await recorded(database, folders)
    store = FailingStore(tmp_path / "objects")
    first = Uploader(database, store, folders, maker.recording_id, Patience(poll=0.01))
    task = asyncio.create_task(first.run())
    await eventually(lambda: not folders.journal(maker.recording_id).exists())
    task.cancel()

    await Uploader(database, store, folders, maker.recording_id, HASTE).run()

    assert await queued(database, maker.recording_id) == 1


async def test_a_later_placement_fences_this_one(
    database: Database, folders: Folders, tmp_path: Path
) -> None:
    maker = await recorded(database, folders)
    async with database.transaction() as session:
        recording = await session.get_one(Recording, UUID(maker.recording_id))
        recording.epoch = 2

    with pytest.raises(Fenced):
        await Uploader(
            database, FolderStore(tmp_path / "objects"), folders, maker.recording_id
        ).run()

    async with database.transaction() as session:
        recording = await session.get_one(Recording, UUID(maker.recording_id))
        assert recording.status is RecordingStatus.LIVE
    assert folders.journal(maker.recording_id).exists()


async def test_it_waits_for_a_database_that_is_away(
    database: Database, folders: Folders, tmp_path: Path
) -> None:
    """Nothing listens at first; then the same uploader finds the server."""
    maker = await recorded(database, folders)
    away = Database("postgresql://nobody:nothing@127.0.0.1:1/none")
    uploader = Uploader(away, FolderStore(tmp_path / "objects"), folders, maker.recording_id, HASTE)
    task = asyncio.create_task(uploader.run())
    done, _ = await asyncio.wait([task], timeout=0.3)
    assert not done
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await away.close()
    assert folders.journal(maker.recording_id).exists()


async def test_an_outage_does_not_hide_a_cancellation(
    database: Database, folders: Folders, tmp_path: Path
) -> None:
    """Of the same moment: the one thing that a `gather` raises is the outage."""
    maker = await recorded(database, folders)

    class LeavingStore(FolderStore):
        async def put(self, key: str, data: bytes, *, content_type: str) -> None:
            task.cancel()
            raise StoreUnavailable

    store = LeavingStore(tmp_path / "objects")
    task = asyncio.create_task(Uploader(database, store, folders, maker.recording_id, HASTE).run())
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()


async def test_a_recording_without_a_row_waits_for_it(
    database: Database, folders: Folders, tmp_path: Path
) -> None:
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.end(1)
    maker.write(folders)
    package(folders, maker.recording_id)
    store = FolderStore(tmp_path / "objects")
    task = asyncio.create_task(Uploader(database, store, folders, maker.recording_id, HASTE).run())
    done, _ = await asyncio.wait([task], timeout=0.3)
    assert not done
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_other_bytes_under_the_key_are_never_taken_for_ours(
    database: Database, folders: Folders, tmp_path: Path
) -> None:
    maker = await recorded(database, folders)
    store = FolderStore(tmp_path / "objects")
    key = f"{maker.platform_id}/{maker.recording_id}/1/mix/mix-000000.m4s"
    await store.put(key, b"not this", content_type="audio/mp4")
    task = asyncio.create_task(Uploader(database, store, folders, maker.recording_id, HASTE).run())
    done, _ = await asyncio.wait([task], timeout=0.3)
    assert not done
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await store.get(key) == b"not this"
    async with database.transaction() as session:
        recording = await session.get_one(Recording, UUID(maker.recording_id))
        assert recording.status is RecordingStatus.LIVE
