"""From a journal through the packager and the edge to a player; and the edge as a process."""

import asyncio
import contextlib
import socket
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import av
import httpx
import numpy as np
import numpy.typing as npt
import pytest
from pydantic import SecretStr

from core.authorities import authorities
from core.db import Database
from core.keys import load_secret
from core.settings import Settings
from ingest.folders import Folders
from ingest.opus import RATE
from ingest.packager import Packager
from ingest.uploader import Patience, Uploader
from replay.capability import capability_key, issue
from replay.edge import run
from tests.ingest.journals import JournalMaker, Voice, clicks, participant
from tests.ingest.listening import Heard, onset
from tests.ingest.recorded import placed_recording
from tests.replay.conftest import EdgeSite
from tests.replay.playlist_rules import check_media
from tests.replay.spools import Spool

FIRST_CLICK, SECOND_CLICK = 1.5, 11.0
PAUSE = (4.0, 9.0)


def conversation() -> JournalMaker:
    """Twelve seconds, five of them off the record, a click before and one after."""
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), clicks(12, [FIRST_CLICK, SECOND_CLICK])))
    maker.record(PAUSE[0], on=False)
    maker.record(PAUSE[1], on=True)
    maker.end(12)
    return maker


def package(folders: Folders, recording_id: str) -> None:
    with contextlib.closing(Packager(folders, recording_id)) as packager:
        while packager.step(0):
            pass


def played(url: str) -> Heard:
    """What ffmpeg's HLS player plays, one frame after the other."""
    pieces: list[npt.NDArray[np.float32]] = []
    with av.open(url) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        for frame in container.decode(audio=0):
            for resampled in resampler.resample(frame):
                pieces.append(resampled.to_ndarray().reshape(-1).astype(np.float32))
    signal = np.concatenate(pieces)
    return Heard(signal, signal.size)


async def test_what_was_said_is_played_at_its_place_without_the_pause(site: EdgeSite) -> None:
    maker = conversation()
    maker.write(site.folders)
    await asyncio.to_thread(package, site.folders, maker.recording_id)
    recording = UUID(maker.recording_id)
    listed = check_media((await site.get(recording, "index.m3u8")).text)
    assert listed.ended
    assert set(listed.discontinuity_numbers) == {0, 1}
    pause = PAUSE[1] - PAUSE[0]
    for name in ("index.m3u8", f"track-{participant(1)}.m3u8"):
        listed = check_media((await site.get(recording, name)).text)
        sound = await asyncio.to_thread(played, site.url(recording, name))
        begin = listed.place_of(0).timestamp() - maker.live_at_us / 1e6
        for click, cut in ((FIRST_CLICK, 0.0), (SECOND_CLICK, pause)):
            at = click + 0.02 - cut - begin
            assert abs(onset(sound, at) - at) < 0.03, (name, click)
        assert abs(sum(listed.durations) - sound.end / RATE) < 0.1


async def test_the_stored_room_plays_on_after_the_uploader_has_cleaned_up(
    site: EdgeSite, database: Database
) -> None:
    maker, (speaker,) = await placed_recording(database)
    maker.record(0, on=True)
    maker.speak(Voice(speaker, clicks(5, [FIRST_CLICK])))
    maker.end(5)
    maker.write(site.folders)
    await asyncio.to_thread(package, site.folders, maker.recording_id)
    recording = UUID(maker.recording_id)
    names = ("index.m3u8", f"track-{speaker}.m3u8")
    before = [(await site.get(recording, name)).text for name in names]
    haste = Patience(poll=0.01, spool_grace=0)
    await Uploader(database, site.store, site.folders, maker.recording_id, haste).run()
    assert not site.folders.spool(maker.recording_id).exists()
    for name in names:
        sound = await asyncio.to_thread(played, site.url(recording, name))
        assert abs(sound.end / RATE - 5) < 0.1
    assert [(await site.get(recording, name)).text for name in names] == before


NO_DATABASE = SecretStr("postgresql://encore:none@127.0.0.1:1/none")


async def test_the_process_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None, data_dir=tmp_path, edge_port=free_port(), database_url=NO_DATABASE
    )
    spool = Spool(Folders(tmp_path)).open().open_mix()
    spool.mix(1)
    stop = asyncio.Event()
    process = asyncio.create_task(run(settings, stop))
    key = capability_key(load_secret(settings))
    token = issue(key, spool.recording_id, at=datetime.now(UTC)).token
    async with httpx.AsyncClient(base_url=settings.public_edge_url, verify=authorities()) as client:
        await until_up(client)
        answer = await client.get(f"/{token}/{spool.recording_id}/live.m3u8")
        assert check_media(answer.text).uris == ["r1/mix/0.m4s"]
        stop.set()
        async with asyncio.timeout(5):
            await process
        with pytest.raises(httpx.ConnectError):
            await httpx.AsyncClient(verify=authorities()).get(f"{settings.public_edge_url}/healthz")


async def test_a_port_that_is_taken_ends_the_process(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(
            _env_file=None, data_dir=tmp_path, edge_port=port, database_url=NO_DATABASE
        )
        with pytest.raises(OSError, match="in use"):
            await run(settings, asyncio.Event())


async def until_up(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(httpx.ConnectError):
                await client.get("/healthz")
                return
            await asyncio.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
