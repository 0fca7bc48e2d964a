"""Fixtures that tests of this package share."""

import pytest

from tests.rooms.conftest import House, house
from tests.transcripts.archive import Archive, make_archive

__all__ = ["archive", "house"]


@pytest.fixture
async def archive(house: House) -> Archive:
    return await make_archive(house)
