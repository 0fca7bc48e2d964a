"""`encore up`, Ctrl-C, `encore up`: rooms, replays and sign-ins are still there."""

import asyncio

import pytest

from tests.e2e.live_room import FREQUENCIES_HZ, live_room, tone_packets
from tests.e2e.sound import hear
from tests.e2e.stack import Stack
from tests.e2e.test_crash import ended_playlist

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crash"), pytest.mark.timeout(300)]

ADA_HZ = FREQUENCIES_HZ["ada"]
TALK_S = 2.5


async def test_a_replay_still_plays_and_a_live_room_goes_on(own_stack: Stack) -> None:
    """The pause of the whole machine is a listed gap, in the same recording."""
    logged = len(own_stack.log())
    async with live_room(own_stack.web_url, "ada") as over:
        (await over.publish("ada")).play(tone_packets("ada", TALK_S))
        await over.spoken("ada", TALK_S)
        await over.end()
        await over.stored_recording()
    async with live_room(own_stack.web_url, "ada") as room:
        (await room.publish("ada")).play(tone_packets("ada", 90))
        await room.spoken("ada", TALK_S)
        assert await asyncio.to_thread(own_stack.interrupt) == 0
        assert "Traceback" not in own_stack.log()[logged:]

        await asyncio.to_thread(own_stack.start)
        await room.spoken("ada", TALK_S)
        ended = await room.end()
        urls = [f"{own_stack.web_url}/v1/rooms/{r.room_id}/replay.m3u8" for r in (over, room)]
        for url in urls:
            await ended_playlist(url)
        before, replay = [await hear(url) for url in urls]
        recording = await room.stored_recording()
    assert before.seconds_with(ADA_HZ) > TALK_S / 2
    assert [g["cause"] for g in recording["gaps"]] == ["receiver_down"]
    assert replay.seconds == pytest.approx(ended["duration_ms"] / 1000, abs=0.1)
    assert replay.seconds_with(ADA_HZ) > 1.5 * TALK_S
