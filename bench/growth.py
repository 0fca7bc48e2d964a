"""A crowd that grows room by room, and what the server uses at each size."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from bench.cpu import cpu_seconds
from bench.speakers import FRAME_SECONDS, Crowd, connect_all
from bench.voices import Voice
from bench.webrtc_client import Identity, WebRtcClient

ROOM: Final = 10
"""People in each room, all of them on its stage."""

SPREAD_SECONDS: Final = 30.0
SETTLE_SECONDS: Final = 1.5

Join = Callable[[WebRtcClient, int], Awaitable[None]]
"""Connects a client in the seat of that number of one room."""

OpenRoom = Callable[[float], Awaitable[Join]]
"""Makes a room that is so many seconds old, where the server can: its rooms are then at
different moments of what they do every SPREAD_SECONDS."""


@dataclass(frozen=True, slots=True)
class Load:
    """What all runs have in common: the cores of the server, the sound, PostgreSQL's pid."""

    cores: set[int]
    identity: Identity
    voices: Sequence[Voice]
    quiet: Voice
    postgres: int


@dataclass(frozen=True, slots=True)
class Use:
    """Shares of one core for one track that sends 50 packets a second.

    From CPU time a packet: where the load itself falls behind on a busy machine, both count less.
    """

    cpu: float
    postgres: float


@dataclass(slots=True)
class Run:
    """`uses` by the number of tracks; `kept` of the `sent` packets were recorded."""

    uses: dict[int, Use] = field(default_factory=dict)
    sent: int = 0
    kept: int = 0
    hiccups: int = 0
    """How often the load fell behind: the machine was busy with something else."""

    profile: str = ""

    @property
    def lost(self) -> int:
        return self.sent - self.kept


async def grow(
    load: Load,
    open_room: OpenRoom,
    pids: Sequence[int],
    steps: Mapping[int, float],
    *,
    talking: int = ROOM,
    host: str = "127.0.0.1",
    direction: str = "sendonly",
) -> Run:
    """Measures at each number of tracks of `steps` for so many seconds; then all fall silent.

    `talking` of each room's people speak, the others' microphones hear a quiet room.
    """
    run, crowd, begin = Run(), Crowd(), time.monotonic()

    async def connect(join: Join, seat: int, number: int) -> None:
        client = WebRtcClient(load.identity, host=host, direction=direction)
        await join(client, seat)
        speaks = seat < talking
        crowd.join(client, load.voices[number % len(load.voices)] if speaks else load.quiet)

    try:
        rooms = 0
        for tracks, seconds in steps.items():
            while rooms * ROOM < tracks:
                join = await open_room(time.monotonic() - begin + spread(rooms))
                seats = [partial(connect, join, seat, rooms + seat) for seat in range(ROOM)]
                await connect_all(seats)
                rooms += 1
            run.uses[tracks] = await _measure(seconds, crowd, pids, load.postgres)
        await crowd.silence()
        await asyncio.sleep(SETTLE_SECONDS)  # what is on its way arrives before rooms end
        run.sent, run.hiccups = crowd.sent, crowd.hiccups
        run.profile = crowd.speakers[0].client.profile
    finally:
        await crowd.end()
    return run


def spread(number: int) -> float:
    """Seconds in SPREAD_SECONDS: however many numbers there are, they lie evenly (bits turned)."""
    return int(f"{number:08b}"[::-1], 2) / 256 * SPREAD_SECONDS


async def _measure(seconds: float, crowd: Crowd, pids: Sequence[int], postgres: int) -> Use:
    await asyncio.sleep(SETTLE_SECONDS)
    sent, used, stored = crowd.sent, cpu_seconds(*pids), cpu_seconds(postgres)
    await asyncio.sleep(seconds)
    sent = crowd.sent - sent
    used, stored = cpu_seconds(*pids) - used, cpu_seconds(postgres) - stored
    spoken = sent * FRAME_SECONDS
    return Use(used / spoken, stored / spoken)
