"""What a restarted receiver must know of the journal that its predecessor left."""

import mmap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ingest import journal
from ingest.journal import Event, journal_files
from ingest.marks import (
    CloseReason,
    Mark,
    RecordingOpened,
    RecordMark,
    RoomEnded,
    RoomLeft,
    SpeakerReleased,
    StreamClosed,
    StreamOpened,
    from_event,
)


@dataclass(frozen=True, slots=True)
class JournalEnd:
    """`files`: how many there are; `streams`: highest stream number; `marks`: record marks written.

    `last_room_us` is the last arrival of the newest readable batch. `awaited` are participants
    who were heard when it ended, or whose connection was lost before. `ended`: nothing more
    comes; `left` says that the room goes on at another worker.
    """

    files: int = 0
    last_room_us: int = 0
    streams: int = 0
    marks: int = 0
    ended: bool = False
    left: bool = False
    awaited: frozenset[str] = frozenset()


class _Awaited:
    """Who is heard, or would be if their connection had not been lost."""

    def __init__(self) -> None:
        self.people: set[str] = set()
        self._streams: dict[int, str] = {}

    def take(self, mark: Mark | None) -> None:
        match mark:
            case RecordingOpened():
                self._streams.clear()
            case StreamOpened(stream=stream, participant_id=participant_id):
                self._streams[stream] = participant_id
                self.people.add(participant_id)
            case StreamClosed(stream=stream, reason=reason):
                participant_id = self._streams.pop(stream, "")
                if reason != CloseReason.LOST and participant_id not in self._streams.values():
                    self.people.discard(participant_id)
            case SpeakerReleased(participant_id=participant_id):
                self.people.discard(participant_id)


def read_end(folder: Path) -> JournalEnd:
    """Walks all files by their batch headers; only events are unpacked, not packets."""
    end, awaited = JournalEnd(), _Awaited()
    for path in journal_files(folder):
        end = replace(end, files=end.files + 1)
        for room_us, events in _batches(path):
            end = replace(end, last_room_us=max(end.last_room_us, room_us))
            for mark in map(from_event, events):
                end = _after(end, mark)
                awaited.take(mark)
    return replace(end, awaited=frozenset(awaited.people))


def _after(end: JournalEnd, mark: Mark | None) -> JournalEnd:
    match mark:
        case StreamOpened(stream=stream):
            return replace(end, streams=max(end.streams, stream))
        case RecordMark():
            return replace(end, marks=end.marks + 1)
        case RoomEnded() | RoomLeft():
            return replace(end, ended=True, left=isinstance(mark, RoomLeft))
    return end


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
