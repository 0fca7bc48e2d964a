"""Speakers with other clients than ours: what they say is in their track and in the mix."""

import functools
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.interop.conftest import run_program
from tests.e2e.interop.obs_speaker import ObsSpeaker, stereo_tone
from tests.e2e.live_room import FREQUENCIES_HZ, LiveRoom, live_room
from tests.e2e.sound import hear
from tests.e2e.stack import Stack
from tests.e2e.test_crash import ended_playlist

pytestmark = pytest.mark.slow

SECONDS = 3.0
LATE_S = 0.3
HZ = FREQUENCIES_HZ["ada"]
SYSTEM_PYTHON = "/usr/bin/python3"
WEBRTCBIN = """
import gi
gi.require_version("Gst", "1.0"), gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstWebRTC
Gst.init(None)
names = "webrtcbin", "nicesink", "dtlssrtpenc", "opusenc", "rtpopuspay", "vp8enc"
assert all(map(Gst.ElementFactory.find, names))
"""


@functools.cache
def ffmpeg_with_whip() -> str | None:
    """The `ffmpeg` of the system, or of the package imageio-ffmpeg, if it publishes by WHIP."""
    try:
        import imageio_ffmpeg

        found = [imageio_ffmpeg.get_ffmpeg_exe()]
    except ImportError:
        found = []
    found += filter(None, [shutil.which("ffmpeg")])
    for path in found:
        muxers = subprocess.run([path, "-muxers"], capture_output=True, text=True, check=False)
        if " whip " in muxers.stdout:
            return str(path)
    return None


@functools.cache
def has_webrtcbin() -> bool:
    if not Path(SYSTEM_PYTHON).exists():
        return False
    command = [SYSTEM_PYTHON, "-c", WEBRTCBIN]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


async def ticket(room: LiveRoom) -> dict[str, Any]:
    found: dict[str, Any] = await room.host.call("POST", f"/rooms/{room.room_id}/publish")
    return found


async def check_heard(room: LiveRoom, *frequencies_hz: float) -> None:
    """In the replay's mix and in the speaker's own track, but for what a busy machine sent late."""
    await room.end()
    url = f"{room.web_url}/v1/rooms/{room.room_id}/replay.m3u8"
    await ended_playlist(url)
    await room.stored_recording()
    (track,) = (await room.listen())["tracks"]
    for heard in (await hear(url), await hear(track["url"])):
        for hz in frequencies_hz or (HZ,):
            assert heard.seconds_with(hz) > SECONDS - 1
            holes = [h for h in heard.silences(hz) if h[1] < heard.seconds - 0.5]
            assert sum(end - start for start, end in holes) < LATE_S, holes


@pytest.mark.parametrize("role", [(), ("whip_flags=dtls_active",)], ids=["passive", "active"])
async def test_ffmpeg_s_library_publishes(
    stack: Stack, certificate: tuple[Path, Path], role: tuple[str, ...]
) -> None:
    """By itself it waits for the handshake to be begun (a=setup:passive).

    Built with GnuTLS it would make itself a certificate on P-224, which OpenSSL 4 refuses.
    """
    files = (f"cert_file={certificate[0]}", f"key_file={certificate[1]}")
    async with live_room(stack.web_url, "ada") as room:
        grant = await ticket(room)
        module = (sys.executable, "-m", "tests.e2e.interop.libav_speaker")
        what = (grant["whip_url"], str(HZ), str(SECONDS), *files, *role)
        await run_program(*module, *what, stdin=grant["token"])
        await check_heard(room)


@pytest.mark.parametrize("video", [False, True], ids=["audio", "with video"])
async def test_ffmpeg_publishes(stack: Stack, video: bool) -> None:
    ffmpeg = ffmpeg_with_whip()
    if ffmpeg is None:
        pytest.skip("no ffmpeg with WHIP here: pip install imageio-ffmpeg brings one")
    tone = f"sine=frequency={HZ:.0f}:sample_rate=48000:duration={SECONDS + 1}"
    command = [ffmpeg, "-hide_banner", "-loglevel", "error", "-re", "-f", "lavfi", "-i", tone]
    if video:
        picture = f"testsrc=size=320x240:rate=15:duration={SECONDS + 1}"
        command += ["-re", "-f", "lavfi", "-i", picture, "-c:v", "libx264"]
        command += ["-profile:v", "baseline", "-pix_fmt", "yuv420p", "-tune", "zerolatency"]
    command += ["-c:a", "libopus", "-ac", "2", "-ar", "48000", "-f", "whip"]
    async with live_room(stack.web_url, "ada") as room:
        grant = await ticket(room)
        await run_program(*command, "-authorization", grant["token"], grant["whip_url"])
        await check_heard(room)


@pytest.mark.parametrize("more", [(), ("video",)], ids=["audio", "with video"])
async def test_gstreamer_publishes(stack: Stack, more: tuple[str, ...]) -> None:
    if not has_webrtcbin():
        pytest.skip(
            "no GStreamer with webrtcbin and Python here: apt-get install python3-gi "
            "gir1.2-gst-plugins-bad-1.0 gstreamer1.0-plugins-{base,good,bad} gstreamer1.0-nice"
        )
    script = Path(__file__).with_name("gstreamer_speaker.py")
    async with live_room(stack.web_url, "ada") as room:
        grant = await ticket(room)
        what = (grant["whip_url"], str(HZ), str(SECONDS), *more)
        printed = await run_program(SYSTEM_PYTHON, str(script), *what, stdin=grant["token"])
        assert "connected" in printed
        await check_heard(room)


async def test_obs_publishes(stack: Stack) -> None:
    """Its video is refused with port 0, and both channels of its sound are heard."""
    left_hz, right_hz = HZ, FREQUENCIES_HZ["chiara"]
    speaker, packets = ObsSpeaker(), stereo_tone(left_hz, right_hz, SECONDS)
    async with live_room(stack.web_url, "ada") as room:
        grant = await ticket(room)
        await speaker.connect(grant["whip_url"], grant["token"])
        media = [line for line in speaker.answer.splitlines() if line.startswith("m=")]
        assert media[1:] == ["m=video 0 UDP/TLS/RTP/SAVPF 96"]
        assert media[0].endswith(" UDP/TLS/RTP/SAVPF 111")
        await speaker.say(packets)
        await speaker.leave()
        await check_heard(room, left_hz, right_hz)
