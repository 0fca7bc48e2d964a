"""Finds recordings: on this disk while their spool is here, otherwise in the rows and the store."""

import asyncio
import hashlib
import logging
import time
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from core.db import Database
from core.errors import Unavailable
from core.storage import ObjectMissing, ObjectStore
from ingest.folders import Folders
from replay.blobs import BlobCache
from replay.cue_library import CueLibrary
from replay.recorded import MIX, Place, Recorded
from replay.spool import SpoolSource
from replay.stored import load_recorded

log = logging.getLogger(__name__)

TAIL_SECONDS: Final = 0.05
ROWS_SECONDS: Final = 0.4
"""How old an answer of the rows may be, also when it was 'no such recording'.

It is most of what a listener far from the packager waits for ENDLIST (`make bench-end`).
"""

ENDED_ROWS_SECONDS: Final = 30.0
"""The same for a recording that has ended: only a new revision can change it."""

ROWS_TIMEOUT_SECONDS: Final = 3.0

TAILED_FOR_SECONDS: Final = 60.0
MAX_RECORDINGS: Final = 256
BLOB_BYTES: Final = 128 << 20


class SpoolGoneError(Exception):
    """A file of the spool is no longer there: it has been uploaded and cleaned up."""


@dataclass(slots=True)
class _Shelf:
    """What is known of one recording, and when it was last asked for and looked at."""

    recording_id: UUID
    asked_at: float
    read_at: float = float("-inf")
    spool: SpoolSource | None = None
    spool_gone: bool = False
    failed_at: float = float("-inf")
    reread_at: float = float("-inf")
    recorded: Recorded | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    def is_fresh(self, now: float) -> bool:
        ended = self.recorded is not None and self.recorded.ended
        if self.spool is not None:
            return ended or now - self.read_at < 2 * TAIL_SECONDS
        return now - self.read_at < (ENDED_ROWS_SECONDS if ended else ROWS_SECONDS)

    def publish(self, recorded: Recorded | None, now: float) -> None:
        self.recorded = recorded
        self.read_at = now
        self.grown.set()
        self.grown.clear()


