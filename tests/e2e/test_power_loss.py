"""The machine loses its power while two speak: what was fsynced is replayed, the rest is listed."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.live_room import FREQUENCIES_HZ, LiveRoom, live_room, tone_packets
from tests.e2e.power import INSTRUMENT, SYNC_LOG, Durable
from tests.e2e.sound import hear
from tests.e2e.stack import Stack, running_stack
from tests.e2e.test_crash import assert_heard_but_for, ended_playlist

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("crash"),
    pytest.mark.skipif(sys.platform != "linux", reason="files are named by /proc"),
]

NAMES = ("ada", "ben")
UNSYNCED_MS = 4500.0
"""A segment of 2 s, the cut behind it, and what was under way at that moment."""

EDGE_MS = 300.0


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("power")
    settings = {"PYTHONPATH": _path(), SYNC_LOG: str(folder / "sync.log")}
    with running_stack(folder, settings) as stack:
        yield stack


def _path() -> str:
    before = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(INSTRUMENT), *([before] if before else [])])


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(p for child in children for p in family(int(child)))]


def lose_power(stack: Stack) -> list[str]:
    """Every process at once, then the disk as it would be found; PostgreSQL's own is spared.

    PostgreSQL keeps its promises by itself; its files show more than a power loss would leave.
    """
    assert stack.process is not None
    database = stack.postgres_pid()
    assert database is not None
    for pid in [*family(stack.process.pid), database]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    stack.process.wait()
    durable = Durable.read(stack.folder / "sync.log")
    return durable.cut(stack.data_dir, spared=frozenset({"postgres"}))


async def talk(room: LiveRoom, seconds: float) -> None:
    """Both connect and say their tone; returns once that much has left."""
    tones = [tone_packets(name, 30) for name in NAMES]
    for name, tone in zip(NAMES, tones, strict=True):
        (await room.publish(name)).play(tone)
    await room.spoken(NAMES[-1], seconds)


async def test_what_was_synced_survives_and_the_rest_is_listed(stack: Stack) -> None:
    async with live_room(stack.web_url, *NAMES) as room:
        await talk(room, 6.0)
        lost_at_ms = await room.now_ms()
        lose_power(stack)
        for name in NAMES:
            room.speakers.pop(name).drop()
        stack.start()
        await talk(room, 4.0)
        back_ms = await room.now_ms() - 4000.0
        await room.end()
        url = f"{stack.web_url}/v1/rooms/{room.room_id}/replay.m3u8"
        await ended_playlist(url)
        replay = await hear(url)
        recording = await room.stored_recording()
        tracks = [await hear(track["url"]) for track in (await room.listen())["tracks"]]

    power = next(gap for gap in recording["gaps"] if gap["cause"] == "receiver_down")
    assert lost_at_ms - UNSYNCED_MS < power["room_start_ms"] <= lost_at_ms + EDGE_MS
    missing = {**power, "room_end_ms": back_ms}
    assert len(tracks) == len(NAMES)
    for sound in (replay, *tracks):
        frequency = max(FREQUENCIES_HZ.values(), key=lambda hz: sound.loudness(hz).sum())
        assert sound.seconds_with(frequency) > 3.0
    for name in NAMES:
        assert_heard_but_for(replay, FREQUENCIES_HZ[name], [missing])
