"""Transcripts over HTTP: formats, pages, progress, languages and runs."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from core.auth.models import Platform
from core.db import Database
from ingest.models import RecordingStatus, Rendition, Segment
from replay.recorded import MIX
from rooms.models import Participant
from tests.factories import make_api_key, make_user, sign_in
from tests.rooms.conftest import make_house
from tests.rooms.serving import in_process, make_app
from tests.transcripts.heard import Heard, make_heard, spoken
from transcripts.api import router
from transcripts.models import Cue, Run, RunStatus, TrackLanguage, Transcript
from transcripts.reading import open_runs
from web.transcripts_cli import summary

PAUSE = (60_000, 70_000)


@dataclass
class Site:
    database: Database
    http: httpx.AsyncClient
    """Somebody's of the platform, who was not in the room."""

    heard: Heard

    @property
    def path(self) -> str:
        return f"/recordings/{self.heard.recording.id}/transcript"

    async def sign_in(self, name: str) -> dict[str, str]:
        async with self.database.transaction() as session:
            user = self.heard.house.host if name == "host" else self.heard.people[name][0]
            return {"Authorization": f"Bearer {await sign_in(session, user)}"}

    async def api_key(self, *scopes: str) -> dict[str, str]:
        async with self.database.transaction() as session:
            platform = await session.get_one(Platform, self.heard.room.platform_id)
            _, key = await make_api_key(session, platform, scopes=scopes)
        return {"Authorization": f"Bearer {key}"}


@pytest.fixture
async def site(database: Database, tmp_path: Path) -> AsyncIterator[Site]:
    """Ada and Ben spoke before and after ten seconds off the record."""
    async with database.transaction() as session:
        heard = await make_heard(await make_house(session))
        ada, ben = await heard.speaker("Ada"), await heard.speaker("Ben")
        session.add_all([heard.room, heard.recording])
        await _add_mix(heard)
        first = [*spoken("What the sea keeps.", 1000), *spoken("It keeps well.", 75_000)]
        run = await heard.run(
            {ada: first, ben: spoken("È <vero>.", 2000)}, missing=[(80_000, 82_000)]
        )
        await heard.publish(run)
        outsider = await make_user(session, heard.house.platform)
        token = await sign_in(session, outsider)
    app = make_app(database, tmp_path)
    app.include_router(router)
    async with in_process(app) as http:
        http.headers["Authorization"] = f"Bearer {token}"
        yield Site(database, http, heard)


async def _add_mix(heard: Heard) -> None:
    mix = Rendition(
        recording_id=heard.recording.id, name=MIX, codec="mp4a.40.2", init_key="x", init_bytes=1
    )
    heard.session.add(mix)
    await heard.session.flush()
    media = 0
    for number, (start, end) in enumerate([(0, PAUSE[0]), (PAUSE[1], 120_000)]):
        samples = (end - start) * 48
        heard.session.add(
            Segment(
                rendition_id=mix.id,
                sequence=number,
                epoch=1,
                object_key="x",
                bytes=1,
                sha256="",
                media_start=media,
                samples=samples,
                room_start_ms=start,
                discontinuity=number > 0,
            )
        )
        media += samples
    await heard.session.flush()


VTT = """WEBVTT

NOTE possibly missing: Ada, 00:01:10.000 to 00:01:12.000

NOTE possibly missing: Ben, 00:01:10.000 to 00:01:12.000

1
00:00:01.000 --> 00:00:02.500
<v Ada>What the sea keeps.</v>

2
00:00:02.000 --> 00:00:03.000
<v Ben>È &lt;vero&gt;.</v>

3
00:01:05.000 --> 00:01:06.100
<v Ada>It keeps well.</v>
"""


