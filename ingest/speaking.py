"""Who is speaking, told to the room's pages: ephemeral, at most twice a second."""

import asyncio
import logging
from typing import Final
from uuid import UUID

from core.db import Database
from ingest.live_room import LiveRoom
from ingest.receiver import Receiver
from ingest.stage_sync import DATABASE_AWAY
from rooms.events import announce

log = logging.getLogger(__name__)

PERIOD_SECONDS: Final = 0.5
LOUD_PACKETS: Final = 3
"""In one period, to count as speech: 60 ms, more than a click."""
REPEAT_PERIODS: Final = 10
"""Somebody who talks on is announced again, for pages that opened meanwhile."""

Speaking = tuple[UUID, ...]


def heard_in(room: LiveRoom) -> Speaking:
    """Who has spoken since the last call, in the order of their ids."""
    loud: list[UUID] = []
    for participant_id, peer in room.peers.items():
        if peer.loud >= LOUD_PACKETS and room.may_be_heard(participant_id):
            loud.append(participant_id)
        peer.loud = 0
    return tuple(sorted(loud))


class SpeakingAnnouncer:
    """Announces changes, and every REPEAT_PERIODS whoever still speaks."""

    def __init__(self, receiver: Receiver, database: Database) -> None:
        self._receiver = receiver
        self._database = database
        self._announced: dict[UUID, Speaking] = {}
        self._periods = 0

    async def run(self) -> None:
        """Until cancelled. While the database is away nobody is told, and nobody waits."""
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            news = self.news()
            if news:
                await self._announce(news)

    def news(self) -> dict[UUID, Speaking]:
        """What pages don't know yet, by room."""
        self._periods += 1
        repeat = self._periods % REPEAT_PERIODS == 0
        now = {room_id: heard_in(room) for room_id, room in self._receiver.rooms.items()}
        news = {
            room_id: speaking
            for room_id, speaking in now.items()
            if speaking != self._announced.get(room_id, ()) or (repeat and speaking)
        }
        self._announced = now
        return news

    async def _announce(self, news: dict[UUID, Speaking]) -> None:
        try:
            async with asyncio.timeout(PERIOD_SECONDS), self._database.transaction() as session:
                for room_id, speaking in news.items():
                    participants = [str(participant_id) for participant_id in speaking]
                    await announce(session, room_id, "speaking", {"participants": participants})
        except DATABASE_AWAY as error:
            log.debug("speaking was not announced: %s", type(error).__name__)
