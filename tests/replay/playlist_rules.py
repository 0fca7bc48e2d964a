"""The MUSTs of draft-pantos-hls-rfc8216bis that bear on our playlists, as a checker of text.

Written against the draft and not against ingest/hls.py: it parses on its own. `check_media`
and `check_master` look at one text, `check_update` at two successive versions of one URL,
`apply_delta` is what a client does with a delta update (6.3.7).
"""

import re
from dataclasses import dataclass, field
from datetime import datetime

MEDIA_TAGS = {
    "EXTM3U",
    "EXT-X-VERSION",
    "EXT-X-TARGETDURATION",
    "EXT-X-PLAYLIST-TYPE",
    "EXT-X-SERVER-CONTROL",
    "EXT-X-MEDIA-SEQUENCE",
    "EXT-X-DISCONTINUITY-SEQUENCE",
    "EXT-X-INDEPENDENT-SEGMENTS",
    "EXT-X-MAP",
    "EXT-X-SKIP",
    "EXT-X-DISCONTINUITY",
    "EXT-X-PROGRAM-DATE-TIME",
    "EXTINF",
    "EXT-X-BYTERANGE",
    "EXT-X-ENDLIST",
}
ONCE = MEDIA_TAGS - {
    "EXT-X-MAP",
    "EXT-X-DISCONTINUITY",
    "EXT-X-PROGRAM-DATE-TIME",
    "EXTINF",
    "EXT-X-BYTERANGE",
}
PER_SEGMENT = ("EXTINF", "EXT-X-BYTERANGE", "EXT-X-DISCONTINUITY", "EXT-X-PROGRAM-DATE-TIME")


@dataclass
class Parsed:
    """One media playlist. Positions count from the playlist's own first segment."""

    tags: dict[str, str] = field(default_factory=dict)
    uris: list[str] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    dates: list[datetime | None] = field(default_factory=list)
    discontinuity_numbers: list[int] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    maps: list[str | None] = field(default_factory=list)
    map_ranges: list[str | None] = field(default_factory=list)
    skipped: int = 0

    @property
    def ended(self) -> bool:
        return "EXT-X-ENDLIST" in self.tags

    @property
    def target(self) -> int:
        return int(self.tags["EXT-X-TARGETDURATION"])

    @property
    def first(self) -> int:
        return int(self.tags.get("EXT-X-MEDIA-SEQUENCE", "0"))

    def place_of(self, position: int) -> datetime:
        """The program date of a segment: its own or counted on from the last one that has one."""
        since = 0.0
        for at in range(position, -1, -1):
            date = self.dates[at]
            if date is not None:
                return datetime.fromtimestamp(date.timestamp() + since, date.tzinfo)
            since += self.durations[at - 1] if at else 0.0
        raise AssertionError("no EXT-X-PROGRAM-DATE-TIME before the segment")


