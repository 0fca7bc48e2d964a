"""HLS playlists as text (draft-pantos-hls-rfc8216bis, "bis" below); pure.

One `MediaPlaylist` holds what a rendition has from its first segment on and renders each
segment once, so that a playlist of two hours costs a join. It gives two texts: the sliding
window for those at the live edge, and the list from 0:00, which only ever grows and so *is*
the replay once it carries ENDLIST.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

SAMPLE_RATE: Final = 48_000
WINDOW_SEGMENTS: Final = 7
WINDOW_TARGETS: Final = 6
"""The window never gets shorter than this many target durations (bis 6.2.2 asks for 3)."""

SKIP_TARGETS: Final = 12
"""The skip boundary in target durations (bis 4.4.3.8 asks for at least 6)."""

DATED_EVERY: Final = 8
"""In the list from 0:00 every 8th segment carries its date; the window dates all of them."""

MAX_DRIFT_MS: Final = 1.0
"""A segment is dated too when the dates before it would place it further off than this."""

MERGED_SAMPLES: Final = 105 * SAMPLE_RATE // 10
"""A merged entry of a replay's list is at most 10.5 s long, unless one segment is longer."""

SUBTITLES_GROUP: Final = "captions"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ByteRange:
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class MediaSegment:
    """One entry of a playlist. `uri` is relative to it; `byte_range` is its place in an object.

    The range is for `merged` alone: a list names no ranges, for players exist that take one
    range of a URI and never ask for the next (FFmpeg's among them). `parts` is how many
    segments an entry was merged of.
    """

    uri: str
    samples: int
    room_start_ms: float
    discontinuity: bool = False
    byte_range: ByteRange | None = None
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Variant:
    """One line of the master playlist; `peak_bps` bounds every segment's bit rate."""

    uri: str
    codecs: str
    peak_bps: int
    average_bps: int


@dataclass(frozen=True, slots=True)
class Subtitles:
    """The line of a subtitles rendition, which goes with every variant."""

    uri: str
    language: str


@dataclass(frozen=True, slots=True)
class _Entry:
    date: str
    rest: str
    dated: bool

    def text(self) -> str:
        return self.date + self.rest if self.dated else self.rest


