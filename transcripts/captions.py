"""The captions process: what is said in this machine's live rooms, written while they run.

It follows the journals that the receiving process writes (ADR 0025) and touches nothing of the
recording: where it falls behind, fails or is killed, captions are missing and nothing else.

Three loops: one listens to the rooms, one asks the engine, one stores. They wait for each other
by the backlog alone, which is bounded.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy.exc import SQLAlchemyError

from core.db import Database
from core.errors import Problem
from core.metrics_server import metrics_server
from core.settings import Settings
from ingest.folders import Folders
from ingest.manifest import Opened
from ingest.rows import Fenced, RecordingUnknown
from replay.subtitles import NewCue, ShownCue, add_live_cues
from rooms.events import CAPTION, announce
from transcripts.backlog import Backlog, Waiting
from transcripts.caption_lines import readable
from transcripts.captioned_room import CaptionedRoom
from transcripts.engine_process import EngineProcess
from transcripts.guard import believable
from transcripts.installed_models import ModelDamaged, ModelMissing
from transcripts.transcriber import (
    Heard,
    LanguageUnknown,
    ModelUnfit,
    Transcriber,
    TranscriberUnavailable,
)
from transcripts.utterances import Utterance

log = logging.getLogger(__name__)

SCAN_SECONDS: Final = 0.5
LISTEN_SECONDS: Final = 0.03
QUIET_SECONDS: Final = 0.3
"""The same for a room in which nobody can be heard."""

LANGUAGES_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 2.0
MODEL_SECONDS: Final = 60.0
"""Before a model that is not there, or does not run, is looked for again."""

WRONG_MODEL: Final = (ModelMissing, ModelDamaged, ModelUnfit)
STORE_SECONDS: Final = 5.0
TELL_SECONDS: Final = 5.0
"""At most so often a room is told that captions are missing."""

ENGINE_NICENESS: Final = 5
ENGINE_IDLE_SECONDS: Final = 600.0
"""A silent room keeps its engine; the last room that ends ends it."""

DATABASE_AWAY: Final = (SQLAlchemyError, OSError)

BEHIND: Final = "captions.behind"

STORED = Counter("encore_captions", "Captions that were stored and announced.")
DROPPED = Counter(
    "encore_captions_dropped", "Utterances without a caption, by what was in the way.", ("reason",)
)
DELAY = Histogram(
    "encore_caption_delay_seconds",
    "From the end of speech until its caption is stored.",
    buckets=(0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0),
)
ROOMS = Gauge("encore_captions_rooms", "Live rooms that are listened to.")
WAITING = Gauge("encore_captions_waiting", "Utterances that wait for the engine.")


class Engine(Transcriber, Protocol):
    """A transcriber whose process can be ended; the next question starts another."""

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Written:
    room: CaptionedRoom
    opened: Opened
    cues: Sequence[NewCue]
    waiting: Waiting


class Captions:
    """`run` until `stop`."""

    def __init__(self, folders: Folders, database: Database, engine: Engine) -> None:
        self._folders = folders
        self._database = database
        self._engine = engine
        self._rooms: dict[UUID, CaptionedRoom] = {}
        self._over: set[UUID] = set()
        """Recordings whose journals lie here and say nothing more."""

        self._backlog = Backlog()
        self._wanted = asyncio.Event()
        self._written: asyncio.Queue[_Written] = asyncio.Queue()
        self._busy = 0

    async def run(self, stop: asyncio.Event) -> None:
        ROOMS.set_function(lambda: len(self._rooms))
        WAITING.set_function(lambda: len(self._backlog))
        loops = [
            asyncio.create_task(_insist(loop, work), name=f"captions-{loop}")
            for loop, work in (
                ("scan", self._scan),
                ("prepare", self._prepare),
                ("listen", self._listen),
                ("transcribe", self._transcribe),
                ("store", self._store),
            )
        ]
        try:
            await stop.wait()
        finally:
            for task in loops:
                task.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            for room in self._rooms.values():
                room.tap.close()
            await self._engine.aclose()

    async def _scan(self) -> None:
        """Takes up new rooms, lets go of those that are over, and of the engine after the last."""
        here = {UUID(name) for name in await asyncio.to_thread(self._folders.journals)}
        self._over &= here
        for recording_id in here - self._rooms.keys() - self._over:
            self._rooms[recording_id] = CaptionedRoom(self._folders, recording_id)
        for room in list(self._rooms.values()):
            over = room.tap.ended or room.recording_id not in here
            if over and not self._may_caption(room):
                self._let_go(room)
        if not self._rooms:
            await self._engine.aclose()
        await asyncio.sleep(SCAN_SECONDS)

    def _may_caption(self, room: CaptionedRoom) -> bool:
        """Whether something that was said in it may still get its caption.

        The journal tells nothing of that: it is deleted as soon as everything is stored.
        """
        under_way = bool(self._backlog or self._busy) or not self._written.empty()
        return under_way or room.waits(time.monotonic())

    def _let_go(self, room: CaptionedRoom) -> None:
        """It is over, or another worker's, or can't be listened to."""
        if self._rooms.pop(room.recording_id, None) is not None:
            room.tap.close()
            self._over.add(room.recording_id)
            self._backlog.drop_recording(room.recording_id)

    async def _prepare(self) -> None:
        """Rooms are registered once there is a model that can hear them."""
        for room in list(self._rooms.values()):
            if not room.prepared and (opened := room.opened) is not None:
                await self._prepare_room(room, opened)
        await asyncio.sleep(SCAN_SECONDS / 2)

    async def _prepare_room(self, room: CaptionedRoom, opened: Opened) -> None:
        await self._engine.ready()
        try:
            async with asyncio.timeout(STORE_SECONDS), self._database.transaction() as session:
                await room.prepare(session, opened)
        except Fenced:
            self._let_go(room)
            return
        for waiting in room.begin():
            self._put(waiting)

    async def _listen(self) -> None:
        """One round over all rooms; while nobody can be heard in any, rounds are rare."""
        began = time.monotonic()
        open_streams = 0
        for room in list(self._rooms.values()):
            if not room.tap.ended:
                self._try_to_hear(room)
                open_streams += room.tap.speakers
                await asyncio.sleep(0)
        pause = LISTEN_SECONDS if open_streams else QUIET_SECONDS
        await asyncio.sleep(max(pause - (time.monotonic() - began), LISTEN_SECONDS / 5))

    def _try_to_hear(self, room: CaptionedRoom) -> None:
        """One room's fault is its own: the others go on."""
        try:
            self._hear(room, time.monotonic())
        except Exception:
            log.exception("recording %s gets no more captions", room.recording_id)
            self._let_go(room)

    def _hear(self, room: CaptionedRoom, now_s: float) -> None:
        now_us = round(now_s * 1_000_000)
        for said in room.tap.read(now_us):
            since_s = now_s - (room.tap.room_us(now_us) / 1000 - said.end_ms) / 1000
            waiting = Waiting(room.recording_id, said, since_s)
            if room.prepared:
                self._put(waiting)
            else:
                room.wait(waiting)

    def _put(self, waiting: Waiting) -> None:
        self._backlog.put(waiting)
        self._wanted.set()

    async def _transcribe(self) -> None:
        if not self._backlog:  # what waited when the engine failed waits for nobody to speak again
            await self._wanted.wait()
        self._wanted.clear()
        while self._backlog:
            now_s = time.monotonic()
            for late in self._backlog.drop_late(now_s):
                await self._drop(late, "behind")
            if (waiting := self._backlog.take(now_s)) is not None:
                with self._busy_with():
                    await self._caption(waiting)

    @contextlib.contextmanager
    def _busy_with(self) -> Iterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    async def _caption(self, waiting: Waiting) -> None:
        room = self._rooms.get(waiting.recording_id)
        opened = room.opened if room is not None else None
        if room is None or opened is None:
            return
        await self._read_languages(room)
        try:
            heard = await self._heard(room, waiting.said)
        except TranscriberUnavailable:
            await self._drop(waiting, "engine")
            raise
        text = " ".join(s.text for s in heard.segments if believable(s)).strip()
        if not room.tap.may_be_shown(waiting.said):
            DROPPED.labels("withheld").inc()
            return
        cues = [
            NewCue(waiting.said.participant_id, c.start_ms, c.end_ms, heard.language, c.text)
            for c in readable(text, waiting.said.start_ms, waiting.said.end_ms)
        ]
        if cues:
            self._written.put_nowait(_Written(room, opened, cues, waiting))

    async def _heard(self, room: CaptionedRoom, said: Utterance) -> Heard:
        language = room.language_of(said.participant_id)
        asked = language.to_ask(said.end_ms - said.start_ms)
        try:
            heard = await self._engine.caption(said.pcm, asked)
            if asked is None and (again := language.found(heard)) is not None:
                heard = await self._engine.caption(said.pcm, again)
        except LanguageUnknown:
            heard = await self._engine.caption(said.pcm, None)
        return heard

    async def _read_languages(self, room: CaptionedRoom) -> None:
        """What people chose, as it was some seconds ago at most; without a database, longer."""
        if time.monotonic() - room.read_at_s < LANGUAGES_SECONDS:
            return
        room.read_at_s = time.monotonic()
        with contextlib.suppress(*DATABASE_AWAY):
            async with asyncio.timeout(1.0), self._database.transaction() as session:
                await room.read_languages(session)

    async def _store(self) -> None:
        written = await self._written.get()
        with self._busy_with():
            await self._store_one(written)

    async def _store_one(self, written: _Written) -> None:
        try:
            async with asyncio.timeout(STORE_SECONDS), self._database.transaction() as session:
                stored = await add_live_cues(session, written.opened, written.cues)
                room_id = UUID(written.opened.room_id)
                for cue in stored:
                    await announce(session, room_id, CAPTION, _as_event(cue))
        except Fenced:
            self._let_go(written.room)
        except (*DATABASE_AWAY, RecordingUnknown) as error:
            log.warning("captions were not stored: %s", type(error).__name__)
            await self._drop(written.waiting, "database")
        else:
            STORED.inc(len(stored))
            DELAY.observe(time.monotonic() - written.waiting.since_s)

    async def _drop(self, waiting: Waiting, reason: str) -> None:
        """Counted, and the room is told now and then how many are missing."""
        DROPPED.labels(reason).inc()
        room = self._rooms.get(waiting.recording_id)
        if room is None or (opened := room.opened) is None:
            return
        room.dropped += 1
        if time.monotonic() - room.told_at_s < TELL_SECONDS:
            return
        room.told_at_s, missing, room.dropped = time.monotonic(), room.dropped, 0
        with contextlib.suppress(*DATABASE_AWAY):
            async with asyncio.timeout(1.0), self._database.transaction() as session:
                await announce(session, UUID(opened.room_id), BEHIND, {"dropped": missing})


