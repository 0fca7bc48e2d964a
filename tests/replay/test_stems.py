"""What was lost on the way to a track is concealed when it is decoded, if it is short."""

import numpy as np
import pytest

from ingest.fmp4 import fragment
from ingest.opus import SILENCE, silence
from replay.stems import Stem
from tests.ingest.journals import Pcm, opus, tone

FRAME = 960
AT = slice(20 * FRAME, 21 * FRAME)
"""Where the first lost packet's sound was, after the decoder's look-ahead."""


def played(packets: list[tuple[bytes, int]]) -> Pcm:
    parts = list(Stem("opus").segment(fragment(1, 0, packets), discontinuity=False))
    return np.concatenate(parts)


def said(*, lost: int, at: int = 20) -> list[tuple[bytes, int]]:
    """A second of a tone; the packager has put silence for `lost` packets."""
    packets = [(packet, FRAME) for packet in opus(tone(1.0))]
    return packets[:at] + silence(lost * FRAME) + packets[at + lost :]


def loudness(sound: Pcm) -> float:
    return float(np.sqrt(np.mean(np.square(sound))))


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_short_loss_is_concealed(lost: int) -> None:
    whole, heard = played(said(lost=0)), played(said(lost=lost))
    assert heard.size == whole.size
    assert loudness(heard[AT]) == pytest.approx(loudness(whole[AT]), rel=0.3)


def test_a_longer_pause_is_none() -> None:
    heard = played(said(lost=4))
    assert loudness(heard[21 * FRAME : 24 * FRAME]) < 0.01


def test_nothing_is_made_up_where_nothing_was_said_before_or_after() -> None:
    assert loudness(played(said(lost=2, at=0))[: 2 * FRAME]) < 0.01
    assert loudness(played(said(lost=2, at=48))[-FRAME:]) < 0.01


def test_parts_of_a_packet_that_clocks_leave_open_are_filled_too() -> None:
    packets = [(packet, FRAME) for packet in opus(tone(1.0))]
    heard = played(packets[:20] + silence(240) + packets[20:])
    assert heard.size == 48_000 + 240
    assert loudness(heard[AT.start : AT.start + 240]) > 0.1


def test_silence_stays_silence() -> None:
    assert loudness(played([(SILENCE, FRAME)] * 10)) < 1e-6
