from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.payouts.sandbox.platform import Platform, platform


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Platform]:
    """A sandbox of its own; at the end of the run everything that it was asked is judged."""
    async with platform(tmp_path) as running:
        yield running
