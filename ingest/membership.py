"""This worker among the others: it says that it lives, and notices who does not."""

import time
from collections.abc import Collection
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ingest.fleet import (
    ALIVE_FOR,
    HEARTBEAT_SECONDS,
    SilenceWatch,
    beat,
    drain,
    heartbeats,
    is_moving,
    takers,
)
from ingest.placement import Candidate

BEATS_PER_PROMISE: Final = 5
"""So often at least it beats within the time that it promised."""


class Membership:
    """One worker's part in the fleet; `alive_for` is what it promises the others."""

    def __init__(self, worker: UUID, whip_url: str, alive_for: timedelta = ALIVE_FOR) -> None:
        self.worker = worker
        self.interval_s = min(HEARTBEAT_SECONDS, alive_for.total_seconds() / BEATS_PER_PROMISE)
        self.moving = False
        """It was told to hand its rooms over."""

        self._whip_url = whip_url
        self._alive_for = alive_for
        self._watch = SilenceWatch(longest_step=2 * self.interval_s)
        self._silent: set[UUID] = set()
        self._registered = False

    async def beat(self, session: AsyncSession, *, sessions: int) -> None:
        """Its heartbeat, and a look at those of the others."""
        await beat(
            session,
            self.worker,
            self._whip_url,
            alive_for=self._alive_for,
            sessions=sessions,
            starting=not self._registered,
        )
        self.moving = await is_moving(session, self.worker)
        self._silent = self._watch.look(await heartbeats(session), time.monotonic())

    def note_registered(self) -> None:
        """The beat is committed."""
        self._registered = True

    def note_away(self) -> None:
        """The database is away: nobody's silence is known."""
        self._watch.forget()
        self._silent = set()

    def candidate(self, held: Collection[str]) -> Candidate:
        """As it claims; of `held` recordings files of an earlier epoch lie here still."""
        return Candidate(self.worker, frozenset(self._silent), tuple(held))

    async def retire(self, session: AsyncSession) -> bool:
        """It takes no more rooms; whether it hands over those that it has, to others alive."""
        others = (await takers(session)).keys() - {self.worker}
        await drain(session, self.worker, move=bool(others))
        self.moving = bool(others)
        return self.moving
