"""What was so at any second of a room: who was on stage, and what was on the record.

Read from the events, which never change: a tip that comes a year later finds the same stage.
"""

from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.db import raw_connection
from rooms.events import EventKind

_STARTS: Final = frozenset({EventKind.RECORDING_STARTED, EventKind.RECORDING_RESUMED})
_STOPS: Final = frozenset({EventKind.RECORDING_PAUSED, EventKind.RECORDING_STOPPED})


class Move(NamedTuple):
    """Somebody comes on stage, or leaves it."""

    room_ms: int
    user_id: UUID
    on_stage: bool
    share_bps: int = 0
    gone: bool = False
    """Has left Encore since, for good."""


class Past(NamedTuple):
    """What events say of a course: the same for each `version` of it (`Room.course_version`)."""

    version: int
    latest_ms: int
    marks: tuple[tuple[int, str], ...]
    """Where the recording starts and stops: when, and the kind of the event."""

    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """The room so far; `now_ms` is its end once it has ended."""

    now_ms: int
    recorded: tuple[tuple[int, int], ...]
    """Stretches on the record: from, to."""

    moves: tuple[Move, ...]
    """In the order in which they happened."""

    @property
    def gone(self) -> frozenset[UUID]:
        """Of those who were ever on stage, who has left Encore since."""
        return frozenset(move.user_id for move in self.moves if move.gone)

    def on_stage(self, room_ms: int) -> dict[UUID, int]:
        """Who was there at that moment and has not left Encore since, the first comers first, and
        the shares they agreed to."""
        there: dict[UUID, int] = {}
        for move in self.moves:
            if move.room_ms > room_ms or move.gone:
                continue
            if move.on_stage:
                there[move.user_id] = move.share_bps
            else:
                there.pop(move.user_id, None)
        return there


def courses_from(
    rows: Iterable[Sequence[Any]], known: MutableMapping[UUID, Past]
) -> dict[UUID, Course]:
    """Of rooms that are live or have ended; `rows` are those of `room_courses`, which was told the
    versions of what is `known` and leaves that out. What is new is added to it."""
    courses: dict[UUID, Course] = {}
    for room_id, its_rows in groupby(rows, key=itemgetter(0)):
        told = list(its_rows)
        past = known.get(room_id)
        if past is None or past.version != told[0][1]:
            past = known[room_id] = _past(told)
        now_ms = max(told[0][2], past.latest_ms)
        courses[room_id] = Course(now_ms, recorded(past.marks, now_ms), past.moves)
    return courses


async def course_of(session: AsyncSession, room_id: UUID) -> Course:
    raw = await raw_connection(session)
    rows = await raw.fetch("select * from room_courses($1, null)", [room_id])
    return courses_from(rows, {})[room_id]


def _past(rows: Sequence[Sequence[Any]]) -> Past:
    latest_ms, moves, marks = 0, list[Move](), list[tuple[int, str]]()
    for _, _, _, kind, at, user_id, share_bps, gone in rows:
        room_ms = at or 0
        latest_ms = max(latest_ms, room_ms)
        if user_id is not None:
            joins = kind == EventKind.STAGE_JOINED
            moves.append(Move(room_ms, user_id, joins, share_bps or 0, bool(gone)))
        elif kind:
            marks.append((room_ms, kind))
    return Past(rows[0][1], latest_ms, tuple(marks), tuple(moves))


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
