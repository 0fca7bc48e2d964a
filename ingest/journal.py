"""The journal: every packet that is kept and every change of what is kept, in arrival order.

The receiving process appends; the packager tails, and recovery reads the same bytes again.
One folder per recording, one file per run of the receiving process (`00000001.journal`, ...).

    file   = b"ENCJRNL1" batch*
    batch  = length:u32 crc32:u32 room_us:i64 record*      (one write() per drain and room)
    packet = age:u8 level:u8 stream:u16 seq:u16 size:u16 timestamp:u32 payload
    event  = 2:u8 size:u32 JSON

All integers are little-endian. `room_us` is when the drain was, on the room's clock in
microseconds, and `age` how long before it the packet arrived: 128 to 255 are 0 to 127 AGE_US, 3 to
127 are 128 to 252 of them. A packet may begin with 1 instead, as those of earlier versions do, who
knew of no age. `length` counts the records' bytes and the CRC covers `room_us` and them. A torn
tail (power loss, disk full) ends the file's readable part: everything before it stands.
"""

import json
import mmap
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final, NamedTuple

MAGIC: Final = b"ENCJRNL1"
NO_LEVEL: Final = 255
"""`Packet.level` where the sender negotiated no RFC 6464 level; else 0 (loud) to 127 dB below."""

LAST_STREAM: Final = 0xFFFF
"""Stream numbers run from 1 to this."""

_BATCH = struct.Struct("<IIq")
PACKET: Final = struct.Struct("<BBHHHI")
_EVENT = struct.Struct("<BI")
AGE_US: Final = 500
AGE_BYTES: Final = (*range(128, 256), *range(3, 128))
"""A packet's first byte by its age in AGE_US."""

LONGEST_AGE: Final = len(AGE_BYTES) - 1
AGES: Final = tuple(AGE_BYTES.index(n) if n in AGE_BYTES else 0 for n in range(256))
"""In AGE_US, by a packet's first byte."""

EVENT_TAG: Final = 2
MAX_BATCH: Final = 16 << 20
"""A length above this is no batch: the reader stops there."""


Record = bytes | memoryview
"""A packet or an event as it lies in the file."""


class Packet(NamedTuple):
    """One RTP packet of one stream, without its header (RFC 3550, 5.1)."""

    stream: int
    seq: int
    timestamp: int
    level: int
    payload: bytes
    age: int = 0
    """How long before its batch it arrived: up to LONGEST_AGE, in AGE_US."""


@dataclass(frozen=True, slots=True)
class Event:
    """A change of what follows; `kind` and its members are listed in ingest/marks.py."""

    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    room_us: int
    records: list[Packet | Event]


def pack_event(event: Event) -> bytes:
    body = json.dumps({"kind": event.kind, **event.data}, separators=(",", ":")).encode()
    return _EVENT.pack(EVENT_TAG, len(body)) + body


def pack_batch(room_us: int, records: Sequence[Record]) -> bytes:
    body = b"".join(records)
    crc = zlib.crc32(body, zlib.crc32(room_us.to_bytes(8, "little", signed=True)))
    return _BATCH.pack(len(body), crc, room_us) + body


class RawBatch(NamedTuple):
    """A batch as it lies in the file: its records are `data[begin:end]`."""

    room_us: int
    data: bytes
    begin: int
    end: int

    def unpacked(self) -> Batch:
        return Batch(self.room_us, _unpack_records(self.data, self.begin, self.end))


def _unpack_records(data: bytes, at: int, end: int) -> list[Packet | Event]:
    """The records in `data[at:end]`."""
    records: list[Packet | Event] = []
    while at < end:
        if data[at] == EVENT_TAG:
            event, at = unpack_event(data, at)
            records.append(event)
        else:
            first, level, stream, seq, size, timestamp = PACKET.unpack_from(data, at)
            at += PACKET.size + size
            payload = data[at - size : at]
            records.append(Packet(stream, seq, timestamp, level, payload, AGES[first]))
    return records


def unpack_event(data: bytes, at: int) -> tuple[Event, int]:
    """The event that lies at `at`, and where the next record does."""
    _, size = _EVENT.unpack_from(data, at)
    begin = at + _EVENT.size
    members = json.loads(data[begin : begin + size])
    return Event(members.pop("kind"), members), begin + size


def batch_header(data: bytes | mmap.mmap, at: int) -> tuple[int, int, int, int] | None:
    """Begin and end of the records, CRC and `room_us` of the batch at `at`; None if cut off."""
    if at + _BATCH.size > len(data):
        return None
    length, crc, room_us = _BATCH.unpack_from(data, at)
    begin = at + _BATCH.size
    if length > MAX_BATCH or begin + length > len(data):
        return None
    return begin, begin + length, crc, room_us


def leading_events(body: bytes) -> list[Event]:
    """The events before the first packet of a batch: the recorder writes them in front."""
    at = 0
    while at < len(body) and body[at] == EVENT_TAG:
        at += _EVENT.size + _EVENT.unpack_from(body, at)[1]
    return [r for r in _unpack_records(body, 0, at) if isinstance(r, Event)]


class JournalReader:
    """Reads one file as far as it is whole; `read` may be called again when it has grown."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self._file: FileIO | None = None

    def read(self, limit: int = 8 << 20) -> list[Batch]:
        """The batches after the last call, at most about `limit` bytes of them."""
        return [batch.unpacked() for batch in self.read_raw(limit)]

    def read_raw(self, limit: int) -> list[RawBatch]:
        """As `read`, for who looks at the records himself."""
        if self._file is None:
            self._file = self.path.open("rb", buffering=0)
        file = self._file.fileno()
        # Asked for no more than there is: a buffer of `limit` costs more than its few packets.
        grown = max(os.fstat(file).st_size - self.offset, 0)
        if not grown:
            return []
        data = os.pread(file, min(limit, grown), self.offset)
        at = 0
        if self.offset == 0:
            if len(data) < len(MAGIC) or not data.startswith(MAGIC):
                return []
            at = len(MAGIC)
        batches: list[RawBatch] = []
        while at + _BATCH.size <= len(data):
            length, crc, room_us = _BATCH.unpack_from(data, at)
            end = at + _BATCH.size + length
            if length > MAX_BATCH or end > len(data):
                break
            if zlib.crc32(data[at + 8 : end]) != crc:
                break
            batches.append(RawBatch(room_us, data, at + _BATCH.size, end))
            at = end
        self.offset += at
        if not batches and len(data) == limit and limit <= MAX_BATCH:
            return self.read_raw(MAX_BATCH + _BATCH.size + len(MAGIC))
        return batches

    def fsync(self) -> None:
        """Makes what has been written to the file so far survive power loss."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def journal_files(folder: Path) -> list[Path]:
    """The files of one recording, oldest first; what somebody else put there is none."""
    return sorted(folder.glob(f"{'[0-9]' * 8}.journal"))


def next_journal_file(folder: Path) -> Path:
    files = journal_files(folder)
    return following_file(files[-1]) if files else folder / f"{1:08d}.journal"


def following_file(file: Path) -> Path:
    """What the receiving process calls the file after this one."""
    return file.with_name(f"{int(file.stem) + 1:08d}.journal")
