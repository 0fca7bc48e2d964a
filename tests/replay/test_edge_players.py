"""What players do with the edge: ffmpeg's HLS player, and a client that polls with deltas."""

import asyncio
from uuid import uuid4

import av
import pytest

from ingest.manifest import SegmentWritten
from tests.replay.conftest import EdgeSite
from tests.replay.playlist_rules import apply_delta, attributes, check_update
from tests.replay.spools import mix_media, track_media


def seconds_heard(url: str) -> float:
    """What ffmpeg's HLS player decodes, in seconds of sound at 48 kHz."""
    samples = 0
    with av.open(url, options={"live_start_index": "0"}) as container:
        for frame in container.decode(audio=0):
            assert frame.sample_rate == 48_000
            samples += frame.samples
    return samples / 48_000


async def test_ffmpeg_plays_the_replay_and_each_track(site: EdgeSite) -> None:
    spool = site.live_room(4)
    participant = uuid4()
    spool.open_track(participant)
    spool.track(participant, 2)
    spool.pause(30_000)
    spool.mix(3, discontinuity=True)
    spool.end()
    expected = sum(n for _, n in mix_media().fragments[:7]) / 48_000
    for name in ("index.m3u8", "master.m3u8"):
        heard = await asyncio.to_thread(seconds_heard, site.url(spool.recording_id, name))
        assert abs(heard - expected) < 0.1
    track = sum(n for _, n in track_media().fragments[:2]) / 48_000
    url = site.url(spool.recording_id, f"track-{participant}.m3u8")
    assert abs(await asyncio.to_thread(seconds_heard, url) - track) < 0.1


@pytest.mark.slow
async def test_ffmpeg_plays_a_live_room_through_a_pause_to_its_end(site: EdgeSite) -> None:
    """Segments come in a tenth of their time; during the pause the playlist stands still."""
    spool = site.live_room(3)
    url = site.url(spool.recording_id, "live.m3u8")
    playing = asyncio.create_task(asyncio.to_thread(seconds_heard, url))
    for number in range(3, 11):
        await asyncio.sleep(2.5 if number == 6 else 0.2)
        if number == 6:
            spool.pause(60_000)
        spool.mix(discontinuity=number == 6)
    spool.end()
    expected = sum(n for _, n in mix_media().fragments[:11]) / 48_000
    heard = await playing
    assert abs(heard - expected) < 0.1


async def test_a_long_room_is_polled_in_short_answers(site: EdgeSite) -> None:
    """Two hours by the manifest, read long enough ago for clients to hold it."""
    spool = site.spool().open_mix()
    spool.write(*(long_line(n) for n in range(3600)))
    fresh = await site.get(spool.recording_id, "index.m3u8?_HLS_skip=YES")
    assert "EXT-X-SKIP" not in fresh.text
    recorded = await site.library.find(spool.recording_id)
    assert recorded is not None
    mix = recorded.renditions["mix"]
    mix.known_since[:] = [at - 60 for at in mix.known_since]
    full = (await site.get(spool.recording_id, "index.m3u8")).text
    spool.write(long_line(3600))
    await site.until(spool.recording_id, "live.m3u8", "mix/3600.m4s")
    delta = await site.get(spool.recording_id, "index.m3u8?_HLS_skip=YES&_HLS_msn=9")
    assert len(delta.content) < 2_000 < 100_000 < len(full)
    new = (await site.get(spool.recording_id, "index.m3u8")).text
    assert apply_delta(full, delta.text) == new
    spool.end()
    await site.until(spool.recording_id, "live.m3u8", "ENDLIST")
    ended = (await site.get(spool.recording_id, "index.m3u8?_HLS_skip=YES")).text
    assert "EXT-X-SKIP" not in ended, "bis 6.2.5.1: the directive is ignored at the end"
    check_update(new, ended)


def long_line(sequence: int) -> SegmentWritten:
    """A segment of which only the playlist is asked for."""
    samples = 96_256
    return SegmentWritten(
        rendition="mix",
        sequence=sequence,
        file="none.m4s",
        bytes=16_000,
        sha256=f"{sequence:064x}",
        previous="",
        media_start=sequence * samples,
        samples=samples,
        room_start_ms=sequence * samples / 48,
        discontinuity=False,
    )


def test_attributes_are_read_strictly() -> None:
    assert attributes('A=1,B="x,y",C=YES') == {"A": "1", "B": "x,y", "C": "YES"}
    with pytest.raises(AssertionError):
        attributes("A=1,a=2")
