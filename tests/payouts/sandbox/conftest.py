from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.payouts.sandbox.judged import problems
from tests.payouts.sandbox.platform import Platform, platform


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Platform]:
    """A sandbox of its own; in the end everything that it was asked and answered is judged."""
    recording = tmp_path / "requests.jsonl"
    async with platform(tmp_path, recording=recording) as running:
        yield running
    assert problems(recording) == []
