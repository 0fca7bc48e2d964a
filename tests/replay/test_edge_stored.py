"""The edge without a spool: the same names from rows and objects, and what happens in between."""

import asyncio
import json
import shutil
import socket
from pathlib import Path

import av
import pytest

from core.db import Database
from core.storage.folder import FolderStore
from ingest.folders import Folders
from ingest.models import RecordingStatus
from replay.library import MAX_RECORDINGS
from replay.recorded import Place
from rooms.models import RoomState
from tests.replay.conftest import EdgeSite, running_edge
from tests.replay.playlist_rules import check_media, check_update
from tests.replay.spools import Spool, mix_media
from tests.replay.stored_rooms import finish, make_room, make_speaker, store_lines, store_recording


async def store_ended_room(database: Database, site: EdgeSite, spool: Spool) -> str:
    """Ends a room of a pause and a speaker's track and stores it; the track's playlist."""
    async with database.transaction() as session:
        room = await make_room(session, recording_id=spool.recording_id)
        speaker = await make_speaker(session, room, "Ada")
        spool.open_mix().open_track(speaker.id)
        spool.mix(4)
        spool.track(speaker.id, 2)
        spool.pause(30_000)
        spool.mix(3, discontinuity=True)
        spool.end()
        await store_recording(session, room, spool)
        await store_lines(session, site.store, spool)
    return f"track-{speaker.id}.m3u8"


async def test_a_replay_from_the_store_is_the_one_from_the_disk(
    site: EdgeSite, database: Database, tmp_path: Path
) -> None:
    spool = site.spool()
    track = await store_ended_room(database, site, spool)
    async with running_edge(tmp_path / "elsewhere", site.store, database) as elsewhere:
        for name in ("index.m3u8", "live.m3u8", "master.m3u8", track):
            here = await site.get(spool.recording_id, name)
            there = await elsewhere.get(spool.recording_id, name)
            assert (here.status_code, here.text) == (200, there.text)
            assert here.headers["etag"] == there.headers["etag"]
        for name in ("r1/mix/init.mp4", "r1/mix/6.m4s", f"r1/{track.removesuffix('.m3u8')}/1.m4s"):
            here = await site.get(spool.recording_id, name)
            there = await elsewhere.get(spool.recording_id, name)
            assert (here.status_code, here.content) == (200, there.content)
            assert here.headers["etag"] == there.headers["etag"]
        part = await elsewhere.get(spool.recording_id, "r1/mix/0.m4s", {"Range": "bytes=4-7"})
        assert (part.status_code, part.content) == (206, b"moof")
        url = elsewhere.url(spool.recording_id, "index.m3u8")
        heard = await asyncio.to_thread(samples_heard, url)
    assert abs(heard - sum(n for _, n in mix_media().fragments[:7])) < 4_800


def samples_heard(url: str) -> int:
    with av.open(url) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


async def test_a_spool_may_be_cleaned_up_under_its_listeners(
    site: EdgeSite, database: Database
) -> None:
    spool = site.spool()
    await store_ended_room(database, site, spool)
    before = await site.get(spool.recording_id, "index.m3u8")
    assert (await site.get(spool.recording_id, "r1/mix/0.m4s")).status_code == 200
    shutil.rmtree(spool.folder)
    answers = await asyncio.gather(
        *(site.get(spool.recording_id, f"r1/mix/{n}.m4s") for n in range(7)),
        site.get(spool.recording_id, "r1/mix/init.mp4"),
    )
    assert [answer.status_code for answer in answers] == [200] * 8
    assert [a.content for a in answers[:7]] == [data for data, _ in mix_media().fragments[:7]]
    after = await site.get(spool.recording_id, "index.m3u8")
    assert (after.status_code, after.text) == (200, before.text)


@pytest.mark.slow
async def test_a_room_that_is_live_on_another_machine_grows_with_its_rows(
    site: EdgeSite, database: Database, tmp_path: Path
) -> None:
    spool = Spool(Folders(tmp_path / "other-machine")).open().open_mix()
    spool.mix(2)
    async with database.transaction() as session:
        room = await make_room(session, recording_id=spool.recording_id, state=RoomState.LIVE)
        recording = await store_recording(session, room, spool, status=RecordingStatus.LIVE)
        stored = await store_lines(session, site.store, spool)
    index = (await site.get(spool.recording_id, "index.m3u8")).text
    assert len(check_media(index).uris) == 2
    spool.mix(2)
    async with database.transaction() as session:
        stored = await store_lines(session, site.store, spool, after=stored)
    grown = await site.until(spool.recording_id, "index.m3u8", "mix/3.m4s")
    check_update(index, grown)
    async with database.transaction() as session:
        finish(await session.merge(recording), spool, RecordingStatus.STORED)
    ended = await site.until(spool.recording_id, "index.m3u8", "ENDLIST")
    check_update(grown, ended)