def _as_event(cue: ShownCue) -> dict[str, Any]:
    """No more of its speaker than the events of the stage say."""
    return {
        "id": cue.number,
        "participant_id": str(cue.participant_id),
        "display_name": cue.name,
        "start_ms": cue.start_ms,
        "end_ms": cue.end_ms,
        "language": cue.language,
        "text": cue.text,
    }


async def _insist(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Again and again, whatever happens: captions come back by themselves."""
    told = ""
    while True:
        try:
            await work()
            told = ""
        except (Problem, *DATABASE_AWAY) as error:
            reason = error.code if isinstance(error, Problem) else type(error).__name__
            if reason != told:
                log.warning("captions wait (%s): %s", name, reason)
            told = reason
            await asyncio.sleep(MODEL_SECONDS if isinstance(error, WRONG_MODEL) else RETRY_SECONDS)
        except Exception:
            log.exception("captions: %s failed; it goes on", name)
            await asyncio.sleep(RETRY_SECONDS)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """The process: until `stop`. Without captions it waits for that alone."""
    if not settings.captions:
        await stop.wait()
        return
    if settings.database_url is None:
        raise ValueError("the captions process needs a database_url")
    database = Database(settings.database_url.get_secret_value(), pool_size=4)
    engine = EngineProcess(
        settings,
        model=settings.caption_model,
        niceness=ENGINE_NICENESS,
        idle_seconds=ENGINE_IDLE_SECONDS,
    )
    try:
        with metrics_server(settings.metrics_host, settings.captions_metrics_port):
            await Captions(Folders(settings.data_dir), database, engine).run(stop)
    finally:
        await database.close()
