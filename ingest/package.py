"""The packaging process: every journal on this disk becomes segments, and is stored.

Mixing and file writes run in threads, uploads on the loop: neither holds up the other.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from core.db import Database
from core.settings import Settings
from core.storage import ObjectStore, open_store
from ingest.fencing import epoch_here, set_aside
from ingest.folders import Folders
from ingest.journal_end import read_end
from ingest.packager import Packager
from ingest.placement import epochs_of
from ingest.rounds import Rounds
from ingest.rows import Fenced
from ingest.salvaging import bring_in
from ingest.uploader import OUTAGES, Uploader
from rooms.models import Room

log = logging.getLogger(__name__)

SCAN_SECONDS: Final = 0.25
MIX_THREADS: Final = 2
RETRY_SECONDS: Final = 2.0
END_SECONDS: Final = 0.5
FENCE_SECONDS: Final = 1.0
"""Between looks at who has the recordings that lie here."""

BRING_AWAY_SECONDS: Final = 8.0
"""How long the process stays, when told to stop, for rooms that were left to another worker."""


async def run(settings: Settings, stop: asyncio.Event, *, mixing: bool = True) -> None:
    """Packages and uploads until `stop`; what is under way is taken up by the next run.

    Without `mixing` only tracks are made (see Packager).
    """
    if settings.database_url is None:
        raise ValueError("the packaging process needs a database_url")
    limit = timedelta(seconds=settings.worker_alive_seconds)
    database = Database(settings.database_url.get_secret_value(), idle_limit=limit)
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
        # Without a mix nothing lets go of the interpreter: a second lane would wait for the first.
        self._rounds = Rounds(self._threads, MIX_THREADS if mixing else 1)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._fencing: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        watch = asyncio.create_task(self._watch_fences(), name="package-fences")
        rounds = asyncio.create_task(self._rounds.run(), name="package-rounds")
        try:
            while not stop.is_set():
                await self._take_up()
                self._drop_finished()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), SCAN_SECONDS)
            await self._bring_away()
        finally:
            tasks = [watch, *self._tasks.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            rounds.cancel()
            await asyncio.gather(rounds, return_exceptions=True)
            self._threads.shutdown()

    async def _take_up(self) -> None:
        """Recordings with a journal, and those whose spool waits to be stored or deleted."""
        for recording_id in await asyncio.to_thread(self._folders.held):
            if recording_id not in self._tasks and recording_id not in self._fencing:
                self._tasks[recording_id] = asyncio.create_task(
                    self._record(recording_id), name=f"package-{recording_id}"
                )

    async def _bring_away(self) -> None:
        """Another worker waits for what was left to it; everything else can wait for us."""
        await self._take_up()
        left = [
            task
            for recording_id, task in self._tasks.items()
            if await asyncio.to_thread(self._was_left, recording_id)
        ]
        if left:
            await asyncio.wait(left, timeout=BRING_AWAY_SECONDS)

    def _was_left(self, recording_id: str) -> bool:
        return read_end(self._folders.journal(recording_id)).left

    def _drop_finished(self) -> None:
        for recording_id, task in list(self._tasks.items()):
            if task.done():
                del self._tasks[recording_id]

    async def _watch_fences(self) -> None:
        """Also where nothing is to be stored: the edge must not serve what lies here any more."""
        while True:
            await asyncio.sleep(FENCE_SECONDS)
            with contextlib.suppress(*OUTAGES):
                async with self._database.transaction() as session:
                    epochs = await epochs_of(session, [UUID(one) for one in self._tasks])
                for recording_id, epoch in epochs.items():
                    await self._fence(str(recording_id), epoch)
            await self._salvage()

    async def _salvage(self) -> None:
        """What was set aside goes into its recording when that has ended."""
        for epoch in await asyncio.to_thread(self._folders.fenced_epochs):
            folders = self._folders.fenced(epoch)
            for recording_id in await asyncio.to_thread(folders.held):
                try:
                    await bring_in(self._database, self._store, folders, recording_id, epoch)
                except OUTAGES as error:
                    log.warning("recording %s: salvage waits, %s", recording_id, error)
                except Exception:
                    log.exception("recording %s cannot be salvaged now", recording_id)

    async def _fence(self, recording_id: str, now: int) -> None:
        here = await asyncio.to_thread(epoch_here, self._folders, recording_id)
        task = self._tasks.get(recording_id)
        if task is None or here is None or here >= now:
            return
        log.warning("recording %s belongs to another worker now", recording_id)
        self._fencing.add(recording_id)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.to_thread(set_aside, self._folders, recording_id, here)
        self._fencing.discard(recording_id)

    async def _record(self, recording_id: str) -> None:
        """Packages and uploads one recording; an error of one of them does not touch the other."""
        package = asyncio.create_task(
            self._insist(recording_id, lambda: self._package(recording_id))
        )
        try:
            await self._insist(recording_id, lambda: self._upload(recording_id))
        finally:
            package.cancel()
            await asyncio.gather(package, return_exceptions=True)

    async def _insist(self, recording_id: str, work: Callable[[], Awaitable[None]]) -> None:
        """Does the work again, from what is on the disk, until it ends without an error."""
        while True:
            try:
                return await work()
            except Fenced:
                log.info("recording %s is fenced", recording_id)  # `_watch_fences` sees it too
            except Exception:
                log.exception("recording %s failed; it is taken up again", recording_id)
            await asyncio.sleep(RETRY_SECONDS)

    async def _package(self, recording_id: str) -> None:
        loop = asyncio.get_running_loop()
        make = functools.partial(Packager, self._folders, recording_id, mixing=self._mixing)
        packager = await loop.run_in_executor(self._threads, make)
        watch = asyncio.create_task(self._watch_end(packager))
        try:
            while not packager.ended:
                await _finished(self._rounds.step(packager))
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


async def _finished(step: asyncio.Future[bool]) -> None:
    """The step is over; a cancelled task still waits for it, so that no two ever write."""
    try:
        await asyncio.shield(step)
    except asyncio.CancelledError:
        await asyncio.wait([step])
        raise
