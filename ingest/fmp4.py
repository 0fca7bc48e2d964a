"""CMAF for packets that are encoded already: an init segment, then moof + mdat (ISO 14496-12)."""

import struct
from collections.abc import Sequence
from typing import Final

from ingest.opus import LOOKAHEAD, RATE

_MATRIX: Final = struct.pack("!9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_SYNC_SAMPLE: Final = 0x02000000
_DEFAULT_BASE_IS_MOOF: Final = 0x020000
_TFHD_DEFAULT_FLAGS: Final = 0x000020
_TRUN_OFFSET_DURATIONS_SIZES: Final = 0x000301
_UNDETERMINED: Final = 0x55C4


def _box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack("!I4s", 8 + len(body), name) + body


def _full(name: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(name, struct.pack("!I", version << 24 | flags), *parts)


def _descriptor(tag: int, body: bytes) -> bytes:
    return bytes([tag, 0x80, 0x80, 0x80, len(body)]) + body


def _sample_entry(name: bytes, extension: bytes) -> bytes:
    return _box(
        name,
        bytes(6) + b"\0\1" + bytes(8),
        struct.pack("!HHHHI", 1, 16, 0, 0, RATE << 16),
        extension,
    )


def opus_entry(channels: int = 1) -> bytes:
    """`Opus` with its dOps box (Opus in ISOBMFF, 4.3.2)."""
    dops = struct.pack("!BBHIhB", 0, channels, LOOKAHEAD, RATE, 0, 0)
    return _sample_entry(b"Opus", _box(b"dOps", dops))


def aac_entry(config: bytes, bit_rate: int) -> bytes:
    """`mp4a` with the AudioSpecificConfig in its esds box (ISO 14496-14, 5.6)."""
    decoder = b"\x40\x15\0\0\0" + struct.pack("!II", bit_rate, bit_rate)
    stream = b"\0\1\0" + _descriptor(4, decoder + _descriptor(5, config)) + _descriptor(6, b"\2")
    return _sample_entry(b"mp4a", _full(b"esds", 0, 0, _descriptor(3, stream)))


def init_segment(entry: bytes) -> bytes:
    """ftyp and moov of one audio track on a 48 kHz timescale."""
    brands = _box(b"ftyp", b"iso6", bytes(4), b"iso6cmfcmp41")
    movie = struct.pack("!IIIIIH", 0, 0, RATE, 0, 0x10000, 0x100)
    mvhd = _full(b"mvhd", 0, 0, movie, bytes(10), _MATRIX, bytes(24), struct.pack("!I", 2))
    mvex = _box(b"mvex", _full(b"trex", 0, 0, struct.pack("!IIIII", 1, 1, 0, 0, 0)))
    return brands + _box(b"moov", mvhd, _track(entry), mvex)


def _track(entry: bytes) -> bytes:
    tables = _box(
        b"stbl",
        _full(b"stsd", 0, 0, b"\0\0\0\1", entry),
        _full(b"stts", 0, 0, bytes(4)),
        _full(b"stsc", 0, 0, bytes(4)),
        _full(b"stsz", 0, 0, bytes(8)),
        _full(b"stco", 0, 0, bytes(4)),
    )
    here = _box(b"dinf", _full(b"dref", 0, 0, b"\0\0\0\1", _full(b"url ", 0, 1)))
    media = _box(
        b"mdia",
        _full(b"mdhd", 0, 0, struct.pack("!IIIIHH", 0, 0, RATE, 0, _UNDETERMINED, 0)),
        _full(b"hdlr", 0, 0, bytes(4), b"soun", bytes(12), b"audio\0"),
        _box(b"minf", _full(b"smhd", 0, 0, bytes(4)), here, tables),
    )
    header = struct.pack("!IIIII", 0, 0, 1, 0, 0) + bytes(8) + struct.pack("!hhHH", 0, 0, 0x100, 0)
    return _box(b"trak", _full(b"tkhd", 0, 7, header, _MATRIX, bytes(8)), media)


def fragment(number: int, start: int, packets: Sequence[tuple[bytes, int]]) -> bytes:
    """moof + mdat of packets (bytes, duration in samples) from `start` on.

    `number` must rise from fragment to fragment of one rendition.
    """
    mfhd = _full(b"mfhd", 0, 0, struct.pack("!I", number))
    flags = _DEFAULT_BASE_IS_MOOF | _TFHD_DEFAULT_FLAGS
    tfhd = _full(b"tfhd", 0, flags, struct.pack("!II", 1, _SYNC_SAMPLE))
    tfdt = _full(b"tfdt", 1, 0, struct.pack("!Q", start))
    table = b"".join(struct.pack("!II", samples, len(data)) for data, samples in packets)
    trun_bytes = 12 + 8 + len(table)
    offset = 8 + len(mfhd) + 8 + len(tfhd) + len(tfdt) + trun_bytes + 8
    head = struct.pack("!Ii", len(packets), offset)
    trun = _full(b"trun", 0, _TRUN_OFFSET_DURATIONS_SIZES, head, table)
    moof = _box(b"moof", mfhd, _box(b"traf", tfhd, tfdt, trun))
    return moof + _box(b"mdat", *(data for data, _ in packets))
