"""A process that claims rooms as fast as it can: started by a test, several at once."""

import asyncio
import sys
from datetime import timedelta
from uuid import UUID

from core.db import Database
from ingest.fleet import beat
from ingest.placement import Candidate, claim


async def main(url: str, worker: str, silent: str, rooms: list[str]) -> None:
    """Prints one line per placement: room, epoch."""
    database = Database(url, pool_size=4, idle_limit=timedelta(seconds=15))
    async with database.transaction() as session:
        await beat(session, UUID(worker), "http://worker")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    by = Candidate(UUID(worker), frozenset({UUID(silent)}))
    for room in rooms:
        async with database.transaction() as session:
            placement = await claim(session, UUID(room), by)
        if placement is not None:
            sys.stdout.write(f"{room} {placement.epoch}\n")
    sys.stdout.flush()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
