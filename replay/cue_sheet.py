"""The subtitles of one recording in the edge's memory, cut along the segments of its mix."""

import re
from bisect import bisect_left
from dataclasses import replace
from typing import Final

from ingest.hls import MediaPlaylist
from replay.cue_times import LONGEST_MS, CueTimes
from replay.recorded import MIX, MIX_TARGET_S, Document, Recorded, Rendition
from replay.subtitles import ShownCue
from replay.webvtt import segment

FOLDER: Final = "captions"
SLACK_MS: Final = 250
"""Rows become visible a little after the time that they carry."""

UNSEEN_S: Final = 4.0
"""A segment is listed so long after the mix's at the latest, whatever the database does."""

REMEMBERED_BYTES: Final = 256 << 10
"""Of rendered segments."""

_NAMES = re.compile(r"(0|[1-9]\d{0,8})(?:-([1-9]\d{0,8}))?\.vtt", re.ASCII)


def vtt_name(first: int, count: int) -> str:
    """The file of `count` segments from `first` on."""
    return f"{first}.vtt" if count == 1 else f"{first}-{first + count - 1}.vtt"


def numbers_of(file: str) -> tuple[int, int] | None:
    """First and last segment of a file; None for what `vtt_name` never gives."""
    match = _NAMES.fullmatch(file)
    if match is None:
        return None
    first = int(match[1])
    last = int(match[2] or first)
    return (first, last) if last > first or not match[2] else None


class CueSheet:
    """Empty at first."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.documents: dict[str, Document] = {}
        """What replay/playlists.py rendered last, by name; `Document.version` is `version`."""

        self.version = 0
        self._cues: list[ShownCue] = []
        self._starts: list[int] = []
        self._mix: Rendition | None = None
        self._times = CueTimes()
        self.playlist = _playlist(0)
        self.known_since: list[float] = []
        self.ended = False
        self._texts: dict[tuple[int, int], bytes] = {}
        self._texts_bytes = 0
        self._read_ms = 0.0

    def take(self, cues: list[ShownCue], *, read_ms: float, anew: bool = False) -> None:
        """More cues of those who consent, or all of them `anew`; `read_ms` is the room's clock
        when they were read."""
        self._read_ms = read_ms
        if cues or anew:
            kept = [] if anew else self._cues
            self._cues = sorted([*kept, *cues], key=lambda cue: (cue.start_ms, cue.number))
            self._starts = [cue.start_ms for cue in self._cues]
            self._forget()

    def follow(self, recorded: Recorded, *, now: float) -> None:
        """Lists what takes no more cues; `now` is this process's monotonic clock."""
        mix = recorded.renditions.get(MIX)
        if mix is None:
            return
        if mix is not self._mix:
            self._begin(mix, recorded)
        for heard in mix.playlist.segments[len(self._times) :]:
            self._times.append(heard)
        sealed = max(self._times.sealed(self._read_ms - SLACK_MS), mix.known_for(UNSEEN_S, now=now))
        for number in range(len(self.playlist), sealed):
            uri = f"r{recorded.revision}/{FOLDER}/{vtt_name(number, 1)}"
            self.playlist.append(replace(mix.playlist.segments[number], uri=uri, byte_range=None))
            self.known_since.append(now)
            self.version += 1
        if recorded.ended and not self.ended and len(self.playlist) == len(mix.places):
            self.ended = True
            self.version += 1

    def lists_any(self, recorded: Recorded, *, now: float) -> bool:
        """Whether a playlist of it can be given out, which must not be empty."""
        self.follow(recorded, now=now)
        return len(self.playlist) > 0

    def _begin(self, mix: Rendition, recorded: Recorded) -> None:
        """Another revision, or the same from another source: it is cut the same way."""
        self._mix = mix
        self._times = CueTimes()
        self.playlist = _playlist(recorded.live_at_us)
        self.known_since = []
        self.ended = False
        self.version += 1
        self._forget()

    def text(self, first: int, last: int) -> bytes | None:
        """One segment, or several of a recording that has ended as one; None if there is none."""
        if not 0 <= first <= last < len(self._times):
            return None
        known = self._texts.get((first, last))
        if known is None:
            if first == last:
                shown = self._times.shown_in(first, self._near(first, last))
            else:
                shown = self._times.shown_between(first, last, self._near(first, last))
            known = segment(shown).encode()
            self._remember(first, last, known)
        return known

    def _remember(self, first: int, last: int, text: bytes) -> None:
        if self._texts_bytes + len(text) > REMEMBERED_BYTES:
            self._forget()
        self._texts[first, last] = text
        self._texts_bytes += len(text)

    def _forget(self) -> None:
        self._texts.clear()
        self._texts_bytes = 0

    def _near(self, first: int, last: int) -> list[ShownCue]:
        since, until = self._times.room_of(first)[0], self._times.room_of(last)[1]
        begin = bisect_left(self._starts, since - LONGEST_MS)
        return self._cues[begin : bisect_left(self._starts, until)]


def _playlist(live_at_us: int) -> MediaPlaylist:
    return MediaPlaylist(init_uri=None, live_at_us=live_at_us, target_s=MIX_TARGET_S)
