"""Receiving and recording speakers beside Janus: `make bench-ingest`.

Tracks: CPU per recorded track, ours with packaging, fsync, upload and rows, against Janus'
VideoRoom, which writes packets to a file. Rooms of ten, four of whom talk: ours with mix and
live HLS against Janus' AudioBridge, which mixes too.
"""

import argparse
import asyncio
import secrets
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from bench.cpu import cores, pin
from bench.encore import MediaPlane, postgres
from bench.growth import ROOM, Join, Load, Run, grow
from bench.janus import (
    AUDIO_BRIDGE,
    VIDEO_ROOM,
    Janus,
    Skipped,
    count_frames,
    find_janus,
    own_address,
    running,
)
from bench.report import Cell, bench_lines, table
from bench.rounds import ROUNDS, interleaved, middle
from bench.voices import noise, voices
from bench.webrtc_client import Identity, WebRtcClient

TRACKS: Final = {20: 15.0, 100: 9.0, 400: 12.0}
"""Seconds of steady state at each number of tracks. A track's object is written every 30 s; the
rooms' objects are spread evenly, so these hold as many of them as belong there."""

ROOMS: Final = {30: 15.0}
"""AudioBridge takes a fifth of a core for each room: more of them fill the one that it has."""

TALKING: Final = 4

NOISE_SECONDS: Final = 10.0
LAST_ROUND_BEGINS: Final = 330.0
"""Seconds after the first: a round takes two and a half minutes, all of it eight."""

Steps = Mapping[int, float]

OURS_TRACKS: Final = "Encore: receive + track recording"
VIDEO: Final = "Janus VideoRoom: mjr recording"
OURS_ROOM: Final = "Encore: tracks, mix and live HLS; no return audio yet"
BRIDGE: Final = "Janus AudioBridge: wav of the mix, return audio"


async def encore_run(
    load: Load, url: str, steps: Mapping[int, float], *, mixing: bool, talking: int
) -> Run:
    with tempfile.TemporaryDirectory(prefix="encore-bench-") as folder:
        async with MediaPlane(url, Path(folder), load.cores, mixing=mixing) as plane:

            async def open_room(age: float) -> Join:
                hall = await plane.open_hall(ROOM, age)
                return partial(plane.publish, hall)

            run = await grow(load, open_room, plane.pids, steps, talking=talking)
            run.kept, _ = await plane.end()
    return run


async def video_room_run(load: Load, program: str, steps: Mapping[int, float]) -> Run:
    with tempfile.TemporaryDirectory(prefix="encore-bench-janus-") as folder:
        async with running(program, Path(folder), load.cores) as janus:
            open_room = partial(_open_video_room, janus, Path(folder))
            run = await grow(load, open_room, [janus.pid], steps, host=own_address())
        run.kept = await asyncio.to_thread(count_packets, Path(folder))
    return run


async def _open_video_room(janus: Janus, folder: Path, _age: float) -> Join:
    room = await janus.create_room(VIDEO_ROOM, publishers=ROOM, audiocodec="opus")

    async def join(client: WebRtcClient, seat: int) -> None:
        body = {
            "request": "joinandconfigure",
            "ptype": "publisher",
            "room": room,
            "record": True,
            "filename": str(folder / f"{room}-{seat}"),
        }
        await janus.join(client, VIDEO_ROOM, body)

    return join


async def audio_bridge_run(load: Load, program: str, steps: Mapping[int, float]) -> Run:
    with tempfile.TemporaryDirectory(prefix="encore-bench-janus-") as folder:
        async with running(program, Path(folder), load.cores) as janus:
            run = await grow(
                load,
                partial(_open_bridge, janus, folder),
                [janus.pid],
                steps,
                talking=TALKING,
                host=own_address(),
                direction="sendrecv",
            )
    return run


def count_packets(folder: Path) -> int:
    return sum(count_frames(file.read_bytes()) for file in folder.glob("*.mjr"))


async def _open_bridge(janus: Janus, folder: str, _age: float) -> Join:
    room = await janus.create_room(
        AUDIO_BRIDGE,
        sampling_rate=48_000,
        audiolevel_ext=True,
        record=True,
        record_dir=folder,
        record_file=f"{secrets.token_hex(4)}.wav",
    )

    async def join(client: WebRtcClient, _seat: int) -> None:
        await janus.join(client, AUDIO_BRIDGE, {"request": "join", "room": room, "muted": False})

    return join


