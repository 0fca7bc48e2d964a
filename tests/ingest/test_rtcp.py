"""RTCP compounds, with aiortc's parser as the other end."""

import pytest
from aiortc.rtp import RtcpPacket, RtcpRrPacket, RtcpSdesPacket
from hypothesis import given
from hypothesis import strategies as st

from ingest.rtcp import (
    Goodbye,
    ReceiverReport,
    ReceptionReport,
    RtcpError,
    SenderReport,
    pack_receiver_report,
    parse,
)
from tests.ingest.packing import pack_goodbye, pack_sender_report

U32 = st.integers(0, 0xFFFFFFFF)
BLOCKS = st.builds(
    ReceptionReport,
    ssrc=U32,
    fraction_lost=st.integers(0, 255),
    lost=st.integers(-0x800000, 0x7FFFFF),
    highest_seq=U32,
    jitter=U32,
    last_report=U32,
    delay=U32,
)
SENDERS = st.builds(
    SenderReport, ssrc=U32, ntp=st.integers(0, 2**64 - 1), timestamp=U32, packets=U32, octets=U32
)


@given(ssrc=U32, blocks=st.lists(BLOCKS, max_size=31), cname=st.text("abcdef0123456789"))
def test_receiver_reports_round_trip(ssrc: int, blocks: list[ReceptionReport], cname: str) -> None:
    data = pack_receiver_report(ssrc, blocks, cname)
    assert len(data) % 4 == 0
    assert parse(data) == [ReceiverReport(ssrc, tuple(blocks))]


@given(sender=SENDERS, sources=st.lists(U32, max_size=31))
def test_compounds_round_trip(sender: SenderReport, sources: list[int]) -> None:
    assert parse(pack_sender_report(sender) + pack_goodbye(sources)) == [
        sender,
        Goodbye(tuple(sources)),
    ]


@given(st.binary(max_size=120))
def test_any_bytes_parse_or_raise_rtcp_error(data: bytes) -> None:
    try:
        parse(data)
    except RtcpError:
        return
    assert len(data) % 4 == 0


def test_aiortc_reads_our_report() -> None:
    block = ReceptionReport(77, 12, -3, 70_000, 99, 5, 6)
    report, names = RtcpPacket.parse(pack_receiver_report(9, [block], "encore"))
    assert isinstance(report, RtcpRrPacket)
    assert isinstance(names, RtcpSdesPacket)
    assert report.ssrc == 9
    read = report.reports[0]
    assert (read.ssrc, read.fraction_lost, read.packets_lost) == (77, 12, -3)
    assert (read.highest_sequence, read.jitter, read.lsr, read.dlsr) == (70_000, 99, 5, 6)
    assert names.chunks[0].items == [(1, b"encore")]


@pytest.mark.parametrize(
    "data",
    [b"\x80", b"\x80\xc8\x00\x09" + bytes(4), b"\x40\xc8\x00\x00", b"\x80\xc8\x00\x00"],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(RtcpError):
        parse(data)
