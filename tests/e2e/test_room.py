"""What a room keeps and what it doesn't, with real speakers on a whole Encore."""

import asyncio
from typing import Any

import pytest

from demo.client import ApiError
from demo.opus_files import OpusPacket, encode, tone
from demo.speaker import Speaker
from tests.e2e.live_room import FREQUENCIES_HZ, LiveRoom, live_room, tone_packets, until
from tests.e2e.sound import Sound, hear
from tests.e2e.stack import Stack
from tests.e2e.test_crash import ended_playlist

pytestmark = pytest.mark.slow

SECRET_HZ = 1500.0


def secret_packets(seconds: float) -> tuple[OpusPacket, ...]:
    return encode(tone(seconds, frequency_hz=SECRET_HZ))


async def replay(room: LiveRoom) -> tuple[dict[str, Any], Sound]:
    """The room as it ended, and what its replay sounds like."""
    ended = await room.end()
    url = f"{room.web_url}/v1/rooms/{room.room_id}/replay.m3u8"
    await ended_playlist(url)
    return ended, await hear(url)


async def until_silent(room: LiveRoom, name: str) -> None:
    async def silent() -> bool:
        return not room.speakers[name].talking

    await until(silent)


async def test_off_the_record_nothing_is_kept(stack: Stack) -> None:
    known, secret = tone_packets("ada", 1.6), secret_packets(1.6)
    async with live_room(stack.web_url, "ada") as room:
        speaker = await room.publish("ada")
        speaker.play(known)
        await until_silent(room, "ada")
        await room.call("PUT", "/recording", {"state": "paused"})
        speaker.play(secret)
        await until_silent(room, "ada")
        await asyncio.sleep(0.2)  # what is on its way must be off the record too
        await room.call("PUT", "/recording", {"state": "on"})
        speaker.play(known)
        await until_silent(room, "ada")
        ended, sound = await replay(room)
        recording = await room.stored_recording()
        (track,) = (await room.listen())["tracks"]
        solo = await hear(track["url"])
    (gap,) = recording["gaps"]
    assert gap["cause"] == "off_the_record"
    paused_s = (gap["room_end_ms"] - gap["room_start_ms"]) / 1000
    assert sound.seconds == pytest.approx(ended["duration_ms"] / 1000 - paused_s, abs=0.1)
    for heard in (sound, solo):
        assert heard.seconds_with(SECRET_HZ) == 0
        assert heard.seconds_with(FREQUENCIES_HZ["ada"]) == pytest.approx(3.2, abs=0.5)


async def test_nobody_is_kept_who_did_not_agree(stack: Stack) -> None:
    """Ben withdraws while he is connected, but silent; Chiara once she has her ticket."""
    tones = {name: tone_packets(name, 2.0) for name in ("ada", "ben", "chiara")}
    async with live_room(stack.web_url, *tones) as room:
        await room.publish("ada")
        await room.publish("ben")
        await withdraw(room, "ben")
        ticket = await room.people["chiara"].call("POST", f"/rooms/{room.room_id}/publish")
        await withdraw(room, "chiara")
        room.speakers["chiara"] = Speaker()
        await room.speakers["chiara"].connect(ticket["whip_url"], ticket["token"])
        with pytest.raises(ApiError, match="consent_missing"):
            await room.publish("ben")
        for name, packets in tones.items():
            room.speakers[name].play(packets)
        await until_silent(room, "chiara")
        _, sound = await replay(room)
        tracks = {t["display_name"]: t["url"] for t in (await room.listen())["tracks"]}
        others = [await hear(url) for name, url in tracks.items() if name != "Ada"]
    assert sound.seconds_with(FREQUENCIES_HZ["ada"]) > 1
    assert "Chiara" not in tracks
    # Ben's silence is kept, if any of it came before he withdrew.
    for heard in (sound, *others):
        assert heard.seconds_with(FREQUENCIES_HZ["ben"]) == 0
        assert heard.seconds_with(FREQUENCIES_HZ["chiara"]) == 0


async def withdraw(room: LiveRoom, name: str) -> None:
    await room.people[name].call("PUT", f"/rooms/{room.room_id}/consent", {"consent": False})


async def test_two_percent_loss_is_counted_and_hardly_heard(stack: Stack) -> None:
    packets = tone_packets("ada", 5.0)
    async with live_room(stack.web_url, "ada") as room:
        speaker = await room.publish("ada", loss=0.02)
        speaker.play(packets)
        await until_silent(room, "ada")
        dropped = speaker.dropped
        _, sound = await replay(room)
        recording = await room.stored_recording()
    assert dropped > 0
    assert recording["packets_lost"] == pytest.approx(dropped, abs=3)
    assert sound.seconds_with(FREQUENCIES_HZ["ada"]) > 4.5


async def test_two_who_speak_at_once_are_mixed_without_holes(stack: Stack) -> None:
    tones = {name: tone_packets(name, 10.0) for name in ("ada", "ben")}
    async with live_room(stack.web_url, *tones) as room:
        for name, packets in tones.items():
            (await room.publish(name)).play(packets)
        await room.spoken("ben", 5.0)
        _, sound = await replay(room)
    both = (FREQUENCIES_HZ["ada"], FREQUENCIES_HZ["ben"])
    steady = sound.part(sound.seconds - 4.0, sound.seconds - 1.0)
    assert steady.purity_db(*both) > 30


async def test_a_speaker_who_reconnects_stays_on_one_track(stack: Stack) -> None:
    packets = tone_packets("ada", 2.0)
    async with live_room(stack.web_url, "ada") as room:
        speaker = await room.publish("ada")
        speaker.play(packets)
        await until_silent(room, "ada")
        speaker.drop()
        speaker = await room.publish("ada")
        speaker.play(packets)
        await until_silent(room, "ada")
        ended, sound = await replay(room)
        await room.stored_recording()
        tracks = (await room.listen())["tracks"]
    assert len(tracks) == 1
    assert sound.seconds == pytest.approx(ended["duration_ms"] / 1000, abs=0.1)
    assert sound.seconds_with(FREQUENCIES_HZ["ada"]) == pytest.approx(4.0, abs=0.5)


async def test_nobody_publishes_into_an_ended_room(stack: Stack) -> None:
    async with live_room(stack.web_url, "ada") as room:
        await room.publish("ada")
        await room.end()
        with pytest.raises(ApiError, match="room_ended"):
            await room.publish("ada")
