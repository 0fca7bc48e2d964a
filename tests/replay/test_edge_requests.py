"""The edge asked as caches, foreign pages and attackers ask: ranges, CORS, paths, capabilities."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from replay.capability import capability_key, issue
from tests.replay.conftest import KEY, EdgeSite, problem_code
from tests.replay.spools import mix_media


async def test_forged_expired_and_foreign_capabilities(site: EdgeSite) -> None:
    spool = site.live_room()
    recording = spool.recording_id
    now = datetime.now(UTC)
    past = issue(KEY, recording, at=now - timedelta(hours=3)).token
    other = issue(KEY, uuid4(), at=now).token
    foreign = issue(capability_key(b"z" * 32), recording, at=now).token
    good = issue(KEY, recording, at=now).token
    for token, code in (
        (past, "capability_expired"),
        (other, "capability_invalid"),
        (foreign, "capability_invalid"),
        (good[:-1], "capability_invalid"),
        ("x", "capability_invalid"),
    ):
        for name in ("live.m3u8", "r1/mix/0.m4s", "r1/mix/init.mp4"):
            answer = await site.client.get(f"/{token}/{recording}/{name}")
            assert (answer.status_code, problem_code(answer)) == (403, code)


@pytest.mark.parametrize(
    "name",
    [
        "manifest.jsonl",
        "mix-000000.m4s",
        "r1/mix/mix-000000.m4s",
        "r1/mix/99.m4s",
        "r1/mix/00.m4s",
        "r1/mix/-1.m4s",
        "r1/mix/%C2%B2.m4s",
        "r1/mix/0.mp4",
        "r1/mix/" + "9" * 200 + ".m4s",
        "r2/mix/0.m4s",
        "r1/../0.m4s",
        "r1/%2e%2e/manifest.jsonl",
        "r1/mix/..%2f..%2fmanifest.jsonl",
        "../secret_key",
        "track-x.m3u8",
        "mix.m3u8/",
        "",
    ],
)
async def test_names_are_looked_up_and_never_joined(site: EdgeSite, name: str) -> None:
    spool = site.live_room(1)
    token = issue(KEY, spool.recording_id, at=datetime.now(UTC)).token
    raw = f"/{token}/{spool.recording_id}/{name}".encode()
    url = httpx.URL(site.base_url).copy_with(raw_path=raw)
    answer = await site.client.get(url)
    assert answer.status_code == 404
    assert problem_code(answer) in ("no_such_file", "no_such_path")


@pytest.mark.parametrize("form", ["upper", "hex", "braces", "nothing"])
async def test_only_the_canonical_recording_id_is_a_path(site: EdgeSite, form: str) -> None:
    recording = site.live_room(1).recording_id
    forms = {"upper": str(recording).upper(), "hex": recording.hex, "nothing": "x"}
    text = forms.get(form, "{" + str(recording) + "}")
    token = issue(KEY, recording, at=datetime.now(UTC)).token
    answer = await site.client.get(f"/{token}/{text}/live.m3u8")
    assert problem_code(answer) == "no_such_path"


async def test_head_answers_like_get_without_a_body(site: EdgeSite) -> None:
    spool = site.live_room()
    for name in ("live.m3u8", "r1/mix/0.m4s", "r1/mix/init.mp4", "nothing.m3u8"):
        path = site.path(spool.recording_id, name)
        head, get = await site.client.head(path), await site.client.get(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        for header in ("content-length", "content-type", "cache-control"):
            assert head.headers[header] == get.headers[header]


async def test_players_on_other_origins_may_ask(site: EdgeSite) -> None:
    spool = site.live_room(1)
    path = site.path(spool.recording_id, "r1/mix/0.m4s")
    preflight = await site.client.options(
        path, headers={"Origin": "https://a.example", "Access-Control-Request-Headers": "range"}
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "Range" in preflight.headers["access-control-allow-headers"]
    answer = await site.client.get(path, headers={"Origin": "https://a.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = answer.headers["access-control-expose-headers"]
    assert all(name in exposed for name in ("Date", "ETag", "Content-Range", "Content-Length"))
    posted = await site.client.post(path, content=b"x")
    assert (posted.status_code, problem_code(posted)) == (405, "method_not_allowed")


async def test_segments_are_immutable_and_answer_ranges(site: EdgeSite) -> None:
    spool = site.live_room()
    data = mix_media().fragments[1][0]
    whole = await site.get(spool.recording_id, "r1/mix/1.m4s")
    assert (whole.status_code, whole.content) == (200, data)
    assert whole.headers["content-type"] == "audio/mp4"
    assert whole.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert whole.headers["accept-ranges"] == "bytes"
    for asked, expected, span in (
        ("bytes=0-99", data[:100], f"bytes 0-99/{len(data)}"),
        ("bytes=100-", data[100:], f"bytes 100-{len(data) - 1}/{len(data)}"),
        ("bytes=-10", data[-10:], f"bytes {len(data) - 10}-{len(data) - 1}/{len(data)}"),
        ("bytes=5-99999999", data[5:], f"bytes 5-{len(data) - 1}/{len(data)}"),
    ):
        part = await site.get(spool.recording_id, "r1/mix/1.m4s", {"Range": asked})
        assert (part.status_code, part.content) == (206, expected)
        assert part.headers["content-range"] == span
        assert part.headers["content-length"] == str(len(expected))


@pytest.mark.parametrize("asked", ["bytes=9-5", "bytes=0-1,4-5", "items=0-5", "bytes=-", "bytes"])
async def test_a_range_that_means_nothing_gets_the_whole(site: EdgeSite, asked: str) -> None:
    spool = site.live_room(1)
    answer = await site.get(spool.recording_id, "r1/mix/0.m4s", {"Range": asked})
    assert (answer.status_code, answer.content) == (200, mix_media().fragments[0][0])


async def test_ranges_outside_and_of_another_version(site: EdgeSite) -> None:
    spool = site.live_room(1)
    size = len(mix_media().fragments[0][0])
    for asked in (f"bytes={size}-", "bytes=-0"):
        outside = await site.get(spool.recording_id, "r1/mix/0.m4s", {"Range": asked})
        assert outside.status_code == 416
        assert problem_code(outside) == "range_not_satisfiable"
        assert outside.headers["content-range"] == f"bytes */{size}"
    condition = {"Range": "bytes=0-9", "If-Range": '"another"'}
    assert (await site.get(spool.recording_id, "r1/mix/0.m4s", condition)).status_code == 200
    etag = (await site.get(spool.recording_id, "r1/mix/0.m4s")).headers["etag"]
    condition["If-Range"] = etag
    assert (await site.get(spool.recording_id, "r1/mix/0.m4s", condition)).status_code == 206
    again = await site.get(spool.recording_id, "r1/mix/0.m4s", {"If-None-Match": etag})
    assert again.status_code == 304
    assert again.headers["cache-control"].endswith("immutable")
