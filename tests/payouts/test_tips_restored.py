"""A process goes on while its database is put back from a copy, or another server takes over."""

from urllib.parse import urlsplit

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Base, Database
from payouts.tip_jar import TipJar
from payouts.tip_wishes import Asked
from tests.factories import make_user
from tests.payouts.killable_tips import wishes
from tests.payouts.tills import TERMS
from tests.payouts.tipping import CAPS, Hall, make_hall
from tests.rooms.conftest import House


async def two_hosts(session: AsyncSession) -> tuple[Hall, Hall, Asked, Asked]:
    """Each with a room, and a tip for it."""
    hall = await make_hall(session)
    rival = await make_user(session, hall.house.platform, display_name="Rival")
    house = House(session, hall.house.platform, rival)
    other = Hall(house, await house.live_room())
    fan = (await hall.fan(100)).user_id
    assert fan is not None
    [mine], [theirs] = (wishes(each.room, [fan], each.room.id.hex) for each in (hall, other))
    return hall, other, mine, theirs


async def test_who_tips_after_that_pays_whom_they_tip(
    empty_url: str, raw: asyncpg.Connection
) -> None:
    """Accounts that were made since the copy are not there any more: others have their numbers."""
    database, name = Database(empty_url), urlsplit(empty_url).path[1:]
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with database.transaction() as session:
        hall, other, mine, theirs = await two_hosts(session)
    await database.close()
    await raw.execute(f"create database {name}_copy template {name}")
    jar = TipJar(database, TERMS, CAPS)
    await jar.send(mine)
    await database.close()
    await raw.execute(f"drop database {name}")
    await raw.execute(f"alter database {name}_copy rename to {name}")
    await TipJar(database, TERMS, CAPS).send(theirs)
    await jar.send(mine)
    async with database.transaction() as session:
        earned = await hall.on(session).earned(hall.host, other.host)
        assert await hall.on(session).broken() == await other.on(session).broken() == []
    await database.close()
    assert earned == [10, 10]
