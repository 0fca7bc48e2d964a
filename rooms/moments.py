"""What was so at any second of a room: who was on stage, and what was on the record.

Read from the events, which never change: a tip that comes a year later finds the same stage.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from rooms.events import EventKind
from rooms.models import COURSE

_STARTS: Final = frozenset({EventKind.RECORDING_STARTED, EventKind.RECORDING_RESUMED})
_STOPS: Final = frozenset({EventKind.RECORDING_PAUSED, EventKind.RECORDING_STOPPED})

# One round trip. The kinds are written out: only so does the partial index serve it.
_READ: Final = sa.text(f"""
select coalesce(
        r.duration_ms, floor(extract(epoch from clock_timestamp() - r.live_at) * 1000)::bigint
    ) as now_ms,
    e.kind, e.room_ms, e.data->>'user_id' as user_id, (e.data->>'share_bps')::int as share_bps
from room r left join room_event e on e.room_id = r.id and e.kind in ({COURSE})
where r.id = :room_id order by e.seq
""").bindparams(sa.bindparam("room_id", type_=sa.Uuid()))  # fmt: skip  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Move:
    """Somebody comes on stage, or leaves it."""

    room_ms: int
    user_id: UUID
    on_stage: bool
    share_bps: int = 0


@dataclass(frozen=True, slots=True)
class Course:
    """The room so far; `now_ms` is its end once it has ended."""

    now_ms: int
    recorded: tuple[tuple[int, int], ...]
    """Stretches on the record: from, to."""

    moves: tuple[Move, ...]
    """In the order in which they happened."""

    def on_stage(self, room_ms: int) -> dict[UUID, int]:
        """Who was there at that moment, the first comers first, and the shares they agreed to."""
        there: dict[UUID, int] = {}
        for move in self.moves:
            if move.room_ms > room_ms:
                continue
            if move.on_stage:
                there[move.user_id] = move.share_bps
            else:
                there.pop(move.user_id, None)
        return there


async def course_of(session: AsyncSession, room_id: UUID) -> Course:
    """Of a room that is live or has ended."""
    rows = (await session.execute(_READ, {"room_id": room_id})).all()
    now_ms = max([rows[0].now_ms, *(row.room_ms or 0 for row in rows)])
    moves = tuple(
        Move(
            row.room_ms or 0,
            UUID(row.user_id),
            row.kind == EventKind.STAGE_JOINED,
            row.share_bps or 0,
        )
        for row in rows
        if row.user_id is not None
    )
    marks = [(row.room_ms or 0, row.kind) for row in rows if row.user_id is None and row.kind]
    return Course(now_ms, recorded(marks, now_ms), moves)


def recorded(marks: Iterable[tuple[int, str]], now_ms: int) -> tuple[tuple[int, int], ...]:
    """The stretches between the marks that start and stop the recording; none is empty."""
    stretches: list[tuple[int, int]] = []
    since: int | None = None
    for room_ms, kind in marks:
        if kind in _STARTS and since is None:
            since = room_ms
        elif kind in _STOPS and since is not None:
            stretches.append((since, room_ms))
            since = None
    if since is not None:
        stretches.append((since, now_ms))
    return tuple((start, end) for start, end in stretches if start < end)
