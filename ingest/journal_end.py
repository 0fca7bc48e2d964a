"""What a restarted receiver must know of the journal that its predecessor left."""

import mmap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ingest import journal
from ingest.journal import Event, journal_files
from ingest.marks import RecordMark, RoomEnded, StreamOpened, from_event


@dataclass(frozen=True, slots=True)
class JournalEnd:
    """`files`: how many there are; `streams`: highest stream number; `marks`: record marks written.

    `last_room_us` is the last arrival of the newest readable batch.
    """

    files: int = 0
    last_room_us: int = 0
    streams: int = 0
    marks: int = 0
    ended: bool = False


def read_end(folder: Path) -> JournalEnd:
    """Walks all files by their batch headers; only events are unpacked, not packets."""
    end = JournalEnd()
    for path in journal_files(folder):
        end = replace(end, files=end.files + 1)
        for room_us, events in _batches(path):
            end = _after(end, room_us, events)
    return end


def _after(end: JournalEnd, room_us: int, events: list[Event]) -> JournalEnd:
    streams, marks, ended = end.streams, end.marks, end.ended
    for mark in map(from_event, events):
        if isinstance(mark, StreamOpened):
            streams = max(streams, mark.stream)
        elif isinstance(mark, RecordMark):
            marks += 1
        elif isinstance(mark, RoomEnded):
            ended = True
    return JournalEnd(end.files, max(end.last_room_us, room_us), streams, marks, ended)


def _batches(path: Path) -> Iterator[tuple[int, list[Event]]]:
    """Each whole batch's `room_us` and its events; the recorder writes them before packets."""
    if path.stat().st_size < len(journal.MAGIC):
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[: len(journal.MAGIC)] != journal.MAGIC:
            return
        at = len(journal.MAGIC)
        while (header := journal.batch_header(data, at)) is not None:
            begin, end, crc, room_us = header
            if zlib.crc32(data[at + 8 : end]) != crc:
                return
            yield room_us, journal.leading_events(data[begin:end])
            at = end
