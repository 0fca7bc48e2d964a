"""A room with real WebRTC speakers on a whole Encore, for end-to-end tests."""

import asyncio
import functools
import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from demo.client import Person
from demo.opus_files import OpusPacket, encode, tone
from demo.speaker import Speaker
from tests.e2e.stack import own_address

T = TypeVar("T")
PACKETS_PER_SECOND = 50
PASSWORD = "a long enough password"
FREQUENCIES_HZ = {"ada": 440.0, "ben": 660.0, "chiara": 880.0}


def tone_packets(name: str, seconds: float) -> tuple[OpusPacket, ...]:
    """Each speaker has a frequency: what came from whom can be heard in any file."""
    count = round(seconds * PACKETS_PER_SECOND)
    beginning, steady = _tone(FREQUENCIES_HZ[name])
    return (beginning + steady * math.ceil(seconds))[:count]


@functools.cache
def _tone(frequency_hz: float) -> tuple[tuple[OpusPacket, ...], tuple[OpusPacket, ...]]:
    """How it begins, and a second of whole waves that may follow itself: encoding is dear."""
    packets = encode(tone(2.0, frequency_hz=frequency_hz))
    return packets[:-PACKETS_PER_SECOND], packets[-PACKETS_PER_SECOND:]


async def until(read: Callable[[], Awaitable[T | None]], *, seconds: float = 60.0) -> T:
    """The first answer that is not None or False; the bound is for a test that has failed."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await read()
            if answer is not None and answer is not False:
                return answer
            await asyncio.sleep(0.05)


@dataclass(slots=True)
class LiveRoom:
    """The first person hosts; all are on the stage and have consented."""

    web_url: str
    room_id: str
    recording_id: str
    people: dict[str, Person]
    speakers: dict[str, Speaker] = field(default_factory=dict)

    @property
    def host(self) -> Person:
        return next(iter(self.people.values()))

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """By the host, below the room."""
        return await self.host.call(method, f"/rooms/{self.room_id}{path}", body)

    async def publish(self, name: str, *, loss: float = 0.0) -> Speaker:
        ticket = await self.people[name].call("POST", f"/rooms/{self.room_id}/publish")
        speaker = self.speakers.setdefault(name, Speaker(loss=loss))
        await speaker.connect(ticket["whip_url"], ticket["token"])
        return speaker

    async def spoken(self, name: str, seconds: float) -> None:
        """So much more of what they say has left, however late a busy machine was with it."""
        speaker = self.speakers[name]
        enough = speaker.sent + round(seconds * PACKETS_PER_SECOND)

        async def sent() -> bool:
            return speaker.sent >= enough

        await until(sent)

    async def record(self, state: str) -> dict[str, Any]:
        """`on`, `paused` or `off`."""
        recording: dict[str, Any] = await self.call("PUT", "/recording", {"state": state})
        return recording

    async def end(self) -> dict[str, Any]:
        ended: dict[str, Any] = await self.call("POST", "/end")
        return ended

    async def now_ms(self) -> float:
        """On the room's clock, as this machine's clock has it."""
        live_at = datetime.fromisoformat((await self.call("GET", ""))["live_at"])
        return (datetime.now(UTC) - live_at).total_seconds() * 1000

    async def listen(self) -> dict[str, Any]:
        links: dict[str, Any] = await self.call("GET", "/listen")
        return links

    async def recording(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.host.call("GET", f"/recordings/{self.recording_id}")
        return found

    async def stored_recording(self) -> dict[str, Any]:
        """The recording once every object and row is in place."""

        async def stored() -> dict[str, Any] | None:
            recording = await self.recording()
            return recording if recording["status"] == "stored" else None

        return await until(stored)


@asynccontextmanager
async def signed_up(web_url: str, name: str) -> AsyncIterator[Person]:
    async with Person(web_url, name.title(), headers=own_address()) as person:
        await person.sign_in(f"{name}-{secrets.token_hex(6)}@example.com", PASSWORD)
        yield person


@asynccontextmanager
async def live_room(web_url: str, *names: str, **settings: Any) -> AsyncIterator[LiveRoom]:
    """Live, everybody present and willing, nobody connected yet; not ended at the end."""
    async with AsyncExitStack() as present:
        enter = present.enter_async_context
        people = {name: await enter(signed_up(web_url, name)) for name in names}
        room = await _go_live(web_url, people, {"title": "End to end", **settings})
        try:
            yield room
        finally:
            for speaker in room.speakers.values():
                await speaker.close()


async def _go_live(web_url: str, people: dict[str, Person], settings: dict[str, Any]) -> LiveRoom:
    host, *others = people.values()
    created = await host.call("POST", "/rooms", {"visibility": "public", **settings})
    path = f"/rooms/{created['id']}"
    for person in others:
        user_id = (await person.call("GET", "/me"))["user"]["id"]
        await host.call("POST", f"{path}/invitations", {"user_id": user_id, "role": "speaker"})
        await person.call("POST", f"{path}/invitations/accept")
    live = await host.call("POST", f"{path}/live")
    for person in people.values():
        await person.call("POST", f"{path}/join")
        await person.call("PUT", f"{path}/consent", {"consent": True})
    return LiveRoom(web_url, created["id"], live["recording_id"], people)
