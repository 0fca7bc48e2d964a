"""Segments read back by PyAV's demuxer: times, durations and bytes are exact."""

import io
import struct

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.aac import BIT_RATE, AacEncoder, audio_specific_config
from ingest.fmp4 import aac_entry, fragment, init_segment, opus_entry
from ingest.opus import LOOKAHEAD
from tests.ingest.journals import opus, tone

Packets = list[tuple[bytes, int]]


def demux(data: bytes) -> list[tuple[int | None, int | None, bytes]]:
    with av.open(io.BytesIO(data), mode="r") as container:
        return [(p.pts, p.duration, bytes(p)) for p in container.demux(audio=0) if p.size]


def boxes(data: bytes) -> list[bytes]:
    names, at = [], 0
    while at < len(data):
        size, name = struct.unpack_from("!I4s", data, at)
        names.append(name)
        at += size
    assert at == len(data)
    return names


def test_an_init_segment_says_codec_rate_and_channels() -> None:
    data = init_segment(opus_entry()) + fragment(1, 0, [(p, 960) for p in opus(tone(0.2))])
    assert boxes(data) == [b"ftyp", b"moov", b"moof", b"mdat"]
    with av.open(io.BytesIO(data), mode="r") as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.rate) == ("opus", 48_000)
        assert stream.codec_context.layout.nb_channels == 1
        head = bytes(stream.codec_context.extradata or b"")
    assert head.startswith(b"OpusHead")
    assert struct.unpack_from("<H", head, 10)[0] == LOOKAHEAD


@given(
    st.integers(0, 2**40),
    st.lists(
        st.lists(
            st.tuples(st.binary(min_size=1, max_size=60), st.integers(1, 6000)),
            min_size=1,
            max_size=20,
        ),
        min_size=1,
        max_size=4,
    ),
)
@settings(deadline=None, max_examples=50)
def test_every_time_and_byte_comes_back(start: int, fragments: list[Packets]) -> None:
    data, at = init_segment(opus_entry()), start
    wanted: list[tuple[int, int, bytes]] = []
    for number, packets in enumerate(fragments):
        data += fragment(number + 1, at, packets)
        for payload, samples in packets:
            wanted.append((at, samples, payload))
            at += samples
    assert demux(data) == wanted


def test_a_hole_between_fragments_is_kept() -> None:
    packets = [(p, 960) for p in opus(tone(0.1))]
    data = init_segment(opus_entry()) + fragment(1, 0, packets) + fragment(2, 480_000, packets)
    times = [pts for pts, _, _ in demux(data)]
    assert times[4:6] == [4 * 960, 480_000]


@pytest.mark.parametrize("last", [1, 480, 1024])
def test_aac_with_a_last_frame_cut_short(last: int) -> None:
    encoder = AacEncoder()
    signal = tone(1.024 * 10)[: 20 * 1024]
    frames: list[bytes] = []
    for at in range(0, signal.size, 1024):
        frames += encoder.encode(signal[at : at + 1024])
    frames += encoder.flush()
    assert len(frames) == 20
    packets = [(f, 1024) for f in frames[:-1]] + [(frames[-1], last)]
    entry = aac_entry(audio_specific_config(), BIT_RATE)
    read = demux(init_segment(entry) + fragment(1, 96_000, packets))
    assert [d for _, d, _ in read] == [1024] * 19 + [last]
    assert read[0][0] == 96_000
