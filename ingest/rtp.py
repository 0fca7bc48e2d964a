"""RTP packets (RFC 3550, 5.1), their header extensions (RFC 8285) and audio levels (RFC 6464).

Pure. `parse` reads what SRTP has authenticated, so it is strict and never guesses.
"""

import struct
from typing import Final, NamedTuple

from ingest.journal import NO_LEVEL

AUDIO_LEVEL_URI: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID_URI: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
MIN_HEADER_BYTES: Final = 12
RTCP: Final = frozenset(range(192, 224))
"""Second bytes by which RTCP is told from RTP on one port (RFC 5761, 4)."""

USUAL_HEADER: Final = struct.Struct("!BBHIIHHBB")
"""The fixed header, one extension's head, and its first element of one byte's value: what every
packet of most clients looks like, if `USUAL_FIRST` and `ONE_BYTE_PROFILE` are where they belong.
`parse` reads any other."""

USUAL_FIRST: Final = 0x90
"""Version 2 with an extension; no padding, no contributing sources."""

ONE_BYTE_PROFILE: Final = 0xBEDE
USUAL_PAYLOAD: Final = 16
"""Where the payload begins, and 4 bytes more for each word of the extension."""

_FIXED = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")
_TWO_BYTE_PROFILE = 0x1000  # the low four bits are free (RFC 8285, 4.3)
_EXTENSION_BIT = 0x10
_PADDING_BIT = 0x20

Buffer = bytes | bytearray | memoryview


class RtpError(ValueError):
    """The bytes are no RTP packet; nothing of it was used."""


class Packet(NamedTuple):
    """What the receiver needs; `level` is NO_LEVEL or 0 (loudest) to 127 dB below overload."""

    payload_type: int
    seq: int
    timestamp: int
    ssrc: int
    level: int
    start: int
    """Where the payload begins in the buffer."""
    end: int
    """Where it ends, padding left out."""


def parse(data: Buffer, size: int, level_id: int = 0) -> Packet:
    """Reads the packet in `data[:size]`; `level_id` is the negotiated audio level id, 0 for none.

    Raises RtpError.
    """
    if size < MIN_HEADER_BYTES:
        raise RtpError("shorter than a header")
    first, second, seq, timestamp, ssrc = _FIXED.unpack_from(data)
    if first >> 6 != 2:
        raise RtpError("not version 2")
    start = MIN_HEADER_BYTES + 4 * (first & 15)
    level = NO_LEVEL
    if first & _EXTENSION_BIT:
        if start + 4 > size:
            raise RtpError("extension outside the packet")
        profile, words = _EXTENSION.unpack_from(data, start)
        begin = start + 4
        start = begin + 4 * words
        if level_id and start <= size:
            if words and profile == ONE_BYTE_PROFILE and data[begin] >> 4 == level_id != 15:
                level = data[begin + 1] & 127  # where most clients put it
            else:
                level = _audio_level(data, begin, start, profile, level_id)
    end = size
    if first & _PADDING_BIT:
        end -= _padding(data, start, size)
    if start > end:
        raise RtpError("header longer than the packet")
    return Packet(second & 127, seq, timestamp, ssrc, level, start, end)


def _padding(data: Buffer, start: int, size: int) -> int:
    padding = data[size - 1]
    if padding == 0 or start + padding > size:
        raise RtpError("padding outside the payload")
    return padding


def _audio_level(data: Buffer, at: int, end: int, profile: int, level_id: int) -> int:
    """The level's seven bits; NO_LEVEL where the element is not there or runs over the end."""
    if profile == ONE_BYTE_PROFILE:
        return _one_byte_level(data, at, end, level_id)
    if profile & 0xFFF0 == _TWO_BYTE_PROFILE:
        return _two_byte_level(data, at, end, level_id)
    return NO_LEVEL


def _one_byte_level(data: Buffer, at: int, end: int, level_id: int) -> int:
    """Elements of id:4 length-1:4 (RFC 8285, 4.2); id 15 ends the reading."""
    while at < end:
        head = data[at]
        if head == 0:
            at += 1
            continue
        if head >> 4 == 15:
            break
        if head >> 4 == level_id:
            return data[at + 1] & 127 if at + 1 < end else NO_LEVEL
        at += 2 + (head & 15)
    return NO_LEVEL


def _two_byte_level(data: Buffer, at: int, end: int, level_id: int) -> int:
    """Elements of id:8 length:8 (RFC 8285, 4.3)."""
    while at < end:
        if data[at] == 0:
            at += 1
            continue
        if at + 1 >= end:
            break
        if data[at] == level_id:
            return data[at + 2] & 127 if data[at + 1] and at + 2 < end else NO_LEVEL
        at += 2 + data[at + 1]
    return NO_LEVEL


def pack(
    *,
    payload_type: int,
    seq: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    extensions: dict[int, bytes] | None = None,
    marker: bool = False,
) -> bytes:
    """A packet with one-byte extension elements: ids 1 to 14, each value 1 to 16 bytes."""
    first = 0x80 | (_EXTENSION_BIT if extensions else 0)
    head = _FIXED.pack(first, marker << 7 | payload_type, seq, timestamp, ssrc)
    if not extensions:
        return head + payload
    body = b"".join(
        bytes((number << 4 | len(value) - 1,)) + value for number, value in extensions.items()
    )
    body += bytes(-len(body) % 4)
    return head + _EXTENSION.pack(ONE_BYTE_PROFILE, len(body) // 4) + body + payload
