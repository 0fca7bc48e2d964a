"""kill -9 of each process while people speak: what had arrived stays, the room goes on."""

import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from core.authorities import authorities
from demo.client import ApiError
from tests.e2e.live_room import FREQUENCIES_HZ, live_room, tone_packets, until
from tests.e2e.sound import Sound, hear
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crash")]

TALK_S = 4.0
TONE_S = 90.0
EDGE_S = 0.3
"""Slack at the edges of what is heard: measuring windows, the codec's ramps, the path's delay."""

LATE_S = 0.5
"""What this process, which speaks, may send too late for the mix on a busy machine: for tests
that show by the counts that no packet was lost."""


def assert_heard_but_for(
    sound: Sound, frequency_hz: float, gaps: list[dict[str, Any]], *, late_s: float = 0.0
) -> None:
    """From its first moment to the end of the room a tone is there, but for the listed gaps, and
    `late_s` of others in sum."""
    silences = sound.silences(frequency_hz)
    unlisted = [
        (start_s, end_s)
        for start_s, end_s in silences
        if sound.seconds - start_s >= EDGE_S and not _is_listed(start_s, end_s, gaps)
    ]
    assert sum(end_s - start_s for start_s, end_s in unlisted) <= late_s, (silences, gaps)


def _is_listed(start_s: float, end_s: float, gaps: list[dict[str, Any]]) -> bool:
    """Not longer than the gap, and where it was: earlier by what this process, which speaks, was
    late on a busy machine when its packets were lost."""
    for gap in gaps:
        gap_start_s, gap_end_s = gap["room_start_ms"] / 1000, gap["room_end_ms"] / 1000
        if (
            end_s - start_s <= gap_end_s - gap_start_s + 2 * EDGE_S
            and gap_start_s - EDGE_S - LATE_S <= start_s
            and end_s <= gap_end_s + EDGE_S
        ):
            return True
    return False


async def new_pid(stack: Stack, name: str, old: int) -> int:
    async def look() -> int | None:
        pid = stack.pid_of(name)
        return pid if pid != old else None

    return await until(look)


async def kill(stack: Stack, name: str) -> int:
    old = stack.pid_of(name)
    os.kill(old, signal.SIGKILL)
    return await new_pid(stack, name, old)


async def playlist_text(url: str) -> str | None:
    async with httpx.AsyncClient(follow_redirects=True, timeout=5, verify=authorities()) as http:
        try:
            answer = await http.get(url)
        except httpx.TransportError:
            return None
    return answer.text if answer.is_success else None


async def ended_playlist(url: str) -> str:
    async def read() -> str | None:
        text = await playlist_text(url)
        return text if text is not None and "#EXT-X-ENDLIST" in text else None

    return await until(read)


async def test_the_receiver_dies_while_three_speak(own_stack: Stack) -> None:
    names = tuple(FREQUENCIES_HZ)
    tones = {name: tone_packets(name, TONE_S) for name in names}  # encoding stops the loop
    async with live_room(own_stack.web_url, *names) as room:
        for name in names:
            (await room.publish(name)).play(tones[name])
        sessions = {n: s.session_url for n, s in room.speakers.items()}
        await room.spoken("chiara", TALK_S)

        await kill(own_stack, "receive")
        await room.spoken("chiara", TALK_S)  # speakers never stopped
        assert {n: s.session_url for n, s in room.speakers.items()} == sessions

        ended = await room.end()
        url = f"{own_stack.web_url}/v1/rooms/{room.room_id}/replay.m3u8"
        await ended_playlist(url)
        replay = await hear(url)
        recording = await room.stored_recording()

        gaps = [g for g in recording["gaps"] if g["cause"] == "receiver_down"]
        assert len(gaps) == 1, recording["gaps"]
        gap_s = (gaps[0]["room_end_ms"] - gaps[0]["room_start_ms"]) / 1000
        assert gap_s > 0
        assert replay.seconds == pytest.approx(ended["duration_ms"] / 1000, abs=0.1)
        tracks = (await room.listen())["tracks"]
        assert len(tracks) == len(names)
        for frequency in FREQUENCIES_HZ.values():
            assert_heard_but_for(replay, frequency, gaps)
        for track in tracks:
            sound = await hear(track["url"])
            frequency = FREQUENCIES_HZ[track["display_name"].lower()]
            assert sound.seconds_with(frequency) > TALK_S


@pytest.mark.parametrize("name", ["package", "edge", "web", "work"])
async def test_another_process_dies(own_stack: Stack, name: str) -> None:
    """Nothing of the recording is missing: the journal went on being written."""
    tone = tone_packets("ada", TONE_S)
    async with live_room(own_stack.web_url, "ada") as room:
        (await room.publish("ada")).play(tone)
        await room.spoken("ada", 2.5)
        await kill(own_stack, name)
        await until_serving(own_stack)
        await room.spoken("ada", 2.5)
        ended = await room.end()
        url = f"{own_stack.web_url}/v1/rooms/{room.room_id}/replay.m3u8"
        await ended_playlist(url)
        replay = await hear(url)
        recording = await room.stored_recording()
        seconds: float = ended["duration_ms"] / 1000
        assert recording["gaps"] == []
        assert recording["packets_lost"] == 0
        assert replay.seconds == pytest.approx(seconds, abs=0.1)
        assert_heard_but_for(replay, FREQUENCIES_HZ["ada"], [], late_s=LATE_S)


async def test_the_database_dies(own_stack: Stack) -> None:
    """Receiving and packaging go on; the server is started again and the rows follow."""
    tone = tone_packets("ada", TONE_S)
    async with live_room(own_stack.web_url, "ada") as room:
        (await room.publish("ada")).play(tone)
        await room.spoken("ada", 2.5)
        old = own_stack.postgres_pid()
        assert old is not None
        os.kill(old, signal.SIGKILL)
        await until(lambda: _new_postmaster(own_stack, old))
        ended = await until(lambda: accepted(room.end))
        url = f"{own_stack.web_url}/v1/rooms/{room.room_id}/replay.m3u8"
        await ended_playlist(url)
        replay = await hear(url)
        recording = await room.stored_recording()
    assert recording["gaps"] == []
    assert recording["packets_lost"] == 0
    assert replay.seconds == pytest.approx(ended["duration_ms"] / 1000, abs=0.1)
    assert_heard_but_for(replay, FREQUENCIES_HZ["ada"], [], late_s=LATE_S)


async def _new_postmaster(stack: Stack, old: int) -> bool:
    return stack.postgres_pid() not in (None, old)


async def accepted(call: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any] | None:
    """The answer, or None while the server refuses: it recovers from the kill."""
    try:
        return await call()
    except (ApiError, httpx.TransportError):
        return None


async def until_serving(stack: Stack) -> None:
    async def serving() -> Any:
        async with httpx.AsyncClient(timeout=2, verify=authorities()) as http:
            try:
                answers = [
                    await http.get(f"{url}/healthz") for url in (stack.web_url, stack.edge_url)
                ]
            except httpx.TransportError:
                return None
        return all(a.is_success for a in answers) or None

    await until(serving)
