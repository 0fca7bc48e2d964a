"""Players that others have made, on the live room and on its replay: sound, and it goes on."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e.live_room import FREQUENCIES_HZ, live_room, tone_packets
from tests.e2e.sound import RATE, Sound
from tests.e2e.stack import Stack
from tests.e2e.test_crash import ended_playlist
from tests.interop.test_publishing import ffmpeg_with_whip

pytestmark = pytest.mark.slow

HZ = FREQUENCIES_HZ["ada"]
TALK_S = 60.0
BEFORE_S = 6.0
HEARD_S = 5.0


def decode_by_pyav(url: str) -> Sound:
    parts: list[NDArray[np.float32]] = []
    to_mono = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(url, timeout=20) as container:
        for frame in container.decode(audio=0):
            parts += [
                f.to_ndarray().reshape(-1).astype(np.float32) for f in to_mono.resample(frame)
            ]
            if sum(map(len, parts)) >= HEARD_S * RATE:
                break
    return Sound(np.concatenate(parts), 0.0)


async def hear_by_pyav(url: str) -> Sound:
    return await asyncio.to_thread(decode_by_pyav, url)


async def hear_by_ffmpeg(url: str) -> Sound:
    program = ffmpeg_with_whip() or shutil.which("ffmpeg")
    if program is None:
        pytest.skip("no ffmpeg here: apt-get install ffmpeg, or pip install imageio-ffmpeg")
    command = [program, "-loglevel", "error", "-i", url, "-t", str(HEARD_S)]
    raw = [*command, "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"]
    process = await asyncio.create_subprocess_exec(*raw, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(40):
        output, _ = await process.communicate()
    assert process.returncode == 0
    return Sound(np.frombuffer(output, np.float32), 0.0)


@pytest.mark.parametrize("hear", [hear_by_pyav, hear_by_ffmpeg])
async def test_ffmpeg_plays_live_and_replay(
    stack: Stack, hear: Callable[[str], Awaitable[Sound]]
) -> None:
    async with live_room(stack.web_url, "ada") as room:
        (await room.publish("ada")).play(tone_packets("ada", TALK_S))
        await asyncio.sleep(BEFORE_S)
        live = await hear((await room.listen())["live_url"])
        await room.end()
        replay_url = (await room.listen())["replay_url"]
        await ended_playlist(f"{room.web_url}/v1/rooms/{room.room_id}/replay.m3u8")
        replay = await hear(replay_url)
    for sound in (live, replay):
        assert sound.seconds > 2
        assert sound.seconds_with(HZ) > 0.5
