"""One recording as the edge knows it: its renditions, where their bytes lie, whether it has ended.

It is made of a manifest's lines, read from the disk or rebuilt from the rows, so that a live
room and a replay of last year are served by the same code under the same names:

    r<revision>/<rendition>/init.mp4    r<revision>/<rendition>/<sequence>.m4s
    r<revision>/<rendition>/all.mp4     after compaction: init and all segments
    r<revision>/<rendition>/<first>-<last>.m4s     and neighbors, as an entry of the replay's list

The names carry the revision because their bytes never change. Nothing in a name is joined
into a path or key: names are looked up here.
"""

import logging
import re
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ingest.hls import SAMPLE_RATE, MediaPlaylist, MediaSegment, Variant
from ingest.manifest import Ended, GapFound, Line, Opened, RenditionOpened, SegmentWritten

log = logging.getLogger(__name__)

MIX: Final = "mix"
WHOLE: Final = "all.mp4"
LONGEST_PART: Final = 4 << 20
"""Bytes of a compacted object in one answer."""

MIX_TARGET_S: Final = 2
TRACK_TARGET_S: Final = 30
_NUMBERS = re.compile(r"(0|[1-9]\d{0,8})(?:-([1-9]\d{0,8}))?\.m4s", re.ASCII)
_NOMINAL_BPS: Final = 80_000
"""Announced until a segment needs more: the mix is 64 kbit/s of AAC in 2 s boxes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where bytes lie: a whole local file, or a range of an object in the store.

    `digest` is their SHA-256 where it is known (media segments), else empty. With `part_of`
    they are what somebody wants of an object of that many bytes, and the digest is its.
    """

    path: Path | None
    object_key: str
    size: int
    digest: str = ""
    start: int = 0
    part_of: int = 0


@dataclass(slots=True)
class Rendition:
    name: str
    participant_id: str | None
    codec: str
    init: Place
    playlist: MediaPlaylist
    places: list[Place] = field(default_factory=list)
    known_since: list[float] = field(default_factory=list)
    """When each segment entered the playlist, on this process's monotonic clock."""

    whole: Place | None = None
    """After compaction."""

    peak_bps: int = 0
    bits: int = 0
    samples: int = 0

    def count(self, line: SegmentWritten) -> None:
        bits = line.bytes * 8
        self.bits += bits
        self.samples += line.samples
        self.peak_bps = max(self.peak_bps, -(-bits * SAMPLE_RATE // max(line.samples, 1)))

    def variant(self, uri: str) -> Variant:
        """The master playlist's line for this rendition; it has a segment."""
        average = self.bits * SAMPLE_RATE // max(self.samples, 1)
        return Variant(uri, self.codec, max(self.peak_bps, _NOMINAL_BPS), average)

    def known_for(self, seconds: float, *, now: float) -> int:
        """How many segments have been in the playlist for at least that long."""
        return bisect_right(self.known_since, now - seconds)


@dataclass(frozen=True, slots=True)
class Document:
    """One version of one playlist, ready to send."""

    version: int
    body: bytes
    gzipped: bytes
    etag: bytes
    etag_gzipped: bytes


@dataclass(slots=True)
class Recorded:
    """Grows line by line. `version` rises with every line that a playlist may show."""

    recording_id: str
    revision: int
    live_at_us: int
    renditions: dict[str, Rendition] = field(default_factory=dict)
    gaps: list[GapFound] = field(default_factory=list)
    ended: bool = False
    compacted: bool = False
    version: int = 0
    documents: dict[str, Document] = field(default_factory=dict)
    """What replay/playlists.py rendered last, by name."""

    @classmethod
    def of(cls, opened: Opened) -> "Recorded":
        return cls(opened.recording_id, opened.revision, opened.live_at_us)

    def open_rendition(
        self, line: RenditionOpened, init: Place, whole: Place | None = None
    ) -> None:
        """The first line of a name counts: a restarted packager may repeat it."""
        if line.rendition in self.renditions:
            return
        playlist = MediaPlaylist(
            init_uri=f"r{self.revision}/{line.rendition}/init.mp4",
            live_at_us=self.live_at_us,
            target_s=MIX_TARGET_S if line.rendition == MIX else TRACK_TARGET_S,
        )
        self.renditions[line.rendition] = Rendition(
            line.rendition, line.participant_id, line.codec, init, playlist, whole=whole
        )
        self.version += 1

    def add_segment(self, line: SegmentWritten, place: Place, *, now: float) -> None:
        """Takes the next segment of its rendition; repeats and strays are left out."""
        rendition = self.renditions.get(line.rendition)
        if rendition is None or line.sequence != len(rendition.places):
            log.warning("segment %d of %s is out of order", line.sequence, self.recording_id)
            return
        uri = f"r{self.revision}/{line.rendition}/{line.sequence}.m4s"
        rendition.playlist.append(
            MediaSegment(uri, line.samples, line.room_start_ms, line.discontinuity)
        )
        rendition.places.append(place)
        rendition.known_since.append(now)
        rendition.count(line)
        self.version += 1

    def apply(self, line: Line, *, folder: Path, now: float) -> None:
        """One manifest line; the files that it names lie in `folder`."""
        if isinstance(line, RenditionOpened):
            self.open_rendition(line, _place(line, folder))
        elif isinstance(line, SegmentWritten):
            self.add_segment(line, _place(line, folder, line.sha256), now=now)
        elif isinstance(line, GapFound):
            self.gaps.append(line)
        elif isinstance(line, Ended):
            self.end()

    def end(self) -> None:
        self.ended = True
        self.version += 1

    def place(self, revision: str, rendition: str, file: str) -> Place | None:
        """The bytes behind a name, or None."""
        found = self.renditions.get(rendition)
        if found is None or revision != f"r{self.revision}":
            return None
        if file == "init.mp4":
            return found.init
        if file == WHOLE:
            return found.whole
        match = _NUMBERS.fullmatch(file)
        if match is None:
            return None
        first = int(match[1])
        last = int(match[2] or first)
        if last >= len(found.places) or (match[2] and last <= first):
            return None
        return _joined(found.places[first : last + 1])


def part_name(first: int, count: int) -> str:
    """The file of `count` segments from `first` on; what they are alone has its old name."""
    return f"{first}.m4s" if count == 1 else f"{first}-{first + count - 1}.m4s"


def only_compacted(file: str) -> bool:
    """Whether such a file exists only after compaction."""
    return file == WHOLE or "-" in file


def _joined(places: list[Place]) -> Place | None:
    """Neighbors as one range of their object; None if they are none, or too much at once."""
    if len(places) == 1:
        return places[0]
    size = 0
    for place in places:
        expected = replace(places[0], start=places[0].start + size, size=place.size)
        if place.path is not None or replace(place, digest=expected.digest) != expected:
            return None
        size += place.size
    return replace(places[0], size=size, digest="") if 0 < size <= LONGEST_PART else None


def _place(line: RenditionOpened | SegmentWritten, folder: Path, digest: str = "") -> Place:
    """In `folder`, or in the store where an earlier worker brought it."""
    path = None if line.object_key else folder / line.file
    return Place(path, line.object_key, line.bytes, digest)
