"""`python -m tests.payouts.killable_tips DATABASE ROOM PAYER...`: everybody tips the room at once,
twice, and the process is killed when the second batch is written but not committed.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from core.auth.principal import Kind, Principal
from core.db import Database
from payouts.tip_jar import TipJar
from payouts.tip_wishes import Asked, TipWish
from rooms.models import Room
from tests.payouts.tills import TERMS
from tests.payouts.tipping import CAPS


class Deadly(Database):
    batches = 0

    @asynccontextmanager
    async def raw(self) -> AsyncIterator[asyncpg.Connection]:
        async with super().raw() as raw:
            self.batches += 1
            if self.batches == 1:
                yield raw
                return
            async with raw.transaction():
                yield raw
                os.kill(os.getpid(), signal.SIGKILL)


def wishes(room: Room, payers: list[UUID], batch: str) -> list[Asked]:
    people = [Principal(Kind.USER, room.platform_id, payer) for payer in payers]
    return [
        Asked.of(one, room, TipWish(f"{batch}-{one.user_id}", 10), wanted_ms=0) for one in people
    ]


async def run(database_url: str, room_id: str, *payers: str) -> None:
    database = Deadly(database_url)
    async with database.transaction() as session:
        room = await session.get_one(Room, UUID(room_id))
    jar = TipJar(database, TERMS, CAPS)
    for batch in ("first", "second"):
        asked = wishes(room, [UUID(payer) for payer in payers], batch)
        await asyncio.gather(*map(jar.send, asked))


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
