"""Ends live rooms that everybody left without ending them."""

import logging
from datetime import timedelta

from ingest.attendance import abandoned_rooms
from rooms.lifecycle import end_abandoned_room
from rooms.queries import lock_room
from workers.kinds import Tools

log = logging.getLogger(__name__)


async def end_abandoned_rooms(tools: Tools) -> None:
    """Each room in a transaction of its own, asked about again under its lock."""
    limit = timedelta(minutes=tools.settings.abandoned_room_minutes)
    if not limit:
        return
    async with tools.database.transaction() as session:
        found = await abandoned_rooms(session, limit)
    for room_id in found:
        async with tools.database.transaction() as session:
            await lock_room(session, room_id)
            if await abandoned_rooms(session, limit, room_id=room_id):
                await end_abandoned_room(session, room_id=room_id)
                log.info("room %s ended: nobody was connected for %s", room_id, limit)
