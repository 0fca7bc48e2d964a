"""The events of a journal: what the packager must know besides packets.

Each is written by the receiving process as soon as it learns of it; `room_ms` says when it
took effect, which may be some milliseconds before its batch. Streams are numbered from 1
through all files of a recording.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from ingest.journal import Event
from ingest.kinds import Kinds, members


@dataclass(frozen=True, slots=True)
class RecordingOpened:
    """First event of every file. `restart` is true for all files but the first.

    `live_at_us` is Unix time in microseconds of the room's zero. `last_room_us` is, after a
    restart, the last arrival that the previous file holds: from there to this batch nobody
    was heard.
    """

    kind: ClassVar[str] = "recording.opened"
    recording_id: str
    room_id: str
    platform_id: str
    epoch: int
    revision: int
    live_at_us: int
    restart: bool
    last_room_us: int


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A new SSRC of one participant: later packets with `stream` belong to their track."""

    kind: ClassVar[str] = "stream.opened"
    stream: int
    participant_id: str
    ssrc: int
    has_level: bool


class CloseReason(StrEnum):
    """Why nothing of a stream is kept any more.

    `withheld`: muted, off the stage, off the record, without consent, or the room is over;
    `left`: the client said goodbye; `lost`: its connection fell silent, or another of the same
    person took its place.
    """

    WITHHELD = "withheld"
    LEFT = "left"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """Nothing of it is kept any more.

    What is heard of the same SSRC later is a new stream, so a hole in a stream's sequence is
    always a loss. `received` and `lost` are its RTP statistics since it was opened. With
    `until_ms`, consent was withdrawn then: what the stream holds beyond is not used.
    """

    kind: ClassVar[str] = "stream.closed"
    stream: int
    received: int
    lost: int
    until_ms: int | None = None
    reason: str = CloseReason.WITHHELD


@dataclass(frozen=True, slots=True)
class SpeakerReleased:
    """Whose connection was lost is not waited for any more: off the stage, muted, no consent."""

    kind: ClassVar[str] = "speaker.released"
    participant_id: str


@dataclass(frozen=True, slots=True)
class RecordMark:
    """From `room_ms` on sound is kept (`on`) or the room is off the record (not `on`)."""

    kind: ClassVar[str] = "record.mark"
    room_ms: int
    on: bool


@dataclass(frozen=True, slots=True)
class JournalInterrupted:
    """The disk took nothing between the two times (full, or failing): `packets` were lost."""

    kind: ClassVar[str] = "journal.interrupted"
    room_start_ms: int
    room_end_ms: int
    packets: int


@dataclass(frozen=True, slots=True)
class RoomEnded:
    """Nothing at or after `room_ms` is kept. The last event of a recording."""

    kind: ClassVar[str] = "room.ended"
    room_ms: int


@dataclass(frozen=True, slots=True)
class RoomLeft:
    """The room goes on at another worker: nothing after `room_ms` is kept here. The last event
    of this journal."""

    kind: ClassVar[str] = "room.left"
    room_ms: int


Mark = (
    RecordingOpened
    | StreamOpened
    | StreamClosed
    | SpeakerReleased
    | RecordMark
    | JournalInterrupted
    | RoomEnded
    | RoomLeft
)
_KINDS: Kinds[Mark] = Kinds(
    (
        RecordingOpened,
        StreamOpened,
        StreamClosed,
        SpeakerReleased,
        RecordMark,
        JournalInterrupted,
        RoomEnded,
        RoomLeft,
    )
)


def to_event(mark: Mark) -> Event:
    return Event(mark.kind, members(mark))


def from_event(event: Event) -> Mark | None:
    """The mark, or None for a kind that a newer version wrote."""
    return _KINDS.load(event.kind, event.data)
