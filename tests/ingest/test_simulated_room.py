"""A room of two hours whose clocks, networks and silences are as bad as they come."""

from dataclasses import replace

import pytest

from bench.timeline import SPEAKERS, p99, simulate


@pytest.mark.slow
def test_p99_of_two_hours_is_below_5_ms() -> None:
    """Of the bench's speakers those of most trouble, in packets of 40 and 20 ms."""
    slow, dtx, stalls = (SPEAKERS[at] for at in (1, 3, 5))
    tracks = simulate((replace(slow, samples=1920), dtx, stalls), seed=7)
    assert p99(tracks) < 5
    for track in tracks:
        assert track.percentile(99) < 5, track.speaker.name
        assert track.errors.max() < 60, track.speaker.name
        counts = track.counts
        assert counts.malformed == counts.duplicate == 0
        assert counts.cut + counts.late < track.errors.size * 0.001
        lost_share = counts.lost / (counts.lost + track.errors.size)
        assert lost_share == pytest.approx(track.speaker.loss, rel=0.1)
