"""The edge after compaction: a short list for newcomers, the old names for the rest."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.db import Database
from core.storage.folder import FolderStore
from ingest.hls import ByteRange, MediaSegment, merged
from tests.replay.afterwards import Over, store_room, two_with_a_pause
from tests.replay.conftest import EdgeSite, problem_code, running_edge
from tests.replay.playlist_rules import check_master, check_media


@pytest.fixture
async def over(database: Database, tmp_path: Path) -> Over:
    return await store_room(database, tmp_path, two_with_a_pause)


@pytest.fixture
async def edge(over: Over, database: Database, tmp_path: Path) -> AsyncIterator[EdgeSite]:
    """On a machine that never had the spool."""
    assert isinstance(over.store, FolderStore)
    async with running_edge(tmp_path / "elsewhere", over.store, database) as site:
        yield site


def seconds_heard(url: str) -> float:
    with av.open(url) as container:
        return sum(frame.samples for frame in container.decode(audio=0)) / 48_000


async def test_the_list_is_short_and_plays(edge: EdgeSite, over: Over) -> None:
    before = await edge.get(over.recording_id, "index.m3u8")
    assert problem_code(await edge.get(over.recording_id, "replay.m3u8")) == "not_compacted"
    await over.compact()
    await over.sweep()
    edge.library._shelves.clear()

    answer = await edge.get(over.recording_id, "replay.m3u8")
    assert answer.headers["cache-control"] == "public, max-age=60"
    listed = check_media(answer.text)
    assert listed.tags["EXT-X-PLAYLIST-TYPE"] == "VOD"
    assert set(listed.maps) == {"r1/mix/all.mp4"}
    assert listed.uris == ["r1/mix/0-1.m4s", "r1/mix/2-3.m4s"]
    assert set(listed.ranges) == {None}, "FFmpeg takes one range of a URI and no second"
    assert listed.discontinuity_numbers == [0, 1], "merged, but not across the pause"
    event = check_media(before.text)
    assert sum(listed.durations) == pytest.approx(sum(event.durations))
    assert listed.place_of(1) == event.place_of(event.discontinuity_numbers.index(1))

    heard = await asyncio.to_thread(seconds_heard, edge.url(over.recording_id, "replay.m3u8"))
    assert heard == pytest.approx(8, abs=0.05)
    name = f"replay-track-{over.speakers[1]}.m3u8"
    track = check_media((await edge.get(over.recording_id, name)).text)
    heard = await asyncio.to_thread(seconds_heard, edge.url(over.recording_id, name))
    assert heard == pytest.approx(sum(track.durations), abs=0.05)
    master = await edge.get(over.recording_id, "master.m3u8")
    assert list(check_master(master.text)) == ["replay.m3u8"]


async def test_every_entry_of_the_list_is_what_the_segments_were(
    edge: EdgeSite, over: Over
) -> None:
    parts = await over.all_bytes()
    await over.compact()
    listed = check_media((await edge.get(over.recording_id, "replay.m3u8")).text)
    whole = await edge.get(over.recording_id, "r1/mix/all.mp4")
    assert whole.status_code == 200
    joined = b""
    for uri in listed.uris:
        answer = await edge.get(over.recording_id, uri)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        joined += answer.content
    mix = [parts[key] for key in sorted(parts) if key[0] == "mix"]
    assert joined == b"".join(mix)
    init = await edge.get(over.recording_id, "r1/mix/init.mp4")
    assert whole.content == init.content + joined


@pytest.mark.parametrize("name", ["0-0", "1-0", "00-1", "0-01", "0-999", "0-", "-1", "0-1-2"])
async def test_only_neighbors_have_a_name_together(edge: EdgeSite, over: Over, name: str) -> None:
    early = await edge.get(over.recording_id, "r1/mix/0-1.m4s")
    assert problem_code(early) == "no_such_file", "before compaction they lie apart"
    await over.compact()
    edge.library._shelves.clear()
    assert (await edge.get(over.recording_id, "r1/mix/0-1.m4s")).status_code == 200
    assert problem_code(await edge.get(over.recording_id, f"r1/mix/{name}.m4s")) == "no_such_file"


async def test_who_already_plays_goes_on_with_the_old_names(edge: EdgeSite, over: Over) -> None:
    """The edge knows rows from before: their objects are gone when it reads them."""
    before = await edge.get(over.recording_id, "index.m3u8")
    parts = await over.all_bytes()
    await over.compact()
    await over.sweep()
    uris = check_media(before.text).uris
    answers = await asyncio.gather(*(edge.get(over.recording_id, uri) for uri in uris))
    assert [answer.status_code for answer in answers] == [200] * len(uris)
    assert [answer.content for answer in answers] == [parts["mix", n] for n in range(len(uris))]
    after = await edge.get(over.recording_id, "index.m3u8")
    assert (after.text, after.headers["etag"]) == (before.text, before.headers["etag"])
    cached = await edge.get(
        over.recording_id, uris[0], {"If-None-Match": answers[0].headers["etag"]}
    )
    assert cached.status_code == 304


async def test_ranges_as_http_wants_them(edge: EdgeSite, over: Over) -> None:
    await over.compact()
    name = "r1/mix/all.mp4"
    size = len((await edge.get(over.recording_id, name)).content)
    end = await edge.get(over.recording_id, name, {"Range": "bytes=-8"})
    assert (end.status_code, len(end.content)) == (206, 8)
    open_end = await edge.get(over.recording_id, name, {"Range": f"bytes={size - 5}-"})
    assert open_end.headers["content-range"] == f"bytes {size - 5}-{size - 1}/{size}"
    beyond = await edge.get(over.recording_id, name, {"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    other = {"Range": "bytes=0-3", "If-Range": '"another"'}
    assert (await edge.get(over.recording_id, name, other)).status_code == 200
    same = {"Range": "bytes=4-7", "If-Range": end.headers["etag"]}
    assert (await edge.get(over.recording_id, name, same)).content == b"ftyp"
    assert (await edge.get(over.recording_id, "r1/track-x/all.mp4")).status_code == 404


async def test_a_large_object_is_sent_in_parts(
    edge: EdgeSite, over: Over, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the limit lowered: hours of sound are no test's bytes."""
    monkeypatch.setattr("replay.answers.LONGEST_PART", 1000)
    await over.compact()
    name = "r1/mix/all.mp4"
    refused = await edge.get(over.recording_id, name)
    assert refused.status_code == 416
    assert problem_code(refused) == "range_needed"
    part = await edge.get(over.recording_id, name, {"Range": "bytes=10-"})
    assert (part.status_code, len(part.content)) == (206, 1000)
    assert part.headers["content-range"].startswith("bytes 10-1009/")
    monkeypatch.setattr("replay.recorded.LONGEST_PART", 1000)
    assert (await edge.get(over.recording_id, "r1/mix/0-1.m4s")).status_code == 404