async def test_files_have_the_times_of_the_media(site: Site) -> None:
    """What was off the record takes no time in a player."""
    answer = await site.http.get(f"{site.path}.vtt")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/vtt; charset=utf-8"
    assert answer.text == VTT
    srt = (await site.http.get(f"{site.path}.srt")).text
    assert "00:01:05,000 --> 00:01:06,100\nAda: It keeps well." in srt
    text = (await site.http.get(f"{site.path}.txt")).text
    assert "Ben (0:00:02)\nÈ <vero>." in text
    podcast = (await site.http.get(f"{site.path}.json")).json()
    assert podcast["version"] == "1.0.0"
    assert podcast["segments"][2]["startTime"] == 65.0
    assert (await site.http.get(f"{site.path}.pdf")).status_code == 422


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/vtt", "text/vtt"),
        ("application/x-subrip", "application/x-subrip"),
        ("application/srt;q=0.5, text/plain;q=0.4", "application/x-subrip"),
        ("text/html, text/*;q=0.8", "text/vtt"),
        ("text/*, text/vtt;q=0.1", "text/plain"),
        ("TEXT/VTT;charset=utf-8", "text/vtt"),
        ("image/png", None),
        ("text/vtt;q=0", None),
        ("text/vtt;q=much", None),
    ],
)
async def test_the_format_is_negotiated(site: Site, accept: str | None, given: str | None) -> None:
    headers = {} if accept is None else {"Accept": accept}
    answer = await site.http.get(site.path, headers=headers)
    if given is None:
        assert answer.status_code == 406
        assert answer.json()["code"] == "not_acceptable"
        return
    assert answer.headers["Content-Type"].partition(";")[0] == given
    assert "Accept" in answer.headers["Vary"]


async def test_what_somebody_has_already_is_not_sent_again(site: Site) -> None:
    first = await site.http.get(f"{site.path}.vtt")
    known = {"If-None-Match": f'"other", W/{first.headers["ETag"]}'}
    again = await site.http.get(f"{site.path}.vtt", headers=known)
    assert (again.status_code, again.text) == (304, "")
    async with site.database.transaction() as session:
        ben = await session.get_one(Participant, site.heard.people["Ben"][1].id)
        ben.consented_at = None
    after = await site.http.get(f"{site.path}.vtt", headers=known)
    assert after.status_code == 200
    assert "Ben" not in after.text


async def test_pages_of_cues_are_on_the_rooms_clock(site: Site) -> None:
    whole = (await site.http.get(f"{site.path}/cues")).json()
    assert [cue["start_ms"] for cue in whole["cues"]] == [1000, 2000, 75_000]
    assert whole["cues"][0]["words"][0] == [1000, 1300, "What", 0.9]
    assert {one["name"] for one in whole["speakers"]} == {"Ada", "Ben"}
    assert {gap["speaker"] for gap in whole["missing"]} == {"Ada", "Ben"}
    pages, after = [], None
    while True:
        query = {"limit": "1"} | ({"after": after} if after else {})
        page = (await site.http.get(f"{site.path}/cues", params=query)).json()
        pages += page["cues"]
        assert bool(page["missing"]) == (after is None)
        after = page["next"]
        if after is None:
            break
    assert pages == whole["cues"]


@pytest.mark.parametrize(
    "after", ["1000", "1_" + "-" * 36, "9" * 19 + "_" + str(UUID(int=7)), "-_" + str(UUID(int=7))]
)
async def test_a_place_from_nowhere_is_refused(site: Site, after: str) -> None:
    wrong = await site.http.get(f"{site.path}/cues", params={"after": after})
    assert wrong.status_code == 422
    assert wrong.headers["content-type"] == "application/problem+json"


async def test_cues_before_the_room_was_live_have_a_next_page(site: Site) -> None:
    async with site.database.transaction() as session:
        await session.execute(sa.update(Cue).values(start_ms=Cue.start_ms - 5000))
    first = (await site.http.get(f"{site.path}/cues?limit=1")).json()
    assert first["next"].startswith("-4000_")
    rest = await site.http.get(f"{site.path}/cues", params={"after": first["next"]})
    assert [cue["start_ms"] for cue in rest.json()["cues"]] == [-3000, 70_000]


