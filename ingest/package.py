"""The packaging process: every journal on this disk becomes segments, and is stored.

Mixing and file writes run in threads, uploads on the loop: neither holds up the other.
"""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from core.db import Database
from core.settings import Settings
from core.storage import ObjectStore, open_store
from ingest.folders import Folders
from ingest.packager import Packager
from ingest.rows import Fenced
from ingest.uploader import OUTAGES, Uploader
from rooms.models import Room

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.05
SCAN_SECONDS: Final = 0.25
MIX_THREADS: Final = 2
RETRY_SECONDS: Final = 2.0
END_SECONDS: Final = 0.5


_ANCHOR_NS: Final = time.time_ns() - time.monotonic_ns()


def unix_us() -> int:
    """Unix time that never steps: the wall clock at the start, then the monotonic one."""
    return (_ANCHOR_NS + time.monotonic_ns()) // 1000


async def run(settings: Settings, stop: asyncio.Event, *, mixing: bool = True) -> None:
    """Packages and uploads until `stop`; what is under way is taken up by the next run.

    Without `mixing` only tracks are made (see Packager).
    """
    if settings.database_url is None:
        raise ValueError("the packaging process needs a database_url")
    database = Database(settings.database_url.get_secret_value())
    try:
        process = _Process(settings, database, open_store(settings), mixing=mixing)
        await process.run(stop)
    finally:
        await database.close()


class _Process:
    def __init__(
        self, settings: Settings, database: Database, store: ObjectStore, *, mixing: bool
    ) -> None:
        self._mixing = mixing
        self._database = database
        self._store = store
        self._folders = Folders(settings.data_dir)
        self._threads = ThreadPoolExecutor(MIX_THREADS, thread_name_prefix="mix")
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                for recording_id in await asyncio.to_thread(self._found):
                    if recording_id not in self._tasks:
                        self._tasks[recording_id] = asyncio.create_task(
                            self._record(recording_id, stop), name=f"package-{recording_id}"
                        )
                self._drop_finished()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), SCAN_SECONDS)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            self._threads.shutdown()

    def _found(self) -> set[str]:
        """Recordings with a journal, and those whose spool waits to be stored or deleted."""
        return {*self._folders.journals(), *self._folders.spools()}

    def _drop_finished(self) -> None:
        """A fenced recording keeps its task: it must not be taken up again."""
        for recording_id, task in list(self._tasks.items()):
            if task.done() and not self._folders.spool(recording_id).exists():
                del self._tasks[recording_id]

    async def _record(self, recording_id: str, stop: asyncio.Event) -> None:
        """Packages and uploads one recording; an error of one of them does not touch the other."""
        package = asyncio.create_task(
            self._insist(recording_id, lambda: self._package(recording_id, stop))
        )
        try:
            await self._insist(recording_id, lambda: self._upload(recording_id))
        except Fenced:
            log.warning("recording %s belongs to another worker now", recording_id)
        finally:
            package.cancel()
            await asyncio.gather(package, return_exceptions=True)

    async def _insist(self, recording_id: str, work: Callable[[], Awaitable[None]]) -> None:
        """Does the work again, from what is on the disk, until it ends without an error."""
        while True:
            try:
                return await work()
            except Fenced:
                raise
            except Exception:
                log.exception("recording %s failed; it is taken up again", recording_id)
            await asyncio.sleep(RETRY_SECONDS)

    async def _package(self, recording_id: str, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        make = functools.partial(Packager, self._folders, recording_id, mixing=self._mixing)
        packager = await loop.run_in_executor(self._threads, make)
        watch = asyncio.create_task(self._watch_end(packager))
        try:
            while not packager.ended and not stop.is_set():
                step = loop.run_in_executor(self._threads, packager.step, unix_us())
                if not await _finished(step):
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            watch.cancel()
            packager.close()

    async def _watch_end(self, packager: Packager) -> None:
        """Learns the room's end from the database too: the receiving process may be dead."""
        query = sa.select(Room.duration_ms).where(Room.recording_id == UUID(packager.recording_id))
        room_ms: int | None = None
        while room_ms is None:
            await asyncio.sleep(END_SECONDS)
            with contextlib.suppress(*OUTAGES):
                if packager.waits:
                    async with self._database.transaction() as session:
                        room_ms = await session.scalar(query)
        packager.expect_end(room_ms)

    async def _upload(self, recording_id: str) -> None:
        await Uploader(self._database, self._store, self._folders, recording_id).run()


async def _finished(step: asyncio.Future[bool]) -> bool:
    """The step's result; a cancelled task still waits for it, so that no two ever write."""
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        await asyncio.wait([step])
        raise
