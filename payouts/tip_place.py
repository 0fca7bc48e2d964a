"""Pure functions: where a tip lands on its room's clock, and who shares it at that moment."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from payouts.postings import Share
from replay.roomtime import RoomTime, Stretch
from rooms.models import WHOLE_BPS
from rooms.moments import Course

_SAMPLES_PER_MS: Final = 48


def landed(course: Course, wanted_ms: float) -> int:
    """The nearest moment that was recorded: a moment off the record becomes the one where recording
    goes on, or the end.

    In a room that was never recorded it is the nearest moment from its beginning until now.
    """
    since, until = course.recorded[-1] if course.recorded else (0, -1)
    if since <= wanted_ms <= until:  # nearly every tip in a live room
        return int(wanted_ms)
    clock = _clock(course)
    if clock.spans:
        wanted_ms = clock.to_room(clock.to_media(wanted_ms))
    return min(max(int(wanted_ms), 0), course.now_ms)


def _clock(course: Course) -> RoomTime:
    stretches, media = [], 0
    for start, end in course.recorded:
        samples = (end - start) * _SAMPLES_PER_MS
        stretches.append(Stretch(media, samples, start))
        media += samples
    return RoomTime(stretches)


def earning(course: Course, room_ms: int, *, host: UUID, payer: UUID | None) -> list[Share]:
    """Who shares a tip for that moment; not those who have left Encore since."""
    there = course.on_stage(room_ms)
    return shares_of(there, host=None if host in course.gone else host, payer=payer)


def unpaid(course: Course, *, host: UUID, payer: UUID | None) -> list[tuple[int, int | None]]:
    """When nobody would share the payer's tip: from and until before a `room_ms`; None: no end."""
    stretches: list[tuple[int, int | None]] = []
    since: int | None = None
    for moment in sorted({0, *(move.room_ms for move in course.moves)}):
        if earning(course, moment, host=host, payer=payer):
            if since is not None:
                stretches.append((since, moment))
            since = None
        elif since is None:
            since = moment
    return stretches if since is None else [*stretches, (since, None)]


def shares_of(
    on_stage: Mapping[UUID, int], *, host: UUID | None, payer: UUID | None
) -> list[Share]:
    """Who shares a tip, with what weight; empty if that would be the payer alone.

    Each of n speakers has the share (in basis points) that they agreed to, divided by n; the host
    has the rest. The payer does not count, nor does a host who has left (None).
    """
    speakers = {who: bps for who, bps in on_stage.items() if who not in (host, payer)}
    shares = [Share(who, bps) for who, bps in speakers.items() if bps > 0]
    rest = len(speakers) * WHOLE_BPS - sum(speakers.values()) if speakers else 1
    if host is not None and host != payer and rest > 0:
        shares.append(Share(host, rest))
    return shares
