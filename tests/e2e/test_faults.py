"""What Encore stands on goes away while people talk and comes back: what arrived is kept."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.postgres import EmbeddedPostgres
from tests.core import test_storage_s3
from tests.core.test_storage_s3 import BUCKET
from tests.e2e.gate import Gate, gate_to
from tests.e2e.live_room import FREQUENCIES_HZ, live_room, tone_packets, until
from tests.e2e.sound import hear
from tests.e2e.stack import Stack
from tests.e2e.test_crash import LATE_S, accepted, assert_heard_but_for, ended_playlist

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fleet"), pytest.mark.timeout(300)]

moto_endpoint = test_storage_s3.moto_endpoint
AWAY_S = 4.0
DISK_BYTES = 64 << 20
ADA_HZ = FREQUENCIES_HZ["ada"]


@dataclass(frozen=True)
class Base:
    """A whole Encore and what it stands on, each of which can go away."""

    stack: Stack
    store: Gate
    server: EmbeddedPostgres
    disk: Path | None
    """A file system of DISK_BYTES; None where this user may not mount one."""


@pytest.fixture(scope="module")
async def base(tmp_path_factory: pytest.TempPathFactory, moto_endpoint: str) -> AsyncIterator[Base]:
    folder = tmp_path_factory.mktemp("faults")
    server = EmbeddedPostgres(folder / "postgres")
    async with gate_to(int(moto_endpoint.rpartition(":")[2])) as gate:
        with small_disk(folder / "disk") as disk:
            settings = bucket(gate.port) | {"DATABASE_URL": server.start()}
            stack = Stack(disk or folder / "stack", settings)
            try:
                await asyncio.to_thread(stack.start)
                yield Base(stack, gate, server, disk)
            finally:
                await asyncio.to_thread(stack.stop)
                await asyncio.to_thread(server.stop)


def bucket(port: int) -> dict[str, str]:
    return {
        "ENCORE_STORAGE_URL": f"s3://{BUCKET}/faults",
        "ENCORE_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "ENCORE_S3_ACCESS_KEY_ID": "test",
        "ENCORE_S3_SECRET_ACCESS_KEY": "testtesttest",
    }


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "encore-test", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Takes every byte that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return filler


async def test_the_object_store_is_away_when_the_room_ends(base: Base) -> None:
    """The room, live and the replay go on from the disk; all is stored once the store is back."""
    async with live_room(base.stack.web_url, "ada") as room:
        (await room.publish("ada")).play(tone_packets("ada", 30))
        await asyncio.sleep(3.0)
        await base.store.close()
        await asyncio.sleep(AWAY_S)
        ended = await room.end()
        url = f"{base.stack.web_url}/v1/rooms/{room.room_id}/replay.m3u8"
        await ended_playlist(url)
        from_disk = await hear(url)
        assert (await room.recording())["status"] == "live", "nobody may say it is stored"

        await base.store.open()
        recording = await room.stored_recording()
    assert recording["gaps"] == []
    assert recording["packets_lost"] == 0
    assert from_disk.seconds == pytest.approx(ended["duration_ms"] / 1000, abs=0.1)
    assert_heard_but_for(from_disk, ADA_HZ, [])


async def test_the_disk_is_full_for_a_while(base: Base) -> None:
    """What could not be written is one gap with its cause; before and after it all is heard."""
    if base.disk is None:
        pytest.skip("a small disk needs the right to mount a tmpfs")
    async with live_room(base.stack.web_url, "ada") as room:
        (await room.publish("ada")).play(tone_packets("ada", 30))
        await asyncio.sleep(4.0)
        filler = fill(base.disk)
        await asyncio.sleep(4.0)
        filler.unlink()
        await asyncio.sleep(4.0)
        await room.end()
        url = f"{base.stack.web_url}/v1/rooms/{room.room_id}/replay.m3u8"
        await ended_playlist(url)
        replay = await hear(url)
        recording = await room.stored_recording()
    full = [gap for gap in recording["gaps"] if gap["cause"] == "disk_full"]
    lengths_ms = [gap["room_end_ms"] - gap["room_start_ms"] for gap in full]
    assert 2000 < sum(lengths_ms) < 6000, recording["gaps"]
    assert_heard_but_for(replay, ADA_HZ, recording["gaps"])
    assert replay.seconds_with(ADA_HZ) > 6.0


async def test_the_database_is_restarted_in_the_middle_of_a_room(base: Base) -> None:
    """It is away for seconds, ordinarily shut down; then a pause is taken over as before."""
    async with live_room(base.stack.web_url, "ada") as room:
        (await room.publish("ada")).play(tone_packets("ada", 60))
        await asyncio.sleep(2.0)
        await asyncio.to_thread(base.server.stop)
        await asyncio.sleep(AWAY_S)
        await asyncio.to_thread(base.server.start)
        await until(lambda: accepted(lambda: room.record("paused")))
        await asyncio.sleep(1.0)
        await room.record("on")
        await asyncio.sleep(2.0)
        ended = await room.end()
        url = f"{base.stack.web_url}/v1/rooms/{room.room_id}/replay.m3u8"
        await ended_playlist(url)
        replay = await hear(url)
        recording = await room.stored_recording()
    (pause,) = recording["gaps"]
    assert pause["cause"] == "off_the_record"
    assert recording["packets_lost"] == 0
    off_ms = pause["room_end_ms"] - pause["room_start_ms"]
    assert replay.seconds == pytest.approx((ended["duration_ms"] - off_ms) / 1000, abs=0.1)
    assert_heard_but_for(replay, ADA_HZ, [], late_s=LATE_S)
