"""What Encore stands on goes away while people talk, and comes back: nothing that arrived is lost."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.storage import open_store
from core.storage.s3 import S3Store
from tests.core import test_storage_s3
from tests.core.test_storage_s3 import BUCKET, bucket_settings
from tests.e2e.gate import Gate, gate_to
from tests.e2e.live_room import FREQUENCIES_HZ, live_room, tone_packets, until
from tests.e2e.sound import hear
from tests.e2e.stack import Stack, running_stack
from tests.e2e.test_crash import assert_heard_but_for, ended_playlist

pytestmark = pytest.mark.slow

moto_endpoint = test_storage_s3.moto_endpoint
AWAY_S = 8.0
DISK_BYTES = 64 << 20
ADA_HZ = FREQUENCIES_HZ["ada"]


@pytest.fixture
async def gate(moto_endpoint: str) -> AsyncIterator[Gate]:
    async with gate_to(int(moto_endpoint.rpartition(":")[2])) as gate:
        yield gate


def stack_on_bucket(folder: Path, gate: Gate) -> Stack:
    return Stack(
        folder,
        {
            "ENCORE_STORAGE_URL": f"s3://{BUCKET}/faults",
            "ENCORE_S3_ENDPOINT_URL": f"http://127.0.0.1:{gate.port}",
            "ENCORE_S3_ACCESS_KEY_ID": "test",
            "ENCORE_S3_SECRET_ACCESS_KEY": "testtesttest",
        },
    )


async def test_the_object_store_is_away_when_the_room_ends(tmp_path: Path, gate: Gate) -> None:
    """The room, live and the replay go on from the disk; all is stored once the store is back."""
    stack = stack_on_bucket(tmp_path, gate)
    try:
        await asyncio.to_thread(stack.start)
        async with live_room(stack.web_url, "ada") as room:
            tone = tone_packets("ada", 60)
            (await room.publish("ada")).play(tone)
            await asyncio.sleep(3.0)
            await gate.close()
            await asyncio.sleep(AWAY_S)
            ended = await room.end()
            url = f"{stack.web_url}/v1/rooms/{room.room_id}/replay.m3u8"
            await ended_playlist(url)
            from_disk = await hear(url)
            assert (await room.recording())["status"] == "live", "nobody may say it is stored"

            await gate.open()
            recording = await room.stored_recording()
            assert recording["gaps"] == []
            assert recording["packets_lost"] == 0
    finally:
        await asyncio.to_thread(stack.stop)
    assert from_disk.seconds == pytest.approx(ended["duration_ms"] / 1000, abs=0.1)
    assert_heard_but_for(from_disk, ADA_HZ, [])
