"""Our own fragmented MP4 taken apart again: where a segment lies, and its packets; pure.

What ingest/fmp4.py writes: moof (mfhd, traf (tfhd, tfdt, trun)) and mdat, again and again.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass


class BrokenFragment(ValueError):  # noqa: N818 - what it is
    """The bytes are no fragment of ours."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """`packets`: bytes and duration in samples, from `start` on."""

    start: int
    packets: list[tuple[bytes, int]]


def fragments(data: bytes) -> Iterator[Fragment]:
    """Raises BrokenFragment."""
    head: tuple[int, list[tuple[int, int]]] | None = None
    for name, body in _boxes(data):
        if name == b"moof":
            head = _moof(body)
        elif name == b"mdat":
            if head is None:
                raise BrokenFragment("mdat without moof")
            start, table = head
            yield Fragment(start, list(_cut(body, table)))
            head = None


def samples_of(data: bytes) -> tuple[int, int]:
    """First position and length of a whole segment. Raises BrokenFragment."""
    first: int | None = None
    end = 0
    for fragment in fragments(data):
        if first is None:
            first = end = fragment.start
        if fragment.start != end:
            raise BrokenFragment("fragments do not follow each other")
        end += sum(samples for _, samples in fragment.packets)
    if first is None:
        raise BrokenFragment("no fragment")
    return first, end - first


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise BrokenFragment("torn box")
        size, name = struct.unpack_from("!I4s", data, at)
        if size < 8 or at + size > len(data):
            raise BrokenFragment("torn box")
        yield name, data[at + 8 : at + size]
        at += size


def _moof(body: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Decode time, and duration and size of each packet."""
    traf = dict(_boxes(dict(_boxes(body)).get(b"traf", b"")))
    tfdt, trun = traf.get(b"tfdt", b""), traf.get(b"trun", b"")
    try:
        (start,) = struct.unpack_from("!Q", tfdt, 4) if tfdt[:1] == b"\1" else _short(tfdt)
        (count,) = struct.unpack_from("!I", trun, 4)
        table = list(struct.iter_unpack("!II", trun[12 : 12 + 8 * count]))
    except struct.error as error:
        raise BrokenFragment("torn moof") from error
    if len(table) != count:
        raise BrokenFragment("torn trun")
    return start, table


def _short(tfdt: bytes) -> tuple[int]:
    (start,) = struct.unpack_from("!I", tfdt, 4)
    return (start,)


def _cut(body: bytes, table: list[tuple[int, int]]) -> Iterator[tuple[bytes, int]]:
    at = 0
    for samples, size in table:
        if at + size > len(body):
            raise BrokenFragment("torn mdat")
        yield body[at : at + size], samples
        at += size