class Library:
    """Recordings by id. `tail` must run beside it; recordings not asked for are forgotten."""

    def __init__(self, folders: Folders, database: Database, store: ObjectStore) -> None:
        self._folders = folders
        self._database = database
        self._store = store
        self._shelves: dict[UUID, _Shelf] = {}
        self.blobs = BlobCache(self._load, budget=BLOB_BYTES)
        self.cues = CueLibrary(database)

    def __len__(self) -> int:
        return len(self._shelves)

    def known(self, recording_id: UUID) -> Recorded | None:
        """The recording, if what is in memory is fresh, or the lines of an open spool make it so:
        when all are busy `tail` comes late, and thousands must not wait for it in tasks."""
        now = time.monotonic()
        shelf = self._shelves.get(recording_id)
        if shelf is None:
            return None
        shelf.asked_at = now
        if shelf.spool is not None and not shelf.is_fresh(now):
            self._follow(shelf, now)
        return shelf.recorded if shelf.is_fresh(now) else None

    async def find(self, recording_id: UUID) -> Recorded | None:
        """The recording as it is now, or None. Raises Unavailable if only the rows could tell."""
        now = time.monotonic()
        shelf = self._shelf(recording_id, now)
        if not shelf.is_fresh(now):
            async with shelf.lock:
                now = time.monotonic()
                if not shelf.is_fresh(now):
                    await self._refresh(shelf, now)
        return shelf.recorded

    async def find_started(self, recording_id: UUID, *, within_s: float) -> Recorded | None:
        """The same, but waits that long for the first sound of a room that has just gone live."""
        deadline = time.monotonic() + within_s
        while True:
            recorded = await self.find(recording_id)
            left = deadline - time.monotonic()
            if left <= 0 or (recorded is not None and has_begun(recorded)):
                return recorded
            shelf = self._shelf(recording_id, time.monotonic())
            try:
                async with asyncio.timeout(min(left, ROWS_SECONDS)):
                    await shelf.grown.wait()
            except TimeoutError:
                continue

    async def find_compacted(self, recording_id: UUID) -> Recorded | None:
        """The same for what exists only after compaction: the rows may know more by now."""
        recorded = await self.find(recording_id)
        if recorded is None or recorded.compacted or not recorded.ended:
            return recorded
        await self.reread(recording_id, recorded)
        return self._shelf(recording_id, time.monotonic()).recorded

    async def reread(self, recording_id: UUID, stale: Recorded) -> None:
        """Takes the rows anew where `stale` is still what is known; once a second at most."""
        shelf = self._shelf(recording_id, time.monotonic())
        async with shelf.lock:
            now = time.monotonic()
            if shelf.recorded is not stale or now - shelf.reread_at < ROWS_SECONDS:
                return
            shelf.reread_at = now
            recorded = await self._from_rows(shelf, None)
            if recorded is not None and (shelf.spool is None or recorded.compacted):
                shelf.spool, shelf.spool_gone = None, True
                shelf.publish(recorded, now)

    async def leave_spool(self, recording_id: UUID) -> None:
        """From here on the recording is served from the rows; its spool was cleaned up."""
        shelf = self._shelf(recording_id, time.monotonic())
        async with shelf.lock:
            if shelf.spool_gone:
                return
            recorded = await self._from_rows(shelf, None)
            shelf.spool, shelf.spool_gone = None, True
            shelf.publish(recorded, time.monotonic())

    async def read(self, place: Place) -> bytes:
        """Raises SpoolGoneError, ObjectMissing, StoreUnavailable."""
        return await self.blobs.get(place)

    async def tail(self) -> None:
        """Follows the spools of the recordings that somebody listens to, until canceled."""
        try:
            while True:
                now = time.monotonic()
                for shelf in list(self._shelves.values()):
                    if now - shelf.asked_at < TAILED_FOR_SECONDS:
                        self._follow(shelf, now)
                await asyncio.sleep(TAIL_SECONDS)
        finally:
            await self.cues.close()

    def _follow(self, shelf: _Shelf, now: float) -> None:
        if shelf.lock.locked() or (shelf.recorded is not None and shelf.recorded.ended):
            return
        if shelf.spool is None:
            manifest = self._folders.manifest(str(shelf.recording_id))
            if shelf.recorded is not None or shelf.spool_gone or not manifest.exists():
                return
            shelf.spool = SpoolSource(manifest)
        before = shelf.recorded
        version = before.version if before is not None else 0
        shelf.spool.refresh(now)
        if shelf.spool.gone:
            # Another worker has the room. Who asks next is answered from the rows.
            del self._shelves[shelf.recording_id]
            return
        after = shelf.spool.recorded
        shelf.read_at = now
        if after is not None and (after is not before or after.version != version):
            shelf.publish(after, now)

    def _shelf(self, recording_id: UUID, now: float) -> _Shelf:
        shelf = self._shelves.get(recording_id)
        if shelf is None:
            if len(self._shelves) >= MAX_RECORDINGS:
                oldest = min(self._shelves.values(), key=lambda s: s.asked_at)
                del self._shelves[oldest.recording_id]
            shelf = self._shelves[recording_id] = _Shelf(recording_id, now)
        shelf.asked_at = now
        return shelf

    async def _refresh(self, shelf: _Shelf, now: float) -> None:
        recorded = await self._from_spool(shelf, now)
        if recorded is None:
            recorded = await self._from_rows(shelf, shelf.recorded)
        shelf.publish(recorded, now)

    async def _from_spool(self, shelf: _Shelf, now: float) -> Recorded | None:
        """In a thread: the first look at a manifest of two hours takes a while."""
        if shelf.spool is None:
            manifest = self._folders.manifest(str(shelf.recording_id))
            if shelf.spool_gone or not await asyncio.to_thread(manifest.exists):
                return None
            shelf.spool = SpoolSource(manifest)
        await asyncio.to_thread(shelf.spool.refresh, now)
        return shelf.spool.recorded

    async def _from_rows(self, shelf: _Shelf, known: Recorded | None) -> Recorded | None:
        """An outage is met once a second, not by everybody who waits."""
        if time.monotonic() - shelf.failed_at >= ROWS_SECONDS:
            try:
                return await self._read_rows(shelf.recording_id, known)
            except (SQLAlchemyError, OSError) as error:
                shelf.failed_at = time.monotonic()
                log.warning("a recording's rows cannot be read: %s", type(error).__name__)
        if known is not None:
            return known
        message = "the recording is not on this machine and the database does not answer"
        raise Unavailable(message, headers={"Retry-After": "2"})

    async def _read_rows(self, recording_id: UUID, known: Recorded | None) -> Recorded | None:
        async with asyncio.timeout(ROWS_TIMEOUT_SECONDS), self._database.transaction() as session:
            return await load_recorded(session, recording_id, known, now=time.monotonic())

    async def _load(self, place: Place) -> bytes:
        if place.path is not None:
            try:
                return await asyncio.to_thread(place.path.read_bytes)
            except FileNotFoundError as error:
                raise SpoolGoneError from error
        data = await self._store.get(
            place.object_key, start=place.start, end=place.start + place.size
        )
        if place.digest and not place.part_of and hashlib.sha256(data).hexdigest() != place.digest:
            log.error("the object %s is not what its row says", place.object_key)
            raise ObjectMissing("the stored segment is damaged")
        return data


def has_begun(recorded: Recorded) -> bool:
    """Whether its playlists can be rendered, or never will."""
    return recorded.ended or has_sound(recorded)


def has_sound(recorded: Recorded) -> bool:
    mix = recorded.renditions.get(MIX)
    return mix is not None and bool(mix.places)
