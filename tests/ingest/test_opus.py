import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.decoder import make_decoder
from ingest.opus import GRID, SILENCE, is_tiny, packet_samples, silence
from tests.ingest.journals import opus, tone

FRAMES_MS = [2.5, 5, 10, 20, 40, 60, 80, 120]


@pytest.mark.parametrize("frame_ms", FRAMES_MS)
def test_the_toc_says_what_the_encoder_was_told(frame_ms: float) -> None:
    for packet in opus(tone(0.5), frame_ms=frame_ms):
        assert packet_samples(packet) == frame_ms * 48


@given(st.binary(max_size=40))
@settings(deadline=None)
def test_any_bytes_are_a_duration_on_the_grid_or_malformed(payload: bytes) -> None:
    samples = packet_samples(payload)
    assert samples % GRID == 0
    assert 0 <= samples <= 5760


@given(st.integers(0, 255), st.integers(0, 63), st.integers(0, 20))
@settings(deadline=None)
def test_durations_agree_with_libopus(toc: int, count: int, size: int) -> None:
    """Whatever libopus decodes is as long as the TOC promised (RFC 6716, 3.1)."""
    payload = bytes([toc & 0xFC | 3, count]) + bytes(size * max(count, 1))
    decoded = make_decoder().decode(payload).size
    if decoded:
        assert decoded == packet_samples(payload)


@pytest.mark.parametrize(
    ("config", "milliseconds"),
    [(0, 10), (3, 60), (11, 60), (12, 10), (13, 20), (15, 20), (16, 2.5), (28, 2.5), (31, 20)],
)
def test_configurations_of_the_table(config: int, milliseconds: float) -> None:
    """RFC 6716, table 2."""
    assert packet_samples(bytes([config << 3, 0])) == milliseconds * 48
    assert packet_samples(bytes([config << 3 | 1, 0, 0])) == milliseconds * 96


def test_too_long_or_empty_packets_are_malformed() -> None:
    assert packet_samples(b"") == 0
    assert packet_samples(b"\xfb") == 0
    assert packet_samples(bytes([0xFB, 0])) == 0
    assert packet_samples(bytes([0xFB, 7])) == 0
    assert packet_samples(bytes([0xFB, 6])) == 5760


@given(st.integers(0, 4000))
@settings(deadline=None)
def test_silence_fills_any_length_on_the_grid(slots: int) -> None:
    packets = silence(slots * GRID)
    assert sum(samples for _, samples in packets) == slots * GRID
    assert all(packet_samples(payload) == samples for payload, samples in packets)


def test_silence_off_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        silence(121)


@pytest.mark.parametrize("samples", [120, 240, 480, 960])
def test_silence_is_silent(samples: int) -> None:
    pcm = make_decoder().decode(silence(samples)[0][0])
    assert pcm.size == samples
    assert abs(pcm).max() < 1e-6


def test_tiny_packets() -> None:
    assert is_tiny(SILENCE)
    assert is_tiny(b"\x78")
    assert not any(is_tiny(packet) for packet in opus(tone(0.2)))
    assert is_tiny(bytes.fromhex("fb03fffefffefffe"))
