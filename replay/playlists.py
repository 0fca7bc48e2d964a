"""The playlists of one recording by name, rendered and gzipped once per version.

live.m3u8         the mix, sliding window          master.m3u8       lists index.m3u8
index.m3u8        the mix from 0:00                live-master.m3u8  lists live.m3u8
track-<id>.m3u8   one speaker from their first word
captions.m3u8     subtitles from 0:00              live-captions.m3u8   theirs, sliding window

Subtitles are listed by the masters where the recording has any (replay/subtitles.py).

After compaction, for those who come then; the lists above stay as they are for those who hold
them (an EVENT list never changes, bis 6.2.1):

replay.m3u8       the mix, some 10 s to an entry       replay-track-<id>.m3u8  one speaker
replay-captions.m3u8   subtitles in the same pieces
"""

import gzip
import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from core.errors import NotFound
from ingest.hls import (
    ByteRange,
    MediaPlaylist,
    MediaSegment,
    Subtitles,
    master_playlist,
    merged,
)
from replay.cue_sheet import FOLDER, CueSheet, vtt_name
from replay.recorded import MIX, WHOLE, Document, Place, Recorded, Rendition, part_name

LIVE: Final = "live.m3u8"
INDEX: Final = "index.m3u8"
REPLAY: Final = "replay.m3u8"
_REPLAY_OF: Final = "replay-"
MASTER: Final = "master.m3u8"
LIVE_MASTER: Final = "live-master.m3u8"
_MASTERS: Final = {MASTER: INDEX, LIVE_MASTER: LIVE}
CAPTIONS: Final = "captions.m3u8"
LIVE_CAPTIONS: Final = "live-captions.m3u8"
REPLAY_CAPTIONS: Final = "replay-captions.m3u8"
_SUBTITLES: Final = {INDEX: CAPTIONS, LIVE: LIVE_CAPTIONS, REPLAY: REPLAY_CAPTIONS}
_GZIP_LEVEL: Final = 5


class NotStarted(NotFound):
    code = "not_started"
    title = "Nothing has been recorded yet"


class NothingRecorded(NotFound):
    code = "nothing_recorded"
    title = "The room ended without a recording"


class NotCompacted(NotFound):
    code = "not_compacted"
    title = "The recording still lies in its segments; play the list from 0:00"


class NoSuchFile(NotFound):
    code = "no_such_file"
    title = "The recording has no such playlist or segment"


def is_of_mix(name: str) -> bool:
    """Whether the playlist `name` begins with the room's first sound."""
    return name in (LIVE, INDEX, REPLAY) or name in _MASTERS or is_of_captions(name)


def is_of_captions(name: str) -> bool:
    return name in _SUBTITLES.values()


def shows_captions(name: str) -> bool:
    """Whether what is in the playlist depends on the recording's subtitles."""
    return name in _MASTERS or is_of_captions(name)


def is_replay(name: str) -> bool:
    """Whether there is such a playlist only after compaction."""
    return name == REPLAY or name.startswith(_REPLAY_OF)


def track_playlist(rendition: str, *, compacted: bool = False) -> str:
    return f"{_REPLAY_OF if compacted else ''}{rendition}.m3u8"


def document(
    recorded: Recorded, name: str, *, skip: bool, now: float, sheet: CueSheet | None = None
) -> Document:
    """The playlist's current version; with `skip`, its delta update where one is due.

    `sheet`: the recording's subtitles, for a playlist that `shows_captions`.
    Raises NoSuchFile, NotStarted, NothingRecorded, NotCompacted.
    """
    if is_of_captions(name):
        return _captions(recorded, name, sheet, skip=skip, now=now)
    delta = skip and not recorded.ended and name not in (LIVE, *_MASTERS)
    key = f"{name}?skip" if delta else name
    if name in _MASTERS and sheet is not None:
        key += "+"
    known = recorded.documents.get(key)
    if known is None or known.version != recorded.version:
        text = _render(recorded, name, sheet, delta=delta, now=now)
        known = recorded.documents[key] = _print(text, recorded.version)
    return known


def _render(
    recorded: Recorded, name: str, sheet: CueSheet | None, *, delta: bool, now: float
) -> str:
    if is_replay(name):
        return _replay(recorded, name)
    rendition = _started(recorded, MIX if is_of_mix(name) else name.removesuffix(".m3u8"))
    if name in _MASTERS:
        listed = REPLAY if recorded.compacted and _MASTERS[name] == INDEX else _MASTERS[name]
        subtitles = None if sheet is None else Subtitles(_SUBTITLES[listed], sheet.language)
        return master_playlist([rendition.variant(listed)], subtitles)
    if name == LIVE:
        return rendition.playlist.render_window(ended=recorded.ended)
    skipped = _skipped(rendition.playlist, rendition.known_since, now) if delta else 0
    return rendition.playlist.render(ended=recorded.ended, skip=skipped)