Case = Callable[[], Awaitable[Run]]


def cases(
    load: Load, url: str, program: str | None, *, tracks: Steps, rooms: Steps
) -> dict[str, Case]:
    """In the order in which they take turns."""
    found: dict[str, Case] = {
        OURS_TRACKS: partial(encore_run, load, url, tracks, mixing=False, talking=ROOM),
    }
    if program is not None:
        found[VIDEO] = partial(video_room_run, load, program, tracks)
    found[OURS_ROOM] = partial(encore_run, load, url, rooms, mixing=True, talking=TALKING)
    if program is not None:
        found[BRIDGE] = partial(audio_bridge_run, load, program, rooms)
    return found


async def bench(*, rounds: int) -> None:
    measured, others = cores()
    pin(0, others)
    program = _program()
    async with postgres() as (url, pid):
        load = Load(measured, Identity(), voices(), noise(NOISE_SECONDS), pid)
        chosen = cases(load, url, program, tracks=TRACKS, rooms=ROOMS)
        runs = await interleaved(chosen, rounds, begin_within=LAST_ROUND_BEGINS)
    print(tracks_table(runs), rooms_table(runs), sep="\n\n")
    print(f"\n{notes(runs)}\n")
    print(bench_lines(numbers(runs)))


def _program() -> str | None:
    try:
        return find_janus()
    except Skipped as skipped:
        print(f"Janus is skipped: {skipped}\n")
        return None


Runs = Mapping[str, Sequence[Run]]


def percent(runs: Sequence[Run], tracks: int) -> float:
    """The median run's CPU for a track, in percent of a core."""
    return 100 * middle(runs, lambda run: run.uses[tracks].cpu)


def database_percent(runs: Sequence[Run], tracks: int) -> float:
    return 100 * middle(runs, lambda run: run.uses[tracks].postgres)


def tracks_table(runs: Runs) -> str:
    """Percent of a core for a track at each number of tracks; PostgreSQL at the highest."""
    rows: list[list[Cell]] = []
    for name in (OURS_TRACKS, VIDEO):
        if found := runs.get(name):
            most = max(TRACKS)
            database = database_percent(found, most)
            cpu = [percent(found, tracks) for tracks in TRACKS]
            lost = sum(run.lost for run in found)
            rows.append([name, *cpu, database if name == OURS_TRACKS else None, lost])
    columns = [f"at {tracks} tracks" for tracks in TRACKS]
    return table(["CPU % of a core a track", *columns, "PostgreSQL", "packets lost"], rows)


def rooms_table(runs: Runs) -> str:
    """Percent of a core for a room of ten."""
    rows: list[list[Cell]] = []
    for name in (OURS_ROOM, BRIDGE):
        if found := runs.get(name):
            tracks = max(ROOMS)
            database = ROOM * database_percent(found, tracks)
            lost = sum(run.lost for run in found) if name == OURS_ROOM else None
            row: list[Cell] = [name, ROOM * percent(found, tracks)]
            rows.append([*row, database if name == OURS_ROOM else None, lost])
    return table(["CPU % of a core a room of 10, 4 talking", "CPU", "PostgreSQL", "lost"], rows)


def notes(runs: Runs) -> str:
    """What a reader must know of these very runs."""
    profiles = sorted({run.profile for found in runs.values() for run in found})
    hiccups = sum(run.hiccups for found in runs.values() for run in found)
    return (
        f"SRTP: {', '.join(profiles)}. Rounds: {max(map(len, runs.values()))}; medians. "
        f"The load fell behind {hiccups} times (0 on a machine that is quiet)."
    )


def numbers(runs: Runs) -> dict[str, float]:
    """What runs are judged by."""
    most, rooms = max(TRACKS), max(ROOMS)
    found: dict[str, float] = {}
    if VIDEO in runs:
        found["ingest_track_vs_janus_videoroom"] = percent(runs[OURS_TRACKS], most) / percent(
            runs[VIDEO], most
        )
    if BRIDGE in runs:
        found["room_vs_janus_audiobridge"] = percent(runs[OURS_ROOM], rooms) / percent(
            runs[BRIDGE], rooms
        )
    found["ingest_lost_packets"] = sum(run.lost for run in runs[OURS_TRACKS])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs of each way, in turn")
    asyncio.run(bench(rounds=parser.parse_args().rounds))


if __name__ == "__main__":
    main()
