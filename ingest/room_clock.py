"""The room's clock on one machine: the database's go-live time, counted by the monotonic clock."""

import time
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from core.db import Database


def monotonic_us() -> int:
    return time.monotonic_ns() // 1000


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """`unix_us` of the database at `monotonic_us` of this machine, halfway through the question."""

    unix_us: int
    monotonic_us: int

    def zero(self, live_at: datetime) -> int:
        """The monotonic microsecond at which a room that went live at `live_at` began."""
        return self.monotonic_us - (self.unix_us - unix_us(live_at))


def unix_us(moment: datetime) -> int:
    """Microseconds since 1970, exactly (a float of seconds would lose some)."""
    seconds = int(moment.replace(microsecond=0).timestamp())
    return seconds * 1_000_000 + moment.microsecond


async def measure_offset(database: Database, *, rounds: int = 3) -> ClockOffset:
    """Asks the database for its clock; of `rounds` answers the quickest counts."""
    best: tuple[int, ClockOffset] | None = None
    async with database.transaction() as session:
        for _ in range(rounds):
            asked = monotonic_us()
            now = (await session.scalars(sa.select(sa.func.clock_timestamp()))).one()
            took = monotonic_us() - asked
            if best is None or took < best[0]:
                best = took, ClockOffset(unix_us(now), asked + took // 2)
    if best is None:
        raise ValueError("rounds must be at least 1")
    return best[1]


class RoomClock:
    """Microseconds since go-live; never falls, and never lies before `floor_us`."""

    def __init__(self, zero_us: int, *, floor_us: int = 0) -> None:
        self.zero_us = zero_us
        self._last = floor_us

    def at(self, now_us: int) -> int:
        self._last = max(self._last, now_us - self.zero_us)
        return self._last
