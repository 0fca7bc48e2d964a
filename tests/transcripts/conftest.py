"""Fixtures that tests of this package share."""

import pytest

from tests.rooms.conftest import House, house
from tests.transcripts.archive import Archive, make_archive
from tests.transcripts.edited import Studio, make_studio

__all__ = ["archive", "house"]


@pytest.fixture
async def archive(house: House) -> Archive:
    return await make_archive(house)


@pytest.fixture
async def studio(house: House) -> Studio:
    return await make_studio(house)