async def test_until_there_is_one_the_problem_says_how_far_it_is(
    site: Site, database: Database
) -> None:
    async with database.transaction() as session:
        other = await make_heard(site.heard.house.on(session))
    path = f"/recordings/{other.recording.id}/transcript"
    for tail in ("", ".vtt", "/cues"):
        refused = await site.http.get(path + tail)
        assert refused.status_code == 404
        assert refused.json()["code"] == "transcript_not_ready"
        assert refused.json()["progress"]["status"] == "none"
    async with database.transaction() as session:
        session.add(
            Run(recording_id=other.recording.id, revision=1, model="bundled", status="running")
        )
    progress = (await site.http.get(path)).json()["progress"]
    assert (progress["status"], progress["windows_total"]) == ("running", None)


async def test_the_status_tells_of_the_newest_run(site: Site) -> None:
    status = (await site.http.get(f"{site.path}/status")).json()
    assert status["version"] == 1
    assert status["run"]["published"]
    ada = next(track for track in status["tracks"] if track["speaker"] == "Ada")
    assert (ada["language"], ada["windows_done"], ada["windows_total"]) == ("en", 1, 1)
    host = await site.sign_in("host")
    asked = await site.http.post(f"{site.path}/runs", json={"model": "default"}, headers=host)
    assert asked.status_code == 202
    assert asked.json()["repeats"], "the machine's own model is the same"
    status = (await site.http.get(f"{site.path}/status")).json()
    assert (status["run"]["model"], status["run"]["status"]) == ("default", "waiting")
    assert (status["version"], status["windows_total"]) == (1, None)


async def test_the_command_tells_of_every_run_that_is_not_finished(site: Site) -> None:
    recording_id = site.heard.recording.id
    async with site.database.transaction() as session:
        for model, status, code in (
            ("gone", RunStatus.FAILED, "model_unknown"),
            ("default", RunStatus.RUNNING, "model_missing"),
            ("large-v3", RunStatus.WAITING, None),
        ):
            session.add(
                Run(
                    recording_id=recording_id,
                    revision=1,
                    model=model,
                    status=status,
                    error_code=code,
                )
            )
            await session.flush()
        told = [summary(one) for one in await open_runs(session, recording_id)]
        heard = replace(site.heard, house=site.heard.house.on(session))
        await heard.publish(await heard.run({}))
        later = await open_runs(session, recording_id)
    assert [line.partition(", 0 of ? windows")[0] for line in told] == [
        "large-v3: waiting",
        "the worker's model: running (model_missing)",
        "gone: failed (model_unknown)",
    ]
    assert "it waits for" in told[0]
    assert "tried again for a day: put the model on" in told[1]
    assert told[2].endswith(f"name another model, then: encore transcript rerun {recording_id}")
    assert [one.run.status.value for one in later if one.run] == ["done", "waiting", "running"]


async def test_another_run_is_asked_for_once(site: Site) -> None:
    host = await site.sign_in("host")
    first = await site.http.post(f"{site.path}/runs", json={"model": "bundled"}, headers=host)
    assert first.status_code == 202, first.text
    assert first.json()["repeats"], "what is read is of that model"
    again = await site.http.post(f"{site.path}/runs", json={"model": "bundled"}, headers=host)
    assert (again.status_code, again.json()["code"]) == (409, "run_under_way")
    by_default = await site.http.post(f"{site.path}/runs", json={"model": "default"}, headers=host)
    assert (by_default.status_code, by_default.json()["code"]) == (409, "run_under_way")
    other = await site.http.post(f"{site.path}/runs", json={"model": "org/large"}, headers=host)
    assert (other.status_code, other.json()["code"]) == (422, "model_not_offered")
    for path in ("/etc/model", "../model", "~/model", "a/b/c", ""):
        wrong = await site.http.post(f"{site.path}/runs", json={"model": path}, headers=host)
        assert wrong.status_code == 422, path
    listed = (await site.http.get(f"{site.path}/runs", headers=host)).json()["items"]
    assert [run["model"] for run in listed] == ["bundled", "bundled"]
    assert [run["published"] for run in listed] == [False, True]
    assert [run["repeats"] for run in listed] == [True, False]
    ada = await site.sign_in("Ada")
    assert (await site.http.get(f"{site.path}/runs", headers=ada)).status_code == 403