def _skipped(playlist: MediaPlaylist, known_since: Sequence[float], now: float) -> int:
    """Clients may hold a version as old as half the boundary (bis 6.3.7); what they cannot
    know, because a restarted packager caught up at once, is not skipped."""
    known = bisect_right(known_since, now - playlist.skip_boundary_s / 2)
    return playlist.skippable(known)


def _captions(
    recorded: Recorded, name: str, sheet: CueSheet | None, *, skip: bool, now: float
) -> Document:
    """Subtitles lag behind the mix by a segment at most; none is listed before its cues are."""
    _started(recorded, MIX)
    if sheet is None:
        raise NoSuchFile
    sheet.follow(recorded, now=now)
    if not len(sheet.playlist):
        raise not_started()
    delta = skip and not sheet.ended and name == CAPTIONS
    key = f"{name}?skip" if delta else name
    known = sheet.documents.get(key)
    if known is None or known.version != sheet.version:
        text = _render_captions(recorded, name, sheet, delta=delta, now=now)
        known = sheet.documents[key] = _print(text, sheet.version)
    return known


def _render_captions(
    recorded: Recorded, name: str, sheet: CueSheet, *, delta: bool, now: float
) -> str:
    if name == REPLAY_CAPTIONS:
        return _replay_captions(recorded)
    if name == LIVE_CAPTIONS:
        return sheet.playlist.render_window(ended=sheet.ended)
    skipped = _skipped(sheet.playlist, sheet.known_since, now) if delta else 0
    return sheet.playlist.render(ended=sheet.ended, skip=skipped)


def _replay(recorded: Recorded, name: str) -> str:
    of = name.removesuffix(".m3u8").removeprefix(_REPLAY_OF)
    rendition = _started(recorded, MIX if name == REPLAY else of)
    if rendition.whole is None:
        raise NotCompacted
    folder = f"r{recorded.revision}/{rendition.name}"
    playlist = MediaPlaylist(
        init_uri=f"{folder}/{WHOLE}",
        init_range=_range(rendition.init),
        live_at_us=recorded.live_at_us,
        target_s=1,
    )
    for number, entry in _entries(rendition):
        playlist.append(replace(entry, uri=f"{folder}/{part_name(number, entry.parts)}"))
    return playlist.render_vod()


def _replay_captions(recorded: Recorded) -> str:
    rendition = _started(recorded, MIX)
    if rendition.whole is None:
        raise NotCompacted
    playlist = MediaPlaylist(init_uri=None, live_at_us=recorded.live_at_us, target_s=1)
    for number, entry in _entries(rendition):
        uri = f"r{recorded.revision}/{FOLDER}/{vtt_name(number, entry.parts)}"
        playlist.append(replace(entry, uri=uri))
    return playlist.render_vod()


def lists_captions(recorded: Recorded, uri: str) -> bool:
    """Whether the replay's subtitles are in such a piece of several segments: what nobody is
    told of is not rendered. Raises NotStarted, NothingRecorded, NotCompacted."""
    known = recorded.documents.get(REPLAY_CAPTIONS)
    if known is None or known.version != recorded.version:
        known = _print(_replay_captions(recorded), recorded.version)
        recorded.documents[REPLAY_CAPTIONS] = known
    return f"\n{uri}\n".encode() in known.body


def _entries(rendition: Rendition) -> Iterator[tuple[int, MediaSegment]]:
    """Neighbors in the compacted object as one, with the number of the first of them."""
    pairs = zip(rendition.playlist.segments, rendition.places, strict=True)
    parts = (
        MediaSegment("", s.samples, s.room_start_ms, s.discontinuity, _range(place))
        for s, place in pairs
    )
    number = 0
    for entry in merged(parts):
        yield number, entry
        number += entry.parts


def _range(place: Place) -> ByteRange:
    return ByteRange(place.start, place.size)


def _started(recorded: Recorded, name: str) -> Rendition:
    rendition = recorded.renditions.get(name)
    if rendition is not None and rendition.places:
        return rendition
    if rendition is None and name != MIX:
        raise NoSuchFile
    if recorded.ended:
        raise NothingRecorded
    raise not_started()


def not_started() -> NotStarted:
    return NotStarted("the first segment is not there yet; ask again", headers={"Retry-After": "1"})


def _print(text: str, version: int) -> Document:
    body = text.encode()
    digest = hashlib.sha256(body).hexdigest()[:24].encode()
    gzipped = gzip.compress(body, _GZIP_LEVEL, mtime=0)
    return Document(version, body, gzipped, b'"%s"' % digest, b'"%s-gz"' % digest)
