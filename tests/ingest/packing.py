"""What only others write: RTCP of clients; and records of packets, as the journal's head says."""

import struct

from ingest.journal import PACKET, Packet
from ingest.rtcp import GOODBYE, MAX_REPORTS, SENDER_REPORT, SenderReport


def pack_packet(packet: Packet) -> bytes:
    """One record; `Peer.on_rtp` packs it over the RTP header."""
    size = len(packet.payload)
    first = packet.age + 128 if packet.age < 128 else packet.age - 125
    fields = (first, packet.level, packet.stream, packet.seq, size, packet.timestamp)
    return PACKET.pack(*fields) + packet.payload


def pack_goodbye(ssrcs: list[int]) -> bytes:
    """At most 31 sources."""
    ssrcs = ssrcs[:MAX_REPORTS]
    head = struct.pack("!BBH", 0x80 | len(ssrcs), GOODBYE, len(ssrcs))
    return head + struct.pack(f"!{len(ssrcs)}I", *ssrcs)


def pack_sender_report(report: SenderReport) -> bytes:
    """Without report blocks."""
    fields = (report.ssrc, report.ntp, report.timestamp, report.packets, report.octets)
    return struct.pack("!BBHIQIII", 0x80, SENDER_REPORT, 6, *fields)
