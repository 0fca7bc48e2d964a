"""Rooms whose worker is moved away from, stalls, or dies for good: the recording goes on."""

import asyncio
import subprocess
import sys
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.db import Database
from ingest.models import Rendition, Segment
from tests.e2e.fleet import Fleet, Machine
from tests.e2e.live_room import FREQUENCIES_HZ, LiveRoom, live_room, tone_packets, until
from tests.e2e.sound import hear
from tests.e2e.test_crash import assert_heard_but_for, ended_playlist

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fleet"), pytest.mark.timeout(300)]

TONE_S = 90.0
LATE_S = 2.0
"""So much later a busy machine's receiver may learn that the room has ended."""


async def speak(room: LiveRoom, *names: str) -> None:
    """Each connects where the room is received now, and says a tone."""
    tones = {name: tone_packets(name, TONE_S) for name in names}  # encoding stops the loop
    for name in names:
        (await room.publish(name)).play(tones[name])


async def come_back(room: LiveRoom, *names: str) -> None:
    """As the page does: a new ticket, a new session; what was being said goes on."""
    for name in names:
        await room.publish(name)


async def heard_after_the_end(fleet: Fleet, room: LiveRoom, *names: str) -> list[dict[str, Any]]:
    """Ends the room; in the replay every voice is there but for its listed gaps, which return."""
    ended = await room.end()
    await room.stored_recording()
    url = f"{fleet.web_url}/v1/rooms/{room.room_id}/replay.m3u8"
    await ended_playlist(url)
    return await check_replay(fleet, room, ended["duration_ms"] / 1000, *names)


async def check_replay(
    fleet: Fleet, room: LiveRoom, seconds: float, *names: str
) -> list[dict[str, Any]]:
    await check_rows(fleet.database, room.recording_id)
    replay = await hear(f"{fleet.web_url}/v1/rooms/{room.room_id}/replay.m3u8")
    recording = await room.recording()
    gaps: list[dict[str, Any]] = recording["gaps"]
    assert seconds - 0.1 < replay.seconds < seconds + LATE_S
    for name in names:
        assert_heard_but_for(replay, FREQUENCIES_HZ[name], gaps)
    return gaps


async def check_rows(database: Database, recording_id: str) -> None:
    """Of each rendition one row a number, and each begins where the one before ends."""
    async with database.transaction() as session:
        rows = await session.execute(
            sa.select(Segment.rendition_id, Segment.sequence, Segment.media_start, Segment.samples)
            .join(Rendition, Rendition.id == Segment.rendition_id)
            .where(Rendition.recording_id == UUID(recording_id))
            .order_by(Segment.rendition_id, Segment.sequence)
        )
        end: dict[UUID, tuple[int, int]] = {}
        for rendition, sequence, start, samples in rows:
            number, expected = end.get(rendition, (0, start))
            assert (sequence, start) == (number, expected)
            end[rendition] = sequence + 1, start + samples


def lost(gaps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [g for g in gaps if g["cause"] == "worker_lost"]


async def test_a_stalled_worker_is_fenced_and_what_it_has_is_salvaged(fleet: Fleet) -> None:
    await fleet.ready()
    async with live_room(fleet.web_url, "ada", "ben") as room:
        await speak(room, "ada", "ben")
        await asyncio.sleep(5)
        stalled = await fleet.owner(room.recording_id)
        stalled.freeze()
        moved = await fleet.moved(room.recording_id)
        assert moved.worker_id != stalled.worker
        await come_back(room, "ada")
        await asyncio.sleep(1)

        stalled.thaw()
        fenced = stalled.folders.fenced(1)
        await until(lambda: _is(room.recording_id in fenced.journals()))
        await until(lambda: _is(room.recording_id not in stalled.folders.held()))
        await come_back(room, "ben")
        await asyncio.sleep(3)
        ended = await room.end()
        await room.stored_recording()
        await until(lambda: _is(room.recording_id not in fenced.held()))
        assert (await fleet.recording(room.recording_id)).revision == 2
        first = await fleet.epoch(room.recording_id, 1)
        assert first.complete_until_ms is not None
        gaps = lost(await check_replay(fleet, room, ended["duration_ms"] / 1000, "ada", "ben"))
        assert gaps
        assert min(g["room_start_ms"] for g in gaps) >= first.complete_until_ms - 1
        assert first.complete_until_ms > 4000, "all that had arrived, not what was stored"


async def _is(fact: bool) -> bool:
    return fact


async def drain_and_move(fleet: Fleet, leaving: Machine) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [*(sys.executable, "-m", "web.cli", "workers", "drain"), str(leaving.worker), "--move"],
        env=fleet.web.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "takes no more rooms; it hands over 1" in done.stdout


async def test_both_workers_are_deployed_while_a_room_is_live(fleet: Fleet) -> None:
    """One is told to move its room, then the other is ended by SIGTERM with the room that it got:
    all that either had received is there, and only the ways between them are missing."""
    await fleet.ready()
    async with live_room(fleet.web_url, "ada") as room:
        await speak(room, "ada")
        await asyncio.sleep(3)
        first = await fleet.owner(room.recording_id)
        told_ms = [await room.now_ms()]
        await drain_and_move(fleet, first)
        await fleet.moved(room.recording_id)
        await come_back(room, "ada")
        await until(lambda: _is(room.recording_id not in first.folders.held()))
        assert await asyncio.to_thread(first.stop) == [0]
        await fleet.ready()

        second = await fleet.owner(room.recording_id)
        told_ms.append(await room.now_ms())
        assert await asyncio.to_thread(second.stop) == [0]
        assert room.recording_id not in second.folders.held()
        await fleet.moved(room.recording_id, epoch=3)
        assert await fleet.owner(room.recording_id) is first
        await come_back(room, "ada")
        await asyncio.sleep(2)
        gaps = lost(await heard_after_the_end(fleet, room, "ada"))
        epochs = [await fleet.epoch(room.recording_id, number) for number in (1, 2, 3)]
        for told, left, taken in zip(told_ms, epochs, epochs[1:], strict=False):
            assert left.complete_until_ms is not None
            assert told < left.complete_until_ms <= taken.began_ms
            ways = [g for g in gaps if g["room_end_ms"] > left.complete_until_ms]
            gaps = [g for g in gaps if g not in ways or g["room_start_ms"] > taken.began_ms]
            assert min(g["room_start_ms"] for g in ways) >= left.complete_until_ms - 25
        assert gaps == []


async def test_a_worker_dies_for_good(fleet: Fleet) -> None:
    """The replay holds what was stored, and lists the rest."""
    await fleet.ready()
    async with live_room(fleet.web_url, "ada") as room:
        await speak(room, "ada")
        await asyncio.sleep(6)
        dead = await fleet.owner(room.recording_id)
        dead.kill()
        await fleet.moved(room.recording_id)
        await come_back(room, "ada")
        await asyncio.sleep(2)
        gaps = await heard_after_the_end(fleet, room, "ada")
        everybody = [g for g in lost(gaps) if g["participant_id"] is None]
        assert len(everybody) == 1
        assert everybody[0]["room_start_ms"] > 1000, "what was stored is there"
        assert (await fleet.recording(room.recording_id)).revision == 1
