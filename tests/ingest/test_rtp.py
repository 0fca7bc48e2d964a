"""RTP headers as senders write them, and as nobody should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import rtcp
from ingest.journal import NO_LEVEL
from ingest.rtp import RTCP, RtpError, pack, parse

U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)
ELEMENTS = st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=6)


@given(
    payload_type=st.integers(0, 127),
    seq=U16,
    timestamp=U32,
    ssrc=U32,
    payload=st.binary(max_size=200),
    extensions=ELEMENTS,
    level_id=st.integers(0, 14),
)
def test_what_is_packed_is_parsed(
    payload_type: int,
    seq: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    extensions: dict[int, bytes],
    level_id: int,
) -> None:
    data = pack(
        payload_type=payload_type,
        seq=seq,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=payload,
        extensions=extensions,
    )
    packet = parse(data, len(data), level_id)
    assert packet[:4] == (payload_type, seq, timestamp, ssrc)
    assert data[packet.start : packet.end] == payload
    expected = extensions[level_id][0] & 127 if level_id in extensions else NO_LEVEL
    assert packet.level == expected


@given(data=st.binary(max_size=80), level_id=st.integers(0, 255))
def test_any_bytes_parse_or_raise_rtp_error(data: bytes, level_id: int) -> None:
    try:
        packet = parse(data, len(data), level_id)
    except RtpError:
        return
    assert 12 <= packet.start <= packet.end <= len(data)


@given(data=st.binary(min_size=12, max_size=60), first=st.sampled_from([0x90, 0xB0, 0x9F, 0xA0]))
def test_any_extension_and_padding_parse_or_raise(data: bytes, first: int) -> None:
    forged = bytes([first]) + data[1:]
    try:
        packet = parse(forged, len(forged), 1)
    except RtpError:
        return
    assert packet.end <= len(forged)


def test_nothing_behind_the_datagram_is_read() -> None:
    """The receiver's buffer still holds the packet before."""
    old = pack(payload_type=111, seq=1, timestamp=1, ssrc=1, payload=b"x" * 50)
    with pytest.raises(RtpError):
        parse(old, 11)
    assert parse(old, 20).end == 20


def test_two_byte_extensions_hold_a_level_too() -> None:
    body = bytes([3, 0, 9, 1, 0x80 | 33, 0, 0, 0])
    data = bytes([0x90, 111]) + bytes(10) + b"\x10\x00\x00\x02" + body + b"opus"
    packet = parse(data, len(data), 9)
    assert packet.level == 33
    assert data[packet.start : packet.end] == b"opus"


def test_an_element_that_runs_over_the_end_is_no_level() -> None:
    data = bytes([0x90, 111]) + bytes(10) + b"\xbe\xde\x00\x01" + bytes([0, 0, 0, 0x10])
    assert parse(data, len(data), 1).level == NO_LEVEL


def test_id_15_ends_the_elements() -> None:
    data = bytes([0x90, 111]) + bytes(10) + b"\xbe\xde\x00\x01" + bytes([0xF0, 0, 0x10, 5])
    assert parse(data, len(data), 1).level == NO_LEVEL


def test_padding_and_contributing_sources_are_no_payload() -> None:
    data = bytes([0xA2, 111]) + bytes(10) + bytes(8) + b"opus" + bytes([0, 0, 3])
    packet = parse(data, len(data))
    assert data[packet.start : packet.end] == b"opus"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x80" * 11, "shorter"),
        (bytes([0x40]) + bytes(20), "version"),
        (bytes([0x8F]) + bytes(20), "longer"),
        (bytes([0x90]) + bytes(11), "outside"),
        (bytes([0x90]) + bytes(11) + b"\xbe\xde\x00\x09" + bytes(4), "longer"),
        (bytes([0xA0]) + bytes(11) + bytes([200]), "padding"),
        (bytes([0xA0]) + bytes(12), "padding"),
    ],
)
def test_refused(data: bytes, why: str) -> None:
    with pytest.raises(RtpError, match=why):
        parse(data, len(data))


def test_rtcp_is_told_by_its_second_byte() -> None:
    assert {rtcp.SENDER_REPORT, rtcp.RECEIVER_REPORT} < RTCP
    assert not {0x80 | 111, 111} & RTCP