def program_date_time(live_at_us: int, room_ms: float) -> str:
    """RFC 3339 with milliseconds, UTC: when the room's clock showed `room_ms`."""
    milliseconds = (live_at_us + round(room_ms * 1000) + 500) // 1000
    when = _EPOCH + timedelta(milliseconds=milliseconds)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def master_playlist(variants: list[Variant], subtitles: Subtitles | None = None) -> str:
    """The multivariant playlist (bis 4.4.6)."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-INDEPENDENT-SEGMENTS"]
    group = ""
    if subtitles is not None:
        lines.append(_media_line(subtitles))
        group = f',SUBTITLES="{SUBTITLES_GROUP}"'
    for v in variants:
        lines.append(
            f"#EXT-X-STREAM-INF:BANDWIDTH={v.peak_bps},AVERAGE-BANDWIDTH={v.average_bps}"
            f',CODECS="{v.codecs}"{group}'
        )
        lines.append(v.uri)
    return "\n".join(lines) + "\n"


def _media_line(subtitles: Subtitles) -> str:
    """Bis 4.4.6.1; a player whose user wants captions in this language turns them on itself."""
    return (
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="{SUBTITLES_GROUP}",NAME="Captions"'
        f',LANGUAGE="{subtitles.language}",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO'
        ',CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog"'
        f',URI="{subtitles.uri}"'
    )


def merged(segments: Iterable[MediaSegment]) -> Iterator[MediaSegment]:
    """Neighbors in one object as one entry of some 10 s: five segments of the mix.

    Never across a discontinuity, a leap of the room's clock or a hole in the object.
    """
    current: MediaSegment | None = None
    for segment in segments:
        if current is not None and _continues(current, segment):
            current = _joined(current, segment)
        else:
            if current is not None:
                yield current
            current = segment
    if current is not None:
        yield current


def _continues(before: MediaSegment, segment: MediaSegment) -> bool:
    first, second = before.byte_range, segment.byte_range
    if first is None or second is None or before.uri != segment.uri or segment.discontinuity:
        return False
    expected_ms = before.room_start_ms + before.samples * 1000 / SAMPLE_RATE
    return (
        first.start + first.length == second.start
        and abs(segment.room_start_ms - expected_ms) < MAX_DRIFT_MS
        and before.samples + segment.samples <= MERGED_SAMPLES
    )


def _joined(before: MediaSegment, segment: MediaSegment) -> MediaSegment:
    first, second = before.byte_range, segment.byte_range
    assert first is not None and second is not None  # noqa: S101, PT018 - they continue
    span = ByteRange(first.start, first.length + second.length)
    return replace(
        before,
        samples=before.samples + segment.samples,
        byte_range=span,
        parts=before.parts + segment.parts,
    )


class MediaPlaylist:
    """The segments of one rendition, numbered from 0.

    `target_s` is the TARGETDURATION. It is constant (bis 6.2.1) as long as no segment rounds
    to more; a segment that does raises it, for a wrong duration stalls players.
    """

    def __init__(
        self,
        *,
        init_uri: str | None,
        live_at_us: int,
        target_s: int,
        init_range: ByteRange | None = None,
    ) -> None:
        """Without `init_uri` for segments that need none: WebVTT."""
        self.init_uri = init_uri
        self.init_range = init_range
        self.live_at_us = live_at_us
        self.target_s = target_s
        self.segments: list[MediaSegment] = []
        self._entries: list[_Entry] = []
        self._seconds: list[float] = []
        self._discontinuities: list[int] = []
        self._expected_ms = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def skip_boundary_s(self) -> int:
        return SKIP_TARGETS * self.target_s

    def append(self, segment: MediaSegment) -> None:
        self.segments.append(segment)
        number = len(self._entries)
        broken = segment.discontinuity and number > 0
        dated = (
            broken
            or number % DATED_EVERY == 0
            or abs(segment.room_start_ms - self._expected_ms) >= MAX_DRIFT_MS
        )
        seconds = segment.samples / SAMPLE_RATE
        date = program_date_time(self.live_at_us, segment.room_start_ms)
        self._entries.append(
            _Entry(
                ("#EXT-X-DISCONTINUITY\n" if broken else "") + f"#EXT-X-PROGRAM-DATE-TIME:{date}\n",
                _segment_lines(segment, seconds),
                dated,
            )
        )
        if broken:
            self._discontinuities.append(number)
        self._seconds.append(seconds)
        self._expected_ms = seconds * 1000 + (segment.room_start_ms if dated else self._expected_ms)
        self.target_s = max(self.target_s, int(seconds + 0.5))

    def render(self, *, ended: bool, skip: int = 0) -> str:
        """From 0:00; with `skip`, the delta update that leaves out so many (bis 6.2.5.1).

        The type stays EVENT after the end: nothing but new lines may ever come to such a
        playlist (bis 6.2.1), so a listener who polled through the end sees no change but
        the last segments and ENDLIST.
        """
        head = [
            "#EXTM3U",
            "#EXT-X-VERSION:9",
            f"#EXT-X-TARGETDURATION:{self.target_s}",
            "#EXT-X-PLAYLIST-TYPE:EVENT",
            f"#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL={self.skip_boundary_s}.0",
            "#EXT-X-MEDIA-SEQUENCE:0",
        ]
        tail = [f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skip}\n"] if skip else []
        tail += [entry.text() for entry in self._entries[skip:]]
        return self._assemble(head, tail, ended=ended)

    def render_vod(self) -> str:
        """A recording that has ended, for those who did not listen before; never changed."""
        head = [
            "#EXTM3U",
            "#EXT-X-VERSION:6",
            f"#EXT-X-TARGETDURATION:{self.target_s}",
            "#EXT-X-PLAYLIST-TYPE:VOD",
            "#EXT-X-MEDIA-SEQUENCE:0",
        ]
        return self._assemble(head, [entry.text() for entry in self._entries], ended=True)

    def render_window(self, *, ended: bool) -> str:
        """The last segments, for those who listen at the live edge."""
        start = self._window_start()
        removed = sum(1 for number in self._discontinuities if number < start)
        head = [
            "#EXTM3U",
            "#EXT-X-VERSION:6",
            f"#EXT-X-TARGETDURATION:{self.target_s}",
            f"#EXT-X-MEDIA-SEQUENCE:{start}",
            f"#EXT-X-DISCONTINUITY-SEQUENCE:{removed}",
        ]
        tail = [entry.date + entry.rest for entry in self._entries[start:]]
        return self._assemble(head, tail, ended=ended)

    def skippable(self, known: int) -> int:
        """How many segments a delta update may leave out, if `known` are known to every client.

        All of them lie before the skip boundary, and the first that is left carries its date.
        """
        beyond = len(self._entries)
        seconds = 0.0
        while beyond > 0 and seconds < self.skip_boundary_s:
            beyond -= 1
            seconds += self._seconds[beyond]
        count = min(beyond, known)
        while count > 0 and not self._entries[count].dated:
            count -= 1
        return count

    def _window_start(self) -> int:
        start = len(self._entries)
        seconds = 0.0
        while start > 0 and (
            len(self._entries) - start < WINDOW_SEGMENTS or seconds < WINDOW_TARGETS * self.target_s
        ):
            start -= 1
            seconds += self._seconds[start]
        return start

    def _assemble(self, head: list[str], tail: list[str], *, ended: bool) -> str:
        span = self.init_range
        part = f',BYTERANGE="{span.length}@{span.start}"' if span else ""
        head.append("#EXT-X-INDEPENDENT-SEGMENTS")
        if self.init_uri is not None:
            head.append(f'#EXT-X-MAP:URI="{self.init_uri}"{part}')
        return "\n".join([*head, ""]) + "".join(tail) + ("#EXT-X-ENDLIST\n" if ended else "")


def _segment_lines(segment: MediaSegment, seconds: float) -> str:
    return f"#EXTINF:{seconds:.6f},\n{segment.uri}\n"
