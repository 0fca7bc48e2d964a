"""One instant in the room is one instant in every file: a click that all speakers hear.

The speakers join one after the other, with packets of other lengths, and their clocks have
nothing in common. Each gets the click into its own signal where that moment lies in it.
"""

import asyncio
import math
import shutil

import av
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from core.authorities import authorities
from demo.opus_files import OpusPacket
from demo.speaker import Speaker
from tests.e2e.live_room import LiveRoom, live_room, until
from tests.e2e.sound import RATE
from tests.e2e.stack import Stack
from tests.e2e.test_crash import ended_playlist
from tests.ingest.journals import clicks, level_of, opus, quiet

pytestmark = pytest.mark.slow

TOLERANCE_S = 0.005
AHEAD_S = 1.0
PACKETS_AROUND = 5
"""So many before the click and after it are encoded with it; that takes milliseconds."""


class Clicker(Speaker):
    """Sends silence in packets of one length, and a click where it is asked for one."""

    def __init__(self, frame_ms: int) -> None:
        super().__init__()
        self._frame_ms = frame_ms
        self._samples = frame_ms * RATE // 1000
        self._silence = OpusPacket(opus(quiet(1), frame_ms=frame_ms)[-1], self._samples, 127)
        self._taken = 0
        self._began = math.inf

    def next_packet(self) -> OpusPacket:
        """A real client sends a packet when its last sample was captured."""
        now = asyncio.get_running_loop().time()
        end = self._taken + self._samples
        self._began = min(self._began, now - end / RATE)
        self._taken = end
        return super().next_packet() if self.talking else self._silence

    @property
    def runs(self) -> bool:
        """Whether enough was sent to know the clock: the smallest delay counts.

        The worker too learns it so, from arrivals in steps of 10 ms.
        """
        return self._taken > 6 * RATE

    def click_at(self, moment: float) -> None:
        """Captures a click at that time of the loop, AHEAD_S from now."""
        at = round((moment - self._began) * RATE) - self._taken
        waiting = at // self._samples - PACKETS_AROUND
        assert waiting >= 0, "the loop stood still"
        self.play([self._silence] * waiting)
        start_s = at / RATE - waiting * self._samples / RATE
        signal = clicks((2 * PACKETS_AROUND + 1) * self._samples / RATE, [start_s])
        for index, payload in enumerate(opus(signal, frame_ms=self._frame_ms)):
            part = signal[index * self._samples : (index + 1) * self._samples]
            self.play([OpusPacket(payload, self._samples, level_of(part))])


async def join(room: LiveRoom, **frames_ms: int) -> None:
    """One after the other; returns once all are known by their clocks."""
    for name, frame_ms in frames_ms.items():
        room.speakers[name] = Clicker(frame_ms)
        await room.publish(name)

    async def run() -> bool:
        return all(isinstance(s, Clicker) and s.runs for s in room.speakers.values())

    await until(run)


async def click(room: LiveRoom) -> None:
    """Everybody hears the same click, and it has been sent when this returns."""
    moment = asyncio.get_running_loop().time() + AHEAD_S
    for clicker in room.speakers.values():
        assert isinstance(clicker, Clicker)
        clicker.click_at(moment)

    async def said() -> bool:
        return not any(speaker.talking for speaker in room.speakers.values())

    await until(said)


async def heard_by_pyav(url: str) -> NDArray[np.float32]:
    """The signal from media time 0 on, each frame where its time stamp puts it.

    The last frame before a pause is longer than what is played of it.
    """
    async with httpx.AsyncClient(follow_redirects=True, timeout=10, verify=authorities()) as http:
        final = str((await http.get(url)).raise_for_status().url)
    return await asyncio.to_thread(_decode, final)


def _decode(url: str) -> NDArray[np.float32]:
    signal = np.zeros(60 * RATE, np.float32)
    with av.open(url, timeout=30) as container:
        for frame in container.decode(audio=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            pcm = frame.to_ndarray().reshape(-1)
            start = round(frame.pts * frame.time_base * RATE)
            signal[start : start + pcm.size] = pcm
    return signal


async def heard_by_ffmpeg(url: str) -> NDArray[np.float32]:
    """The same by the ffmpeg command, which drops and fills by the time stamps."""
    by_time = ("-af", "aresample=async=1:first_pts=0:min_hard_comp=0.001")
    process = await asyncio.create_subprocess_exec(
        *("ffmpeg", "-v", "error", "-http_persistent", "0", "-copyts", "-i", url, *by_time),
        *("-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"),
        stdout=asyncio.subprocess.PIPE,
    )
    data, _ = await process.communicate()
    assert process.returncode == 0
    return np.frombuffer(data, np.float32)


def onsets(signal: NDArray[np.float32]) -> list[float]:
    """Second of each click: the first sample of 30 % of its peak."""
    found: list[float] = []
    for at in np.flatnonzero(np.abs(signal) > 0.3 * np.abs(signal).max()) / RATE:
        if not found or at - found[-1] > 0.2:
            found.append(float(at))
    return found


async def test_a_click_lies_at_one_instant_on_every_track_and_in_the_mix(stack: Stack) -> None:
    async with live_room(stack.web_url, "ada", "ben", "chiara") as room:
        await join(room, ada=20, ben=10, chiara=60)
        for _ in range(3):
            await click(room)
        await room.call("PUT", "/recording", {"state": "paused"})
        await room.speakers["ben"].close()
        await join(room, ben=40)
        await room.call("PUT", "/recording", {"state": "on"})
        await asyncio.sleep(0.3)
        for _ in range(2):
            await click(room)
        await asyncio.sleep(0.3)
        await room.end()
        mix_url = f"{room.web_url}/v1/rooms/{room.room_id}/replay.m3u8"
        await ended_playlist(mix_url)
        await room.stored_recording()
        urls = [mix_url, *(track["url"] for track in (await room.listen())["tracks"])]
        heard = [await heard_by_pyav(url) for url in urls]
        if shutil.which("ffmpeg"):
            # Not the mix: FFmpeg 9.0 reads one range of an object over HTTP, whoever serves it.
            heard += [await heard_by_ffmpeg(url) for url in urls[1:]]
    assert len(urls) == 4
    found = np.array([onsets(signal) for signal in heard])
    assert found.shape == (len(heard), 5), "every click is in every file, and once"
    # Of five, so that a machine too busy to send one of them in time does not count.
    assert np.median(np.ptp(found, axis=0)) < TOLERANCE_S, found - found[0]
