"""Fixtures that tests of this package share."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from tests.payouts.opening import open_shop
from tests.payouts.shop import Shop
from tests.payouts.tills import Till, make_till, on_our_clock


@pytest.fixture
async def till(session: AsyncSession) -> Till:
    await on_our_clock(session)
    return await make_till(session, creators=3)


@pytest.fixture(scope="session")
async def shop(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """One sandbox and one web process for all tests of a worker: each brings its own people."""
    async with open_shop(database, tmp_path_factory.mktemp("shop")) as shop:
        yield shop
