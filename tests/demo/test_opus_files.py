"""Packets for speakers: their levels and lengths are those of the sound."""

from pathlib import Path

import numpy as np
import pytest

from demo.opus_files import FRAME_SAMPLES, RATE, encode, level_of, read_ogg, tone

SPEECH = sorted((Path(__file__).parents[2] / "demo" / "speech").glob("*.opus"))


def test_levels_are_decibels_below_overload() -> None:
    assert level_of(np.zeros(960, np.int16)) == 127
    assert level_of(np.full(960, 32767, np.int16)) == 0
    assert level_of(tone(0.02, peak=0.1)) == 23
    assert level_of(np.zeros(0, np.int16)) == 127


def test_pcm_becomes_one_packet_per_20_ms() -> None:
    packets = encode(tone(0.21))
    assert len(packets) == 10
    assert {p.samples for p in packets} == {FRAME_SAMPLES}
    assert {p.level for p in packets} <= {13, 14}
    assert 20_000 < sum(len(p.payload) for p in packets) * 8 / 0.2 < 60_000


@pytest.mark.parametrize("path", SPEECH[:2], ids=lambda p: p.stem)
def test_the_demos_speech_is_read_packet_by_packet(path: Path) -> None:
    packets = read_ogg(path)
    seconds = sum(p.samples for p in packets) / RATE
    assert 1 < seconds < 30
    assert min(p.level for p in packets) < 40, "somebody speaks"
    assert sum(len(p.payload) for p in packets) < path.stat().st_size
    assert read_ogg(path) is packets
