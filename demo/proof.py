"""What a listener gets: the replay and the tracks fetched over HTTP and decoded."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import av
import httpx

from core.authorities import authorities
from demo.client import Person

ENDLIST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Decoded:
    """`seconds` of sound that came out of a decoder, and its first position."""

    seconds: float
    start_s: float


class NoReplay(Exception):  # noqa: N818 - what happened, as the caller reads it
    """The playlist did not end in time."""


def replay_url(web_url: str, room_id: str) -> str:
    """The lasting link to a room's playlist; it redirects to a short-lived one."""
    return f"{web_url}/v1/rooms/{room_id}/replay.m3u8"


async def until_ended(url: str) -> float:
    """Seconds from now until the playlist has ENDLIST. Raises NoReplay."""
    began = time.monotonic()
    async with httpx.AsyncClient(follow_redirects=True, timeout=10, verify=authorities()) as http:
        while time.monotonic() - began < ENDLIST_SECONDS:
            answer = await http.get(url)
            if answer.is_success and "#EXT-X-ENDLIST" in answer.text:
                return time.monotonic() - began
            await asyncio.sleep(0.02)
    raise NoReplay(f"no ENDLIST within {ENDLIST_SECONDS:.0f} s: {answer.status_code}")


async def decode(url: str) -> Decoded:
    """Decodes all of a playlist, as a player would."""
    async with httpx.AsyncClient(follow_redirects=True, timeout=10, verify=authorities()) as http:
        final = str((await http.get(url)).url)
    return await asyncio.to_thread(_decode, final)


def _decode(url: str) -> Decoded:
    samples, rate, start = 0, 48_000, 0.0
    with av.open(url, timeout=30) as container:
        for number, frame in enumerate(container.decode(audio=0)):
            if number == 0 and frame.pts is not None and frame.time_base is not None:
                start = float(frame.pts * frame.time_base)
            samples, rate = samples + frame.samples, frame.sample_rate
    return Decoded(samples / rate, start)


async def stored_recording(person: Person, recording_id: str, *, seconds: float) -> dict[str, Any]:
    """The recording once every object and row is in place, or as it is after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        recording: dict[str, Any] = await person.call("GET", f"/recordings/{recording_id}")
        if recording["status"] == "stored" or time.monotonic() > deadline:
            return recording
        await asyncio.sleep(0.1)
