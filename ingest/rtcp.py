"""RTCP: what a receiver reads (sender reports, BYE) and writes (receiver reports).

Pure (RFC 3550, 6). Compound packets are bounded by one datagram; unknown types are skipped.
"""

import struct
from dataclasses import dataclass
from typing import Final

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
GOODBYE: Final = 203
MAX_MESSAGES: Final = 32
"""Of one compound packet; clients send a report, a description, a BYE and feedback."""
MAX_REPORTS: Final = 31
"""A report holds at most 31 blocks (five bits count them)."""

_HEADER = struct.Struct("!BBH")
_SENDER = struct.Struct("!IQIII")
_BLOCK = struct.Struct("!IIIIII")
_U32 = struct.Struct("!I")


class RtcpError(ValueError):
    """The bytes are no compound RTCP packet."""


@dataclass(frozen=True, slots=True)
class SenderReport:
    """`ntp` is 32.32 fixed point since 1900, the sender's wall clock at RTP time `timestamp`."""

    ssrc: int
    ntp: int
    timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class Goodbye:
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """One block of a receiver report (RFC 3550, 6.4.1), in wire units.

    `fraction_lost` is in 1/256; `lost` is signed; `last_report` and `delay` are in 1/65536 s.
    """

    ssrc: int
    fraction_lost: int
    lost: int
    highest_seq: int
    jitter: int
    last_report: int
    delay: int


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    ssrc: int
    reports: tuple[ReceptionReport, ...]


Message = SenderReport | ReceiverReport | Goodbye


def parse(data: bytes) -> list[Message]:
    """The messages of a compound packet that this receiver knows. Raises RtcpError."""
    messages: list[Message] = []
    at = count = 0
    while at < len(data):
        count += 1
        if count > MAX_MESSAGES:
            raise RtcpError("too many messages")
        if at + 4 > len(data):
            raise RtcpError("a header is cut off")
        first, kind, words = _HEADER.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > len(data):
            raise RtcpError("not an RTCP packet")
        body = data[at + 4 : end - _padding(first, data[at + 4 : end])]
        message = _read(kind, first & 31, body)
        if message is not None:
            messages.append(message)
        at = end
    return messages


def _padding(first: int, body: bytes) -> int:
    if not first & 0x20:
        return 0
    if not body or body[-1] == 0 or body[-1] > len(body):
        raise RtcpError("padding outside the packet")
    return body[-1]


def _read(kind: int, count: int, body: bytes) -> Message | None:
    if kind == SENDER_REPORT:
        if len(body) < _SENDER.size:
            raise RtcpError("a sender report is cut off")
        return SenderReport(*_SENDER.unpack_from(body))
    if kind == RECEIVER_REPORT:
        if len(body) < 4 + _BLOCK.size * count:
            raise RtcpError("a receiver report is cut off")
        blocks = (_unpack_block(body, 4 + _BLOCK.size * n) for n in range(count))
        return ReceiverReport(_U32.unpack_from(body)[0], tuple(blocks))
    if kind == GOODBYE:
        if len(body) < 4 * count:
            raise RtcpError("a BYE is cut off")
        return Goodbye(struct.unpack_from(f"!{count}I", body))
    return None


def _unpack_block(body: bytes, at: int) -> ReceptionReport:
    ssrc, loss, highest, jitter, last_report, delay = _BLOCK.unpack_from(body, at)
    lost = loss & 0xFFFFFF
    lost -= (lost & 0x800000) << 1
    return ReceptionReport(ssrc, loss >> 24, lost, highest, jitter, last_report, delay)


def pack_receiver_report(ssrc: int, reports: list[ReceptionReport], cname: str) -> bytes:
    """A compound packet: report, then the CNAME that RFC 3550, 6.1 asks for."""
    reports = reports[:MAX_REPORTS]
    body = _U32.pack(ssrc) + b"".join(_pack_block(r) for r in reports)
    head = _HEADER.pack(0x80 | len(reports), RECEIVER_REPORT, len(body) // 4)
    return head + body + _pack_cname(ssrc, cname)


def _pack_block(report: ReceptionReport) -> bytes:
    lost = max(-0x800000, min(0x7FFFFF, report.lost)) & 0xFFFFFF
    return _BLOCK.pack(
        report.ssrc,
        report.fraction_lost << 24 | lost,
        report.highest_seq,
        report.jitter,
        report.last_report,
        report.delay,
    )


def _pack_cname(ssrc: int, cname: str) -> bytes:
    text = cname.encode()[:255]
    body = _U32.pack(ssrc) + bytes((1, len(text))) + text
    # An item list ends with at least one zero byte, then is padded to 32 bits.
    body += bytes(4 - len(body) % 4)
    return _HEADER.pack(0x81, SOURCE_DESCRIPTION, len(body) // 4) + body
