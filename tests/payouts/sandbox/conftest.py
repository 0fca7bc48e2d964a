from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.payouts.sandbox.platform import Platform, platform


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Platform]:
    """A sandbox of its own, with everything that it is asked recorded beside it."""
    async with platform(tmp_path, recording=tmp_path / "requests.jsonl") as running:
        yield running
