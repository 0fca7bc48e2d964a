"""A room of real speech as it is recorded when people say it over WebRTC, in real time.

Each speaker is a client of its own: ICE, DTLS, SRTP, Opus of 20 ms without forward error
correction, RFC 6464 levels. Receiving and packaging are Encore's processes, over a database and
a folder of their own. Packets that are lost on the way are never sent.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import SecretStr

from bench.encore import Hall, MediaPlane, postgres
from bench.speakers import FRAME_SECONDS, connect_all, look_after
from bench.spoken_room import SpokenRoom, save
from bench.voices import Voice
from bench.webrtc_client import Identity, WebRtcClient
from core.db import Database
from core.settings import Settings
from core.storage import open_store
from demo.opus_files import encode
from replay.holdings import load_holding
from rooms.models import Room
from transcripts.tracks import room_track
from transcripts.transcriber import RATE, Pcm

BURSTS: Final = (1, 1, 1, 2, 3)
"""Packets that are lost in a row, each length as often as it stands here."""

SETTLE_SECONDS: Final = 1.0
"""What is on its way arrives before speakers leave."""

TELL_FRAMES: Final = 1500


def losses(share: float, count: int, seed: int) -> list[bool]:
    """Which of `count` packets are lost: `share` of them, in BURSTS; the same in every run."""
    draw = random.Random(seed)  # noqa: S311 - reproducible
    mean = sum(BURSTS) / len(BURSTS)
    begins = share / (share + mean * (1 - share))
    gone: list[bool] = []
    while len(gone) < count:
        burst = draw.choice(BURSTS) if draw.random() < begins else 0
        gone += [True] * burst or [False]
    return gone[:count]


@dataclass(frozen=True, slots=True)
class _Speaker:
    client: WebRtcClient
    voice: Voice
    lost: list[bool]

    def speak(self, frame: int) -> None:
        if frame < len(self.voice):
            tell = self.client.lose if self.lost[frame] else self.client.send
            tell(self.voice[frame])
        look_after(self.client, frame)


@dataclass(frozen=True, slots=True)
class _Stage:
    hall: Hall
    speakers: Sequence[_Speaker]


async def through_webrtc(room: SpokenRoom, folders: Mapping[Path, float]) -> None:
    """Said once for each folder, all at the same time, with that share of the packets lost.

    Writes NAME.pcm for each speaker, as the transcript's pipeline reads the stored track, from
    the moment on at which the room's first packet is sent.
    """
    voices = [encode(_whole_numbers(track)) for track in room.tracks.values()]
    async with postgres() as (url, _):
        with tempfile.TemporaryDirectory(prefix="encore-bench-webrtc-") as data:
            async with MediaPlane(url, Path(data), set(), mixing=True) as plane:
                stages = [await _stage(plane, voices, share) for share in folders.values()]
                began = await _say([s for stage in stages for s in stage.speakers])
                received, lost = await plane.end()
            _tell(f"{received} packets are recorded, {lost} are counted as lost")
            settings = Settings(data_dir=Path(data), database_url=SecretStr(url))
            for stage, folder in zip(stages, folders, strict=True):
                await _keep(settings, room, stage.hall, began, folder)


def _whole_numbers(track: Pcm) -> np.typing.NDArray[np.int16]:
    return (track.clip(-1, 1) * 32767).astype(np.int16)


async def _stage(plane: MediaPlane, voices: Sequence[Voice], share: float) -> _Stage:
    """A room of its own with all speakers connected."""
    hall, identity = await plane.open_hall(len(voices), 0), Identity()
    speakers = [
        _Speaker(WebRtcClient(identity), voice, losses(share, len(voice), seat))
        for seat, voice in enumerate(voices)
    ]
    await connect_all([partial(plane.publish, hall, s.client, n) for n, s in enumerate(speakers)])
    return _Stage(hall, speakers)


async def _say(speakers: Sequence[_Speaker]) -> datetime:
    """All that is to be said, at the pace of speech; when it began."""
    loop, frames = asyncio.get_running_loop(), max(len(s.voice) for s in speakers)
    began, due = datetime.now(UTC), loop.time()
    for frame in range(frames):
        await asyncio.sleep(max(due + frame * FRAME_SECONDS - loop.time(), 0))
        for speaker in speakers:
            speaker.speak(frame)
        if frame % TELL_FRAMES == 0:
            _tell(f"{frame * FRAME_SECONDS:.0f} of {frames * FRAME_SECONDS:.0f} s are said")
    await asyncio.sleep(SETTLE_SECONDS)
    sent = sum(s.client.sent for s in speakers)
    _tell(f"{sent} packets were sent, {sum(sum(s.lost) for s in speakers)} lost on the way")
    for speaker in speakers:
        speaker.client.close()
    return began


async def _keep(
    settings: Settings, room: SpokenRoom, hall: Hall, began: datetime, folder: Path
) -> None:
    database = Database((settings.database_url or SecretStr("")).get_secret_value())
    async with database.transaction() as session:
        holding = await load_holding(session, hall.recording_id)
        live_at = (await session.get_one(Room, hall.room_id)).live_at or began
    await database.close()
    names = {who: name for (who, _), name in zip(hall.speakers, room.tracks, strict=True)}
    start = round((began - live_at).total_seconds() * RATE)
    for rendition in holding.renditions:
        if (who := rendition.row.participant_id) is not None:
            async with room_track(open_store(settings), rendition, folder) as track:
                pcm = await track.read(start, start + round(room.seconds * RATE))
            save(pcm, folder / f"{names[who]}.pcm")


def _tell(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
