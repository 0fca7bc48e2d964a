"""One recording from its manifest to the object store and the database.

The manifest is the queue: whatever it names is uploaded, then written as rows. Both are
idempotent, so after any failure, also of this process, the same lines are simply done again.
"""

import asyncio
import contextlib
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa

from core.db import Database
from core.storage import ObjectExists, ObjectStore, StoreUnavailable
from ingest import rows
from ingest.folders import Folders
from ingest.manifest import (
    Ended,
    HandedOver,
    Line,
    ManifestReader,
    Opened,
    RenditionOpened,
    SegmentWritten,
)
from ingest.placement import release

log = logging.getLogger(__name__)

PUTS_AT_ONCE: Final = 4
BATCH_LINES: Final = 200

CONTENT_TYPE: Final = "audio/mp4"


class ObjectDiffers(ObjectExists):
    """Other bytes lie under this recording's key. Nothing is overwritten; somebody must look."""

    code = "object_differs"
    title = "The object store holds other bytes under this key"


OUTAGES: Final = (
    StoreUnavailable,
    ObjectDiffers,
    rows.RecordingUnknown,
    OSError,
    TimeoutError,
    sa.exc.SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)
"""What is waited out: the store, the database or the network is away."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: between looks at the manifest, between attempts in an outage, and `spool_grace`,
    by which the spool outlives the journal so that the edge can switch to the store.
    """

    poll: float = 0.2
    first_backoff: float = 0.25
    longest_backoff: float = 10.0
    spool_grace: float = 60.0


class Uploader:
    """`run` until everything of the recording is stored, then its folders are deleted."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        folders: Folders,
        recording_id: str,
        patience: Patience = Patience(),
    ) -> None:
        self.recording_id = recording_id
        self._database = database
        self._store = store
        self._folders = folders
        self._manifest = ManifestReader(folders.manifest(recording_id))
        self._patience = patience
        self._opened: Opened | None = None
        self._waiting: list[Line] = []
        self._done: set[tuple[str, int]] | None = None
        self._handed_over = False
        self._puts = asyncio.Semaphore(PUTS_AT_ONCE)
        self._backoff = self._patience.first_backoff

    async def run(self) -> None:
        """Raises Fenced when a later placement owns the recording."""
        while not await self._try_step():  # noqa: ASYNC110 - a tail is polled
            await asyncio.sleep(self._patience.poll)
        await asyncio.to_thread(_remove, self._folders.journal(self.recording_id))
        if not self._handed_over:
            await asyncio.sleep(self._patience.spool_grace)
        await asyncio.to_thread(_remove, self._folders.spool(self.recording_id))

    async def _try_step(self) -> bool:
        """One step; an outage is waited out, longer each time."""
        try:
            ended = await self._step()
        except OUTAGES as error:
            if _is_cancelled():
                raise asyncio.CancelledError from error
            log.warning("recording %s: upload waits, %s", self.recording_id, type(error).__name__)
            await asyncio.sleep(self._backoff)
            self._backoff = min(2 * self._backoff, self._patience.longest_backoff)
            return False
        self._backoff = self._patience.first_backoff
        return ended

    async def _step(self) -> bool:
        """Stores what the manifest names by now; True when the recording is stored as a whole."""
        if len(self._waiting) < BATCH_LINES and self._manifest.has_grown():
            self._waiting += await asyncio.to_thread(self._manifest.read)
        if self._opened is None:
            if not self._waiting or not isinstance(self._waiting[0], Opened):
                return False
            self._opened = self._waiting[0]
        while self._waiting:
            batch = self._waiting[:BATCH_LINES]
            await self._store_lines(self._opened, batch)
            if isinstance(batch[-1], Ended):
                await self._close(self._opened, batch[-1])
                await self._put_manifest(self._opened)
                return True
            if isinstance(batch[-1], HandedOver):
                await self._hand_over(self._opened, batch[-1])
                return True
            del self._waiting[: len(batch)]
        return False

    async def _store_lines(self, opened: Opened, lines: list[Line]) -> None:
        new = await self._without_stored(opened, lines)
        await asyncio.gather(*(self._put(opened, line) for line in new))
        async with self._database.transaction() as session:
            await rows.add_rows(session, opened=opened, lines=new)

    async def _without_stored(self, opened: Opened, lines: list[Line]) -> list[Line]:
        """Skips what an earlier run of this process stored already."""
        if self._done is None:
            async with self._database.transaction() as session:
                await rows.hold_epoch(session, opened)
                self._done = await rows.stored_segments(session, UUID(self.recording_id))
        done = self._done
        return [
            line
            for line in lines
            if not isinstance(line, SegmentWritten) or (line.rendition, line.sequence) not in done
        ]

    async def _put(self, opened: Opened, line: Line) -> None:
        if not isinstance(line, RenditionOpened | SegmentWritten) or line.object_key:
            return
        path = self._folders.spool(self.recording_id) / line.file
        key = rows.object_key(opened, line.rendition, line.file)
        async with self._puts:
            await self._put_bytes(key, await asyncio.to_thread(path.read_bytes), CONTENT_TYPE)

    async def _put_bytes(self, key: str, data: bytes, content_type: str) -> None:
        try:
            await self._store.put(key, data, content_type=content_type)
        except ObjectExists:
            if await self._store.get(key) != data:
                raise ObjectDiffers from None

    async def _put_manifest(self, opened: Opened) -> None:
        """The proof of what was recorded, for when this disk is gone; nobody waits for it."""
        path = self._manifest.path
        data = await asyncio.to_thread(path.read_bytes)
        await self._put_bytes(rows.manifest_key(opened), data, "application/jsonl")

    async def _close(self, opened: Opened, ended: Ended) -> None:
        async with self._database.transaction() as session:
            await rows.mark_stored(session, opened=opened, ended=ended)
        log.info("recording %s is stored", self.recording_id)

    async def _hand_over(self, opened: Opened, line: HandedOver) -> None:
        """The spool goes at once: what it says of the room is old as soon as another goes on."""
        async with self._database.transaction() as session:
            await rows.hold_epoch(session, opened)
            await release(
                session,
                UUID(self.recording_id),
                epoch=opened.epoch,
                complete_until_ms=line.room_ms,
            )
        self._handed_over = True
        log.info("recording %s is free for another worker", self.recording_id)


def _is_cancelled() -> bool:
    """A `gather` whose child fails just then raises that failure alone."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
