"""The manifest: what the packager has made durable on this disk, one JSON object a line.

The packager appends a line after the file that it names is fsynced. The live edge tails it
and serves from it; the uploader tails it, puts the objects and writes the rows; a restarted
packager reads where it had come to. Lines are never changed. `recording/<id>/manifest.jsonl`
lies in the spool folder beside the files it names.

In the object store each placement's manifest is kept as `manifest-<epoch>.jsonl`; compaction
adds `manifest.jsonl`, which ends with where the bytes lie now.

Where a recording has moved to another worker, that worker's manifest begins with what was
stored before: the same lines, with an `object_key` in place of a file. So each manifest is
whole, and the chain of hashes runs through all workers.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ingest.kinds import Kinds, members


@dataclass(frozen=True, slots=True)
class Opened:
    """First line. `live_at_us`: Unix time of the room's zero, microseconds."""

    kind: ClassVar[str] = "opened"
    recording_id: str
    room_id: str
    platform_id: str
    epoch: int
    revision: int
    live_at_us: int


@dataclass(frozen=True, slots=True)
class Continued:
    """Second line where an earlier worker was lost or let go; `Opened.epoch` began at `began_ms`.

    `seams_ms`: where epochs begin: no segment crosses one. From `since_ms` on nothing is known
    to be stored of anybody; `waiting` names who may have been speaking, and since when theirs
    may be missing. All on the room's clock.
    """

    kind: ClassVar[str] = "continued"
    began_ms: int
    since_ms: float
    seams_ms: list[int]
    waiting: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RenditionOpened:
    """`rendition` is `mix` or `track-<participant_id>`; `file` its init segment.

    With an `object_key`, an earlier worker stored it there.
    """

    kind: ClassVar[str] = "rendition"
    rendition: str
    participant_id: str | None
    codec: str
    file: str
    bytes: int
    object_key: str = ""


@dataclass(frozen=True, slots=True)
class SegmentWritten:
    """A media segment: mix about 2 s, track about 30 s (fragments of 2 s inside).

    `sequence` counts from 0 per rendition; `media_start` and `samples` are at 48 kHz;
    `room_start_ms` is the room's clock at its first sample; `discontinuity` is true for the
    first segment after a pause. `previous` chains to the `sha256` before it in this rendition.
    With an `object_key`, an earlier worker stored it there.
    """

    kind: ClassVar[str] = "segment"
    rendition: str
    sequence: int
    file: str
    bytes: int
    sha256: str
    previous: str
    media_start: int
    samples: int
    room_start_ms: float
    discontinuity: bool
    object_key: str = ""


@dataclass(frozen=True, slots=True)
class GapFound:
    """A stretch without sound that nobody wished, or a pause; `cause` is a `GapCause`."""

    kind: ClassVar[str] = "gap"
    number: int
    participant_id: str | None
    cause: str
    room_start_ms: float
    room_end_ms: float


@dataclass(frozen=True, slots=True)
class LevelsKnown:
    """How loud speakers talk: what has changed when a mix segment was written.

    `speakers` maps participants to the members of `ingest.loudness.Level`; with them a
    restarted packager mixes on with the gains that it had.
    """

    kind: ClassVar[str] = "levels"
    speakers: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Ended:
    """The packager's last line: all segments are above."""

    kind: ClassVar[str] = "ended"
    room_end_ms: float
    media_samples: int
    packets_received: int
    packets_lost: int


@dataclass(frozen=True, slots=True)
class Compacted:
    """The rendition is one object, `file`: its init segment, then its segments, back to back."""

    kind: ClassVar[str] = "compacted"
    rendition: str
    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Erased:
    """A tombstone: the bytes of these segments (both ends inclusive) are gone on purpose.

    Their lines stay, so the chain still shows that nothing else is missing.
    """

    kind: ClassVar[str] = "erased"
    rendition: str
    first_sequence: int
    last_sequence: int
    reason: str


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Last line of a worker that let go of a live room: all that arrived there is above."""

    kind: ClassVar[str] = "handed_over"
    room_ms: float


Line = (
    Opened
    | Continued
    | RenditionOpened
    | SegmentWritten
    | GapFound
    | LevelsKnown
    | Ended
    | HandedOver
    | Compacted
    | Erased
)
_KINDS: Kinds[Line] = Kinds(
    (
        Opened,
        Continued,
        RenditionOpened,
        SegmentWritten,
        GapFound,
        LevelsKnown,
        Ended,
        HandedOver,
        Compacted,
        Erased,
    )
)


def dump(line: Line) -> bytes:
    named = {"kind": line.kind, **members(line)}
    return json.dumps(named, separators=(",", ":")).encode() + b"\n"


def load(raw: bytes) -> Line | None:
    """The line, or None for a kind that a newer version wrote."""
    data: dict[str, Any] = json.loads(raw)
    return _KINDS.load(data.pop("kind", ""), data)


def parse(data: bytes) -> list[Line]:
    """All lines of a whole manifest, but for kinds that a newer version wrote."""
    return [line for raw in data.splitlines() if (line := load(raw)) is not None]


class ManifestReader:
    """Tails one manifest; a last line without its newline is not there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0

    def has_grown(self) -> bool:
        """Whether `read` would find more; a look that is cheap enough for an event loop."""
        try:
            return os.stat(self.path).st_size > self.offset  # noqa: PTH116 - half the price
        except FileNotFoundError:
            return False

    def read(self) -> list[Line]:
        """The whole lines after the last call; none while the file does not exist."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self.offset += end
        return parse(data[:end])
