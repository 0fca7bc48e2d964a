"""The receiving workers as each other sees them: their rows, heartbeats and loads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.durable import create_once
from core.errors import NotFound
from core.ids import uuid7
from ingest.models import IngestWorker, Recording, RecordingEpoch, RecordingStatus
from rooms.models import Room, RoomState

HEARTBEAT_SECONDS: Final = 2.0
ALIVE_FOR: Final = timedelta(seconds=15)
"""What workers promise unless told otherwise: no heartbeat of theirs gets older."""

SESSIONS_PER_ROOM: Final = 25
"""A room's mix costs as much CPU as receiving so many speakers (measured: 2 % and 0.08 %)."""


class UnknownWorker(NotFound):
    code = "unknown_worker"
    title = "There is no such worker"


@dataclass(frozen=True, slots=True)
class Member:
    """One worker as an operator sees it; `rooms` counts the live ones that it receives."""

    worker: IngestWorker
    rooms: int
    alive: bool
    heartbeat_age_s: float

    @property
    def load(self) -> float:
        """In rooms: speakers count for `1 / SESSIONS_PER_ROOM`."""
        return self.rooms + self.worker.sessions / SESSIONS_PER_ROOM


def worker_id(data_dir: Path) -> UUID:
    """This disk's worker, named at its first start: journals are recovered where they lie."""
    path = data_dir / "worker_id"
    if not path.exists():
        create_once(path, str(uuid7()).encode())
    return UUID(path.read_text().strip())


async def beat(
    session: AsyncSession,
    worker: UUID,
    whip_url: str,
    *,
    alive_for: timedelta = ALIVE_FOR,
    sessions: int = 0,
    starting: bool = False,
) -> None:
    """Writes the worker's row: that it lives, how busy, and where WHIP clients reach it.

    One that is starting takes rooms again, whatever it was told before.
    """
    now = sa.func.now()
    changed: dict[str, Any] = {
        "whip_url": whip_url,
        "heartbeat_at": now,
        "alive_seconds": alive_for.total_seconds(),
        "sessions": sessions,
    }
    row = insert(IngestWorker).values({"id": worker, "started_at": now, **changed})
    if starting:
        changed |= {"started_at": now, "draining": False, "moving": False}
    await session.execute(row.on_conflict_do_update(index_elements=["id"], set_=changed))


async def drain(session: AsyncSession, worker: UUID, *, move: bool = False) -> None:
    """It claims no more rooms until its process starts again; with `move` it hands over those
    that it has.

    Raises UnknownWorker.
    """
    row = sa.update(IngestWorker).where(IngestWorker.id == worker)
    values = {"draining": True, **({"moving": True} if move else {})}
    changed = row.values(values).returning(IngestWorker.id)
    if await session.scalar(changed) is None:
        raise UnknownWorker(f"There is no worker {worker}.")


async def undrain(session: AsyncSession, worker: UUID) -> None:
    """It takes rooms again; those that it handed over stay where they are. Raises UnknownWorker."""
    row = sa.update(IngestWorker).where(IngestWorker.id == worker)
    changed = row.values({"draining": False, "moving": False}).returning(IngestWorker.id)
    if await session.scalar(changed) is None:
        raise UnknownWorker(f"There is no worker {worker}.")


async def is_drained(session: AsyncSession, worker: UUID) -> bool:
    """Whether it takes no more rooms."""
    draining = sa.select(IngestWorker.draining).where(IngestWorker.id == worker)
    return bool(await session.scalar(draining))


async def is_moving(session: AsyncSession, worker: UUID) -> bool:
    """Whether it was told to hand its rooms over."""
    moving = sa.select(IngestWorker.moving).where(IngestWorker.id == worker)
    return bool(await session.scalar(moving))


def is_alive() -> sa.ColumnElement[bool]:
    """Whether the worker's heartbeat is as young as it promised, in SQL."""
    return IngestWorker.heartbeat_at > sa.func.now() - _promised()


def _promised() -> sa.ColumnElement[timedelta]:
    return sa.func.make_interval(0, 0, 0, 0, 0, 0, IngestWorker.alive_seconds)


async def members(session: AsyncSession) -> list[Member]:
    """All workers that ever were, those that live and are least busy first."""
    age = sa.extract("epoch", sa.func.now() - IngestWorker.heartbeat_at)
    query = (
        sa.select(IngestWorker, sa.func.count(Room.id), is_alive(), age)
        .outerjoin(
            Recording,
            sa.and_(
                Recording.worker_id == IngestWorker.id, Recording.status == RecordingStatus.LIVE
            ),
        )
        .outerjoin(Room, sa.and_(Room.id == Recording.room_id, Room.state == RoomState.LIVE))
        .group_by(IngestWorker.id)
        .execution_options(populate_existing=True)
    )
    rows = await session.execute(query)
    found = [Member(one, rooms, alive, float(seconds)) for one, rooms, alive, seconds in rows]
    return sorted(found, key=lambda m: (not m.alive, m.load, m.worker.id))


async def takers(session: AsyncSession) -> dict[UUID, float]:
    """Loads of the workers that take rooms."""
    found = await members(session)
    return {m.worker.id: m.load for m in found if m.alive and not m.worker.draining}


async def heartbeats(session: AsyncSession) -> dict[UUID, tuple[datetime, float]]:
    """Each worker's last one, and for how many seconds it is good."""
    query = sa.select(IngestWorker.id, IngestWorker.heartbeat_at, IngestWorker.alive_seconds)
    return {row.id: (row.heartbeat_at, row.alive_seconds) for row in await session.execute(query)}


@dataclass(slots=True)
class SilenceWatch:
    """Which workers have been silent, while this one could read the database all the time.

    A heartbeat's age alone says too little: after an outage of the database all are old, and
    a worker that was stalled itself sees the others' age before they had their turn.
    """

    longest_step: float = 2 * HEARTBEAT_SECONDS
    """Seconds that one look counts for at most: more passed because the watcher stood still."""

    _seen: dict[UUID, datetime] = field(default_factory=dict)
    _silent_s: dict[UUID, float] = field(default_factory=dict)
    _looked_at: float | None = None

    def look(self, beats: Mapping[UUID, tuple[datetime, float]], now: float) -> set[UUID]:
        """Those whose heartbeat did not change for as long as they promised; `now` in seconds."""
        passed = 0.0 if self._looked_at is None else now - self._looked_at
        step = min(max(passed, 0.0), self.longest_step)
        for worker, (heartbeat_at, _) in beats.items():
            same = self._seen.get(worker) == heartbeat_at
            self._silent_s[worker] = self._silent_s[worker] + step if same else 0.0
            self._seen[worker] = heartbeat_at
        self._looked_at = now
        return {worker for worker, (_, limit) in beats.items() if self._silent_s[worker] >= limit}

    def forget(self) -> None:
        """The database was away: everybody's silence counts from the next look."""
        self._seen.clear()
        self._silent_s.clear()
        self._looked_at = None


async def is_awaited(session: AsyncSession, recording_id: UUID) -> bool:
    """Whether a worker that is alive has something that belongs into the recording."""
    query = (
        sa.select(RecordingEpoch.epoch)
        .join(Recording, Recording.id == RecordingEpoch.recording_id)
        .join(IngestWorker, IngestWorker.id == RecordingEpoch.worker_id)
        .where(RecordingEpoch.recording_id == recording_id, is_alive())
        .where(RecordingEpoch.epoch < Recording.epoch, RecordingEpoch.complete_until_ms.is_(None))
    )
    return await session.scalar(query) is not None
