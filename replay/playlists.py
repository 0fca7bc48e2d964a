"""The playlists of one recording by name, rendered and gzipped once per version.

live.m3u8         the mix, sliding window          master.m3u8       lists index.m3u8
index.m3u8        the mix from 0:00                live-master.m3u8  lists live.m3u8
track-<id>.m3u8   one speaker from their first word

After compaction, for those who come then; the lists above stay as they are for those who hold
them (an EVENT list never changes, bis 6.2.1):

replay.m3u8       the mix, some 10 s to an entry       replay-track-<id>.m3u8  one speaker
"""

import gzip
import hashlib
from dataclasses import replace
from typing import Final

from core.errors import NotFound
from ingest.hls import ByteRange, MediaPlaylist, MediaSegment, master_playlist, merged
from replay.recorded import MIX, WHOLE, Document, Place, Recorded, Rendition, part_name

LIVE: Final = "live.m3u8"
INDEX: Final = "index.m3u8"
REPLAY: Final = "replay.m3u8"
_REPLAY_OF: Final = "replay-"
_MASTERS: Final = {"master.m3u8": INDEX, "live-master.m3u8": LIVE}
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
    return name in (LIVE, INDEX, REPLAY) or name in _MASTERS


def is_replay(name: str) -> bool:
    """Whether there is such a playlist only after compaction."""
    return name == REPLAY or name.startswith(_REPLAY_OF)


def track_playlist(rendition: str, *, compacted: bool = False) -> str:
    return f"{_REPLAY_OF if compacted else ''}{rendition}.m3u8"


def document(recorded: Recorded, name: str, *, skip: bool, now: float) -> Document:
    """The playlist's current version; with `skip`, its delta update where one is due.

    Raises NoSuchFile, NotStarted, NothingRecorded, NotCompacted.
    """
    delta = skip and not recorded.ended and name not in (LIVE, *_MASTERS)
    key = f"{name}?skip" if delta else name
    known = recorded.documents.get(key)
    if known is None or known.version != recorded.version:
        known = _print(_render(recorded, name, delta=delta, now=now), recorded.version)
        recorded.documents[key] = known
    return known


def _render(recorded: Recorded, name: str, *, delta: bool, now: float) -> str:
    if is_replay(name):
        return _replay(recorded, name)
    rendition = _started(recorded, MIX if is_of_mix(name) else name.removesuffix(".m3u8"))
    if name in _MASTERS:
        listed = REPLAY if recorded.compacted and _MASTERS[name] == INDEX else _MASTERS[name]
        return master_playlist([rendition.variant(listed)])
    if name == LIVE:
        return rendition.playlist.render_window(ended=recorded.ended)
    count = 0
    if delta:
        # Clients may hold a version as old as half the boundary (bis 6.3.7); what they
        # cannot know, because a restarted packager caught up at once, is not skipped.
        age = rendition.playlist.skip_boundary_s / 2
        count = rendition.playlist.skippable(rendition.known_for(age, now=now))
    return rendition.playlist.render(ended=recorded.ended, skip=count)


def _replay(recorded: Recorded, name: str) -> str:
    of = name.removesuffix(".m3u8").removeprefix(_REPLAY_OF)
    rendition = _started(recorded, MIX if name == REPLAY else of)
    if rendition.whole is None:
        raise NotCompacted
    folder = f"r{recorded.revision}/{rendition.name}"
    uri = f"{folder}/{WHOLE}"
    playlist = MediaPlaylist(
        init_uri=uri,
        init_range=_range(rendition.init),
        live_at_us=recorded.live_at_us,
        target_s=1,
    )
    pairs = zip(rendition.playlist.segments, rendition.places, strict=True)
    parts = (
        MediaSegment(uri, s.samples, s.room_start_ms, s.discontinuity, _range(place))
        for s, place in pairs
    )
    number = 0
    for entry in merged(parts):
        playlist.append(replace(entry, uri=f"{folder}/{part_name(number, entry.parts)}"))
        number += entry.parts
    return playlist.render_vod()


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
