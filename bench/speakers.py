"""Many speakers who talk at once: each sends a packet every 20 ms, spread evenly over them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.voices import Voice
from bench.webrtc_client import WebRtcClient
from demo.opus_files import FRAME_SAMPLES, RATE

FRAME_SECONDS: Final = FRAME_SAMPLES / RATE
SLOTS: Final = 10
"""Groups of speakers within 20 ms: their packets don't come in step, as people's don't."""

SWEEP_FRAMES: Final = 250
"""Every speaker proves consent and reports once in so many frames (5 s)."""

DRAIN_FRAMES: Final = 10
HICCUP_SECONDS: Final = 0.1
"""Whoever is later than this goes on from there: no person says a minute in a second."""

CONNECT_AT_ONCE: Final = 8


@dataclass(slots=True)
class Speaker:
    """Says a voice round and round from `at` on."""

    client: WebRtcClient
    voice: Voice
    at: int

    def speak(self) -> None:
        self.client.send(self.voice[self.at])
        self.at = (self.at + 1) % len(self.voice)


class Crowd:
    """Speakers that talk from the moment they join until `end`."""

    def __init__(self) -> None:
        self._slots: list[list[Speaker]] = [[] for _ in range(SLOTS)]
        self._count = 0
        self._pump: asyncio.Task[None] | None = None
        self.hiccups = 0
        """How often this process itself fell behind and everybody paused."""

    @property
    def speakers(self) -> list[Speaker]:
        return [speaker for slot in self._slots for speaker in slot]

    @property
    def sent(self) -> int:
        return sum(speaker.client.sent for speaker in self.speakers)

    def join(self, client: WebRtcClient, voice: Voice) -> None:
        """A connected client begins to speak, somewhere in the voice."""
        speaker = Speaker(client, voice, self._count * 37 % len(voice))
        self._slots[self._count % SLOTS].append(speaker)
        self._count += 1
        if self._pump is None:
            self._pump = asyncio.create_task(self._speak())

    async def silence(self) -> None:
        """Nobody says anything more; connections stay."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
            self._pump = None

    async def end(self) -> None:
        await self.silence()
        for speaker in self.speakers:
            speaker.client.close()

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        due, turn = loop.time(), 0
        while True:
            frame, slot = divmod(turn, SLOTS)
            wait = due - loop.time()
            if wait < -HICCUP_SECONDS:
                due -= wait
                self.hiccups += 1
            due += FRAME_SECONDS / SLOTS
            await asyncio.sleep(max(wait, 0))
            for number, speaker in enumerate(self._slots[slot]):
                speaker.speak()
                look_after(speaker.client, frame + number)
            turn += 1


def look_after(client: WebRtcClient, moment: int) -> None:
    """What a client does beside speaking, in its frame of that number."""
    if moment % DRAIN_FRAMES == 0:
        client.drain()
    if moment % SWEEP_FRAMES == 0:
        client.sweep()


async def connect_all(connects: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """A few at a time, so that no handshake waits for a hundred others."""
    turns = asyncio.Semaphore(CONNECT_AT_ONCE)

    async def in_turn(connect: Callable[[], Awaitable[None]]) -> None:
        async with turns:
            await connect()

    await asyncio.gather(*(in_turn(connect) for connect in connects))
