"""Players that others have made, on a live room and on its replay: sound, and it goes on."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e.interop.test_publishing import ffmpeg_with_whip
from tests.e2e.interop.webkit import WebKit, missing, webkit
from tests.e2e.live_room import FREQUENCIES_HZ, LiveRoom, live_room, tone_packets, until
from tests.e2e.sound import RATE, Sound
from tests.e2e.stack import Stack
from tests.e2e.test_crash import ended_playlist, playlist_text

pytestmark = pytest.mark.slow

HZ = FREQUENCIES_HZ["ada"]
TALK_S = 300.0
"""Until the room is ended, however long the players of the live room take."""

BEFORE_S = 6.0
HEARD_S = 5.0

Hear = Callable[[str], Awaitable[Sound]]


@pytest.fixture(scope="module")
async def live(stack: Stack) -> AsyncIterator[LiveRoom]:
    """One room for all players, in which somebody has spoken for a while."""
    async with live_room(stack.web_url, "ada") as room:
        (await room.publish("ada")).play(tone_packets("ada", TALK_S))
        await asyncio.sleep(BEFORE_S)
        yield room


@pytest.fixture(scope="module")
async def over(live: LiveRoom) -> LiveRoom:
    """The same room, ended."""
    await live.end()
    await ended_playlist(replay_of(live))
    return live


def replay_of(room: LiveRoom) -> str:
    return f"{room.web_url}/v1/rooms/{room.room_id}/replay.m3u8"


@pytest.fixture(scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WebKit]:
    if what := missing():
        pytest.skip(what)
    async with webkit(tmp_path_factory.mktemp("webkit")) as browser:
        yield browser


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


def check_heard(sound: Sound) -> None:
    assert sound.seconds > 2
    assert sound.seconds_with(HZ) > 0.5


async def check_plays(browser: WebKit, page: str, button: str) -> None:
    """A click later a tone is heard, and the position moves on."""
    async with asyncio.timeout(60):
        await browser.open(page)
        await browser.tap(button)
    began = await until(browser.heard)

    async def goes_on() -> bool:
        at = await browser.heard()
        return at is not None and at > began + 2

    await until(goes_on)


@pytest.mark.parametrize("hear", [hear_by_pyav, hear_by_ffmpeg])
async def test_ffmpeg_plays_live(live: LiveRoom, hear: Hear) -> None:
    check_heard(await hear((await live.listen())["live_url"]))


async def test_webkit_plays_live(browser: WebKit, live: LiveRoom) -> None:
    await check_plays(browser, f"{live.web_url}/rooms/{live.room_id}", "#listen")


@pytest.mark.parametrize("hear", [hear_by_pyav, hear_by_ffmpeg])
async def test_ffmpeg_plays_the_replay(over: LiveRoom, hear: Hear) -> None:
    check_heard(await hear((await over.listen())["replay_url"]))


async def test_webkit_plays_the_replay(browser: WebKit, over: LiveRoom) -> None:
    """From its segments, and from the one object that they become."""
    page = f"{over.web_url}/rooms/{over.room_id}"
    await check_plays(browser, page, "#play")

    async def compacted() -> bool:
        return "#EXT-X-PLAYLIST-TYPE:VOD" in (await playlist_text(replay_of(over)) or "")

    await until(compacted)
    await check_plays(browser, page, "#play")
