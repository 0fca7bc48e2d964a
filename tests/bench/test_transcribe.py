import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from bench.memory import resident_mb, tree, watched
from bench.spoken_room import SpokenRoom, through_packets, write
from bench.transcribe_webrtc import BURSTS, losses
from tests.ingest.speech import say
from transcripts.accuracy import Turn
from transcripts.words import Span

ROOM = SpokenRoom(
    "two",
    {"Ada": say("ada", 4.0), "Ben": np.zeros(4 * 48_000, np.float32)},
    (Turn("Ada", Span(0, 4000), "Hello"),),
)


def test_tracks_and_their_sum_are_written_at_the_engines_rate(tmp_path: Path) -> None:
    write(ROOM, tmp_path)
    found = {path.stem: np.fromfile(path, "<i2") for path in tmp_path.iterdir()}
    assert set(found) == {"Ada", "Ben", "mix"}
    assert abs(found["Ada"].size - 4 * 16_000) < 100
    assert np.array_equal(found["mix"], found["Ada"])
    assert not found["Ben"].any()


def test_a_part_of_a_room_is_its_beginning() -> None:
    assert ROOM.first(2.0).seconds == 2
    assert ROOM.first(2.0).turns == ()
    assert not ROOM.first(2.0).tracks["Ada"].any()
    assert ROOM.first(4.0).tracks["Ada"].any()
    assert ROOM.first(4.0).turns == ROOM.turns


def test_a_room_goes_through_packets_and_loses_some() -> None:
    whole, lossy = through_packets(ROOM, 0.0), through_packets(ROOM, 0.3)
    said = np.sqrt(np.mean(ROOM.tracks["Ada"] ** 2))
    for room in (whole, lossy):
        assert abs(room.seconds - 4) < 0.2
        assert not np.abs(room.tracks["Ben"]).max() > 0.01
    kept = np.sqrt(np.mean(whole.tracks["Ada"] ** 2)) / said
    assert 0.8 < kept < 1.2
    assert not np.array_equal(whole.tracks["Ada"][:48_000], lossy.tracks["Ada"][:48_000])


def test_packets_are_lost_singly_and_in_short_bursts() -> None:
    gone = losses(0.02, 100_000, seed=1)
    assert gone == losses(0.02, 100_000, seed=1)
    assert gone != losses(0.02, 100_000, seed=2)
    assert abs(sum(gone) / len(gone) - 0.02) < 0.002
    bursts = Counter(
        len(burst) for burst in "".join(".x"[lost] for lost in gone).split(".") if burst
    )
    assert bursts[1] > bursts[2] > bursts[3] > 0
    assert max(bursts) <= 3 * max(BURSTS)
    assert not any(losses(0.0, 1000, seed=1))


def test_memory_is_that_of_the_whole_tree() -> None:
    assert os.getpid() in tree(os.getpid())
    if sys.platform == "linux":
        assert resident_mb(os.getpid()) > 10
    assert resident_mb(2**22 + 1) == 0


async def test_the_peak_is_seen_while_it_lasts() -> None:
    code = "import time; some = bytearray(80_000_000); print(len(some), flush=True); time.sleep(60)"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    with watched(child.pid) as peak:
        await child.stdout.readline()
        for _ in range(100):
            if peak.mb > 80 or sys.platform != "linux":
                break
            await asyncio.sleep(0.05)
        child.kill()
        await child.wait()
    assert peak.mb > 80 or sys.platform != "linux"
