"""Fixtures that tests of this package share."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from tests.payouts.tills import Till, make_till


@pytest.fixture
async def till(session: AsyncSession) -> Till:
    return await make_till(session, creators=3)
