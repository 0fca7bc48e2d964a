"""`encore up`, Ctrl-C, `encore up`: rooms, replays and sign-ins are still there."""

import asyncio
from pathlib import Path

import pytest

from tests.e2e.live_room import FREQUENCIES_HZ, live_room, tone_packets
from tests.e2e.sound import hear
from tests.e2e.stack import running_stack
from tests.e2e.test_crash import ended_playlist

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crash")]


async def test_the_replay_still_plays(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        async with live_room(stack.web_url, "ada") as room:
            (await room.publish("ada")).play(tone_packets("ada", 4))
            await asyncio.sleep(4)
            await room.end()
            await room.stored_recording()
        assert await asyncio.to_thread(stack.interrupt) == 0
        assert "Traceback" not in stack.log()

        await asyncio.to_thread(stack.start)
        url = f"{stack.web_url}/v1/rooms/{room.room_id}/replay.m3u8"
        await ended_playlist(url)
        assert (await hear(url)).seconds_with(FREQUENCIES_HZ["ada"]) > 2


async def test_a_live_room_goes_on_after_ctrl_c(tmp_path: Path) -> None:
    """The pause of the whole machine is a listed gap, in the same recording."""
    with running_stack(tmp_path) as stack:
        async with live_room(stack.web_url, "ada") as room:
            (await room.publish("ada")).play(tone_packets("ada", 60))
            await asyncio.sleep(3)
            assert await asyncio.to_thread(stack.interrupt) == 0
            await asyncio.to_thread(stack.start)
            await asyncio.sleep(3)
            ended = await room.end()
            url = f"{stack.web_url}/v1/rooms/{room.room_id}/replay.m3u8"
            await ended_playlist(url)
            replay = await hear(url)
            recording = await room.stored_recording()
    assert [g["cause"] for g in recording["gaps"]] == ["receiver_down"]
    assert replay.seconds == pytest.approx(ended["duration_ms"] / 1000, abs=0.1)
    assert replay.seconds_with(FREQUENCIES_HZ["ada"]) > 4
