"""One contract for libopus by ctypes and for the fallback through PyAV."""

import av
import numpy as np
import pytest

from ingest.decoder import Decoder, LibopusDecoder, PyAVDecoder, libopus, make_decoder
from ingest.opus import LOOKAHEAD, SILENCE
from tests.ingest.journals import opus, tone


def test_libopus_is_in_the_bundle() -> None:
    """Names what breaks when PyAV packs its libraries differently: speed and concealment."""
    assert isinstance(make_decoder(), LibopusDecoder), av.__version__


@pytest.fixture(params=["libopus", "pyav"])
def decoder(request: pytest.FixtureRequest) -> Decoder:
    if request.param == "pyav":
        return PyAVDecoder()
    library = libopus()
    assert library is not None
    return LibopusDecoder(library)


@pytest.mark.parametrize("frame_ms", [10, 20, 60])
def test_decodes_what_was_encoded(decoder: Decoder, frame_ms: float) -> None:
    signal = tone(1.0)
    pcm = np.concatenate([decoder.decode(p).copy() for p in opus(signal, frame_ms=frame_ms)])
    assert pcm.dtype == np.float32
    heard = pcm[LOOKAHEAD + 9600 :]
    assert np.sqrt(np.mean((heard - signal[9600 : 9600 + heard.size]) ** 2)) < 0.08


def test_every_packet_gives_its_length(decoder: Decoder) -> None:
    for packet in [*opus(tone(0.2)), SILENCE]:
        assert decoder.decode(packet).size == 960


@pytest.mark.parametrize("payload", [b"", b"\xfb", b"\xfb\x3f"])
def test_malformed_packets_are_empty(decoder: Decoder, payload: bytes) -> None:
    assert decoder.decode(payload).size == 0
    assert decoder.decode(SILENCE).size == 960


def test_concealment_has_the_length_that_was_asked_for(decoder: Decoder) -> None:
    packets = opus(tone(0.2))
    decoder.decode(packets[0])
    assert decoder.conceal(960, None).size == 960
    assert decoder.conceal(960, packets[2]).size == 960


def test_libopus_conceals_with_sound() -> None:
    decoder = make_decoder()
    packets = opus(tone(0.4))
    for packet in packets[:10]:
        decoder.decode(packet)
    assert abs(decoder.conceal(960, None)).max() > 0.05
