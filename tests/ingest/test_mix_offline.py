"""The pipeline's mix and tracks beside the same decoded sources put together offline."""

from pathlib import Path

import pytest

from tests.ingest.offline import compared, room

DECIBEL = 10 ** (1 / 20)


@pytest.mark.slow
def test_the_mix_is_as_good_as_aac_lets_it_be(tmp_path: Path) -> None:
    found = compared(tmp_path, room(12))
    assert found.misplaced_ms < 2.5
    assert found.track == 0, "a track holds the very packets"
    assert found.ours < found.aac * DECIBEL
    assert found.ours_segmental_db > found.aac_segmental_db - 1