async def test_rows_past_a_hole_wait_for_it(
    site: EdgeSite, database: Database, tmp_path: Path
) -> None:
    spool = Spool(Folders(tmp_path / "other-machine")).open().open_mix()
    spool.mix(3)
    hole = spool.lines.pop(3)
    async with database.transaction() as session:
        room = await make_room(session, recording_id=spool.recording_id, state=RoomState.LIVE)
        await store_recording(session, room, spool, status=RecordingStatus.LIVE)
        await store_lines(session, site.store, spool)
    assert hole.kind == "segment"
    listed = check_media((await site.get(spool.recording_id, "index.m3u8")).text)
    assert listed.uris == ["r1/mix/0.m4s"]


async def test_an_object_that_is_missing_is_a_problem_of_its_own(
    site: EdgeSite, database: Database
) -> None:
    spool = site.spool()
    await store_ended_room(database, site, spool)
    shutil.rmtree(spool.folder)
    line = spool.segments("mix")[2]
    await site.store.delete(f"{spool.platform_id}/{spool.recording_id}/1/{line.file}")
    answer = await site.get(spool.recording_id, "r1/mix/2.m4s")
    assert (answer.status_code, json.loads(answer.text)["code"]) == (404, "object_missing")
    assert (await site.get(spool.recording_id, "r1/mix/3.m4s")).status_code == 200


async def test_a_damaged_object_is_not_served(site: EdgeSite, database: Database) -> None:
    spool = site.spool()
    await store_ended_room(database, site, spool)
    shutil.rmtree(spool.folder)
    line = spool.segments("mix")[2]
    key = f"{spool.platform_id}/{spool.recording_id}/1/{line.file}"
    data = await site.store.get(key)
    await site.store.delete(key)
    await site.store.put(key, data[:-1] + bytes([data[-1] ^ 1]), content_type="audio/mp4")
    answer = await site.get(spool.recording_id, "r1/mix/2.m4s")
    assert (answer.status_code, json.loads(answer.text)["code"]) == (404, "object_missing")


async def test_a_part_of_an_object_is_a_segment_too(site: EdgeSite) -> None:
    """What compaction will need: the same name for a range of one large object."""
    await site.store.put("large", b"0123456789", content_type="audio/mp4")
    assert await site.library.read(Place(None, "large", 4, start=3)) == b"3456"


@pytest.mark.slow
async def test_a_database_that_hangs_holds_nobody_long(tmp_path: Path) -> None:
    """A server that accepts and says nothing; all who ask share one attempt."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        hanging = Database(f"postgresql://encore:none@127.0.0.1:{port}/encore")
        store = FolderStore(tmp_path / "objects")
        async with running_edge(tmp_path / "data", store, hanging) as site:
            unknown = Spool(site.folders).recording_id
            asked = [site.get(unknown, "r1/mix/0.m4s") for _ in range(20)]
            async with asyncio.timeout(6):
                answers = await asyncio.gather(*asked)
        await hanging.close()
    assert {answer.status_code for answer in answers} == {503}


async def test_recordings_that_are_not_asked_for_are_forgotten(site: EdgeSite) -> None:
    first = site.live_room(1)
    assert await site.library.find(first.recording_id) is not None
    for _ in range(MAX_RECORDINGS):
        spool = site.spool()
        assert await site.library.find(spool.recording_id) is not None
    assert len(site.library) == MAX_RECORDINGS
    assert (await site.get(first.recording_id, "live.m3u8")).status_code == 200


async def test_without_a_database_local_rooms_play_and_others_are_unavailable(
    tmp_path: Path,
) -> None:
    nowhere = Database("postgresql://encore:none@127.0.0.1:1/encore")
    store = FolderStore(tmp_path / "objects")
    async with running_edge(tmp_path / "data", store, nowhere) as site:
        spool = site.spool().open_mix()
        spool.mix(2)
        assert (await site.get(spool.recording_id, "live.m3u8")).status_code == 200
        assert (await site.get(spool.recording_id, "r1/mix/1.m4s")).status_code == 200
        answer = await site.get(Spool(site.folders).recording_id, "index.m3u8")
        assert (answer.status_code, json.loads(answer.text)["code"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "2"
    await nowhere.close()