def attributes(text: str) -> dict[str, str]:
    """4.2: names in [A-Z0-9-], none twice, values quoted or bare without spaces."""
    found = re.findall(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(?:,|$)', text)
    assert ",".join(f"{k}={v}" for k, v in found) == text, text
    assert len({k for k, _ in found}) == len(found)
    return {k: v.strip('"') for k, v in found}


def lines_of(text: str) -> list[str]:
    """4.1: UTF-8 text without a BOM or control characters; the first line is EXTM3U."""
    assert not text.startswith("\ufeff")
    assert text.endswith("\n")
    lines = text.removesuffix("\n").split("\n")
    assert lines[0] == "#EXTM3U"
    assert all(line and line == line.strip() and line.isprintable() for line in lines)
    return lines


def parse(text: str) -> Parsed:
    playlist = Parsed()
    pending: dict[str, str] = {}
    current_map: str | None = None
    map_range: str | None = None
    number: int | None = None
    for line in lines_of(text):
        if not line.startswith("#"):
            assert "EXTINF" in pending, "every segment has an EXTINF (4.4.4.1)"
            number = _discontinuity_number(playlist, number, pending)
            _take_segment(playlist, line, pending, number)
            playlist.maps.append(current_map)
            playlist.map_ranges.append(map_range)
            pending = {}
            continue
        name, _, value = line[1:].partition(":")
        assert name in MEDIA_TAGS, f"{name} is no tag of a media playlist"
        if name in PER_SEGMENT:
            assert name not in pending
            pending[name] = value
        elif name == "EXT-X-MAP":
            current_map = attributes(value)["URI"]
            map_range = attributes(value).get("BYTERANGE")
        else:
            _take_header(playlist, name, value)
    assert not pending, "segment tags without a segment"
    return playlist


def _discontinuity_number(playlist: Parsed, number: int | None, pending: dict[str, str]) -> int:
    """6.2.1: the tag's value plus the discontinuities before the segment's URI."""
    if number is None:
        number = int(playlist.tags.get("EXT-X-DISCONTINUITY-SEQUENCE", "0"))
    return number + ("EXT-X-DISCONTINUITY" in pending)


def _take_segment(playlist: Parsed, uri: str, pending: dict[str, str], number: int) -> None:
    duration, _, title = pending["EXTINF"].partition(",")
    assert re.fullmatch(r"\d+\.\d{5,}", duration), "exact durations"
    assert title == ""
    playlist.uris.append(uri)
    playlist.durations.append(float(duration))
    date = pending.get("EXT-X-PROGRAM-DATE-TIME")
    playlist.dates.append(datetime.fromisoformat(date) if date else None)
    playlist.discontinuity_numbers.append(number)
    playlist.ranges.append(pending.get("EXT-X-BYTERANGE"))
    if "EXT-X-DISCONTINUITY" in pending:
        assert date, "a date at every discontinuity (6.2.1)"


def _take_header(playlist: Parsed, name: str, value: str) -> None:
    if name in ONCE:
        assert name not in playlist.tags, f"{name} twice"
    if name in ("EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE"):
        assert not playlist.uris, f"{name} comes before the first segment (4.4.3)"
    if name == "EXT-X-SKIP":
        assert not playlist.uris
        playlist.skipped = int(attributes(value)["SKIPPED-SEGMENTS"])
    playlist.tags[name] = value


def check_media(text: str) -> Parsed:
    """One media playlist on its own."""
    playlist = parse(text)
    tags = playlist.tags
    version = int(tags["EXT-X-VERSION"])
    assert version >= 6, "EXT-X-MAP in a playlist of audio (8)"
    kinds = {uri.rpartition(".")[2] for uri in playlist.uris}
    assert len(kinds) == 1, "one format in a playlist (3)"
    assert playlist.uris, "a playlist without segments stops players"
    assert all(int(d + 0.5) <= playlist.target for d in playlist.durations), "4.4.3.1"
    if is_subtitles(playlist):
        assert not any(playlist.maps), "WebVTT segments have none (3.1.4)"
    else:
        assert all(playlist.maps), "fMP4 segments need their EXT-X-MAP (3.1.1)"
    assert tags.get("EXT-X-PLAYLIST-TYPE", "EVENT") in ("EVENT", "VOD")
    if tags.get("EXT-X-PLAYLIST-TYPE") == "VOD":
        assert playlist.ended, "a VOD playlist never changes, so it is whole (6.2.1)"
        assert "EXT-X-SERVER-CONTROL" not in tags
    _check_ranges(playlist)
    assert not re.match(r"[a-z]+:|/", playlist.uris[0]), "relative: the capability stays in front"
    dates = [d for d in playlist.dates if d is not None]
    assert all(d.utcoffset() is not None for d in dates)
    assert playlist.dates[0] is not None, "the first segment that is listed carries its date"
    assert dates == sorted(dates), "dates are not ambiguous (6.2.1)"
    if "EXT-X-SERVER-CONTROL" in tags:
        control = attributes(tags["EXT-X-SERVER-CONTROL"])
        assert float(control["CAN-SKIP-UNTIL"]) >= 6 * playlist.target, "4.4.3.8"
    if playlist.skipped:
        _check_skip(playlist, version)
    return playlist


def is_subtitles(playlist: Parsed) -> bool:
    return playlist.uris[0].endswith(".vtt")


def check_rendition(variant: str, rendition: str) -> None:
    """6.2.4: a subtitles playlist beside that of the sound it goes with, read at about one time."""
    sound, subtitles = check_media(variant), check_media(rendition)
    assert is_subtitles(subtitles)
    if "VOD" not in (sound.tags.get("EXT-X-PLAYLIST-TYPE"),):
        assert sound.target == subtitles.target
    places = {date: (n, d) for date, n, d in _dated(sound)}
    matching = [(date, n, d) for date, n, d in _dated(subtitles) if date in places]
    assert matching, "they play the same time"
    for date, number, duration in matching:
        assert places[date] == (number, duration), "matching discontinuities and durations"


def _dated(playlist: Parsed) -> list[tuple[datetime, int, float]]:
    return [
        (date, number, duration)
        for date, number, duration in zip(
            playlist.dates, playlist.discontinuity_numbers, playlist.durations, strict=True
        )
        if date is not None
    ]


def _check_ranges(playlist: Parsed) -> None:
    """4.4.4.2 and 4.4.4.5: <length>@<offset>; ours are all explicit, apart and in order."""
    ends: dict[str, int] = {}
    for uri, span in zip(playlist.uris, playlist.ranges, strict=True):
        if span is None:
            continue
        length, start = _span(span)
        assert length > 0
        assert start >= ends.get(uri, 0), "a byte is in one segment"
        ends[uri] = start + length
    for name, span in zip(playlist.maps, playlist.map_ranges, strict=True):
        if name is not None and span is not None and name in ends:
            length, start = _span(span)
            first = playlist.ranges[playlist.uris.index(name)]
            assert start + length <= _span(first or "0@0")[1], "the map lies before the media"


def _span(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)@(\d+)", text)
    assert found, text
    return int(found[1]), int(found[2])


def _check_skip(playlist: Parsed, version: int) -> None:
    assert version >= 9, "EXT-X-SKIP (8)"
    assert not playlist.ended, "no delta update of an ended playlist (6.2.5.1)"
    boundary = float(attributes(playlist.tags["EXT-X-SERVER-CONTROL"])["CAN-SKIP-UNTIL"])
    assert sum(playlist.durations) >= boundary - 1e-6, "only beyond the skip boundary (4.4.5.2)"


def check_update(before: str, after: str) -> None:
    """6.2.1 and 6.2.2: what may change between two versions of one playlist."""
    old, new = check_media(before), check_media(after)
    assert old.target == new.target
    assert old.tags.get("EXT-X-PLAYLIST-TYPE") == new.tags.get("EXT-X-PLAYLIST-TYPE")
    removed = new.first - old.first
    assert removed >= 0
    if "EXT-X-PLAYLIST-TYPE" in new.tags:
        assert "EXT-X-ENDLIST" in new.tags or not old.ended
        assert after.startswith(before.removesuffix("#EXT-X-ENDLIST\n")), "only lines are added"
    if removed:
        assert "EXT-X-MEDIA-SEQUENCE" in new.tags
        assert "EXT-X-DISCONTINUITY-SEQUENCE" in new.tags
        assert sum(new.durations) >= 3 * new.target or new.ended
    if old.ended:
        assert before == after
    kept = len(old.uris) - removed
    assert kept >= 0, "no segment may be missed between two versions"
    for attribute in ("uris", "durations", "discontinuity_numbers", "ranges", "maps"):
        assert getattr(old, attribute)[removed:] == getattr(new, attribute)[:kept], attribute


def apply_delta(before: str, delta: str) -> str:
    """6.3.7: the full playlist, from the version held and a delta update."""
    skipped = check_media(delta).skipped
    assert skipped
    held = _segment_texts(before)
    assert len(held) >= skipped, "the client must know all that was skipped"
    head, _, rest = delta.partition(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n")
    return head + "".join(held[:skipped]) + rest


def _segment_texts(text: str) -> list[str]:
    lines = lines_of(text)
    tags = [line[1:].partition(":")[0] for line in lines]
    start = next(i for i, tag in enumerate(tags) if tag in PER_SEGMENT)
    texts: list[str] = []
    current = ""
    for line in lines[start:]:
        current += line + "\n"
        if not line.startswith("#"):
            texts.append(current)
            current = ""
    return texts


def check_master(text: str) -> dict[str, dict[str, str]]:
    """The multivariant playlist (4.4.6): URI to attributes of each variant."""
    lines = lines_of(text)
    variants: dict[str, dict[str, str]] = {}
    groups = _check_renditions(lines)
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert not line.startswith(("#EXTINF", "#EXT-X-TARGETDURATION")), "of media playlists only"
        if line.startswith("#EXT-X-STREAM-INF:"):
            assert following
            assert not following.startswith("#"), "the URI comes next"
            variants[following] = attributes(line.partition(":")[2])
    assert variants
    for found in variants.values():
        assert int(found["BANDWIDTH"]) >= int(found["AVERAGE-BANDWIDTH"]) > 0
        assert found["CODECS"]
        assert ("SUBTITLES" in found) == bool(groups), "a rendition belongs to a variant"
        assert found.get("SUBTITLES") in (*groups, None), "4.4.6.2"
    return variants


def renditions(text: str) -> list[dict[str, str]]:
    """The EXT-X-MEDIA lines (4.4.6.1)."""
    begin = "#EXT-X-MEDIA:"
    return [attributes(x.removeprefix(begin)) for x in lines_of(text) if x.startswith(begin)]


def _check_renditions(lines: list[str]) -> set[str]:
    """4.4.6.1: of subtitles; returns their groups."""
    found = renditions("\n".join(lines) + "\n")
    for one in found:
        assert one["TYPE"] == "SUBTITLES"
        assert one["GROUP-ID"]
        assert one["NAME"]
        assert one["URI"], "required for subtitles"
        assert re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]+)*", one["LANGUAGE"]), "BCP 47"
        assert not (one.get("DEFAULT") == "YES" and one.get("AUTOSELECT") == "NO")
    names = [(one["GROUP-ID"], one["NAME"]) for one in found]
    assert len(set(names)) == len(names), "4.4.6.1.1: names differ within a group"
    return {one["GROUP-ID"] for one in found}