async def test_a_recording_that_goes_on_has_no_run_yet(site: Site) -> None:
    async with site.database.transaction() as session:
        recording = await session.merge(site.heard.recording)
        recording.status = RecordingStatus.LIVE
    host = await site.sign_in("host")
    refused = await site.http.post(f"{site.path}/runs", json={}, headers=host)
    assert (refused.status_code, refused.json()["code"]) == (409, "recording_unfinished")


async def test_an_earlier_run_is_published_again(site: Site) -> None:
    heard = site.heard
    async with site.database.transaction() as session:
        first = await session.scalar(
            sa.select(Run.id).where(Run.recording_id == heard.recording.id)
        )
        waiting = Run(recording_id=heard.recording.id, revision=1, model="x")
        done = Run(recording_id=heard.recording.id, revision=1, model="y", status=RunStatus.DONE)
        session.add_all([waiting, done])
    host = await site.sign_in("host")
    refused = await site.http.post(f"{site.path}/runs/{waiting.id}/publish", headers=host)
    assert (refused.status_code, refused.json()["code"]) == (409, "run_unfinished")
    assert (await site.http.post(f"{site.path}/runs/{done.id}/publish", headers=host)).is_success
    assert (await site.http.get(f"{site.path}/cues")).json()["cues"] == []
    back = await site.http.post(f"{site.path}/runs/{first}/publish", headers=host)
    assert back.json()["published"]
    assert len((await site.http.get(f"{site.path}/cues")).json()["cues"]) == 3
    async with site.database.transaction() as session:
        assert (await session.get_one(Transcript, heard.recording.id)).version == 3
    unknown = await site.http.post(f"{site.path}/runs/{heard.room.id}/publish", headers=host)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "run_unknown")


async def test_languages_are_set_by_the_speaker_the_host_and_the_platform(site: Site) -> None:
    room, ada = site.heard.room, site.heard.people["Ada"][1]
    paths = (
        f"/recordings/{site.heard.recording.id}/tracks/{ada.id}/language",
        f"/rooms/{room.id}/participants/{ada.id}/language",
    )
    for path in paths:
        for caller, language, status in (
            (await site.sign_in("Ada"), "pt-BR", 204),
            (await site.sign_in("Ben"), "en", 403),
            (await site.sign_in("host"), "it", 204),
            (await site.api_key("rooms:write"), "fr", 204),
            (await site.api_key("rooms:read"), "de", 403),
            (await site.sign_in("Ada"), "tlh", 422),
        ):
            answer = await site.http.put(path, json={"language": language}, headers=caller)
            assert answer.status_code == status, (caller, answer.text)
        async with site.database.transaction() as session:
            found = await session.get_one(TrackLanguage, ada.id)
            assert (found.language, found.set_by) == ("fr", None)
        named = await site.http.put(path, json={"language": "english"}, headers=caller)
        assert named.json()["detail"] == "language: name a code such as en or pt-BR"
        cleared = await site.http.put(
            path, json={"language": None}, headers=await site.sign_in("Ada")
        )
        assert cleared.status_code == 204
        async with site.database.transaction() as session:
            assert await session.get(TrackLanguage, ada.id) is None


async def test_keys_need_their_scope(site: Site) -> None:
    for tail in ("", ".vtt", "/status", "/cues"):
        without = await site.http.get(site.path + tail, headers=await site.api_key("rooms:read"))
        assert without.status_code == 403
        key = await site.api_key("rooms:read", "recordings:read")
        answer = await site.http.get(site.path + tail, headers=key)
        assert answer.status_code == 200