async def test_a_missing_object_asks_the_rows_only_now_and_then(edge: EdgeSite, over: Over) -> None:
    await over.compact()
    await edge.get(over.recording_id, "replay.m3u8")
    await over.store.delete(f"{(await over.holding()).prefix}/mix.mp4")
    for _ in range(3):
        answer = await edge.get(over.recording_id, "r1/mix/0.m4s")
        assert problem_code(answer) == "object_missing"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 300_000), st.booleans(), st.booleans(), st.integers(1, 99)),
        max_size=60,
    )
)
def test_merging_loses_nothing_and_crosses_nothing(
    parts: list[tuple[int, bool, bool, int]],
) -> None:
    at, room_ms = 100, 0.0
    segments: list[MediaSegment] = []
    for samples, discontinuity, hole, size in parts:
        at += 7 if hole else 0
        room_ms += 5000 if discontinuity else 0
        span = ByteRange(at, size)
        segments.append(MediaSegment("x", samples, room_ms, discontinuity, span))
        at += size
        room_ms += samples / 48
    entries = list(merged(segments))
    assert sum(e.samples for e in entries) == sum(s.samples for s in segments)
    assert sum(e.discontinuity for e in entries) == sum(s.discontinuity for s in segments)
    bytes_of = [s.byte_range.length for s in segments if s.byte_range]
    assert sum(e.byte_range.length for e in entries if e.byte_range) == sum(bytes_of)
    whole = {s.samples for s in segments}
    assert all(e.samples <= 504_000 or e.samples in whole for e in entries)
    assert [e for e in entries if e.discontinuity] == [
        e
        for e in entries
        if any(
            s.discontinuity
            and s.byte_range
            and e.byte_range
            and s.byte_range.start == e.byte_range.start
            for s in segments
        )
    ]


def test_two_hours_are_a_short_list() -> None:
    segments = [
        MediaSegment("x", 96_256, n * 96_256 / 48, False, ByteRange(n * 16_000, 16_000))
        for n in range(3600)
    ]
    entries = list(merged(segments))
    assert len(entries) == 720
    assert {e.samples for e in entries} == {5 * 96_256}
