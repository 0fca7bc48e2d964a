"""5,000 listeners of a room that is two hours old, while 100 tracks record: `make bench-live`.

Each listener is an HLS player on a connection of its own (the live playlist, or one in five from
0:00 by delta updates; gzip) and a stream of the room's events. nginx serves the same files to
the same players; the event streams and the recording go on meanwhile.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvloop

from bench.encore import postgres
from bench.live_crew import Crew
from bench.live_house import AGE_SECONDS, House, record
from bench.live_nginx import nginx, nginx_is_here
from bench.live_report import Packets, numbers, opening_report, report, run_report
from bench.live_run import Opening, Run, Scene
from bench.rounds import ROUNDS
from bench.speakers import Crowd
from web.processes import raise_open_files

LISTENERS: Final = 5000
COUNTED_SECONDS: Final = 20.0
LONGEST_SECONDS: Final = 460
"""The whole bench ends by then, with what it has."""

LAST_ROUND_BEGINS: Final = 300
"""A round takes a minute, and the rooms have to be stored after it."""

SETTLE_SECONDS: Final = 2
BEGAN: Final = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - BEGAN:5.1f} s] {text}", file=sys.stderr, flush=True)


class Findings:
    """What has been measured so far, for whoever is stopped on the way."""

    def __init__(self, listeners: int) -> None:
        self.listeners = listeners
        self.opening: Opening | None = None
        self.runs: dict[str, list[Run]] = {}
        self.packets: Packets | None = None

    def print(self) -> None:
        if self.runs.get("edge"):
            print(report(self.runs, self.listeners))
        if self.opening is not None:
            print(f"\n{opening_report(self.listeners, self.opening)}")
        if (found := self.packets) is not None:
            print(f"\nPackets: {found.sent} sent, {found.received} received, {found.lost} lost.\n")
        if self.runs.get("edge"):
            print(numbers(self.runs, self.packets))


@asynccontextmanager
async def opened(options: argparse.Namespace) -> AsyncIterator[tuple[Scene, Crowd]]:
    async with AsyncExitStack() as stack:
        url, postgres_pid = await stack.enter_async_context(postgres())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="encore-bench-")))
        house = await stack.enter_async_context(House(url, folder))
        crew = await stack.enter_async_context(Crew())
        await house.up()
        say("PostgreSQL and our processes are up")
        crowd = Crowd()
        stack.push_async_callback(crowd.end)
        hall = await record(house, crowd, options.age, say)
        trees = {name: [pid] for name, pid in house.pids_by_name.items()}
        trees |= {"postgres": [postgres_pid], "listeners": crew.pids}
        scene = Scene(house, crew, hall, options.listeners, options.seconds, trees)
        if options.nginx and nginx_is_here():
            folder_url = f"http://127.0.0.1:{house.edge_port}{house.edge_folder(hall)}"
            spool = folder / "spool" / str(hall.recording_id)
            pid, scene.nginx_port = await stack.enter_async_context(nginx(folder_url, spool))
            trees["nginx"] = [pid]
            say("nginx serves the same")
        yield scene, crowd


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Goes on while the body runs; says so if it ended before."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        if not isinstance(ended, asyncio.CancelledError):
            say(f"the room's events ended early: {ended!r}")


async def measure(options: argparse.Namespace, found: Findings) -> None:
    async with opened(options) as (scene, crowd):
        found.opening = await scene.open_streams()
        say(opening_report(options.listeners, found.opening))
        servers = ["edge", *(["nginx"] if "nginx" in scene.trees else [])]
        async with beside(scene.house.tell(scene.hall)):
            for number in range(options.rounds):
                if number and time.monotonic() - BEGAN > LAST_ROUND_BEGINS:
                    say(f"the machine is slow: only {number} of {options.rounds} rounds")
                    break
                for server in servers:
                    run = await scene.play(server)
                    found.runs.setdefault(server, []).append(run)
                    say(run_report(server, run))
        await crowd.silence()
        say(f"silence; the speakers' own process fell behind {crowd.hiccups} times")
        await asyncio.sleep(SETTLE_SECONDS)
        found.packets = Packets(crowd.sent, *await scene.house.end())
        say("the rooms are stored")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--listeners", type=int, default=LISTENERS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=COUNTED_SECONDS, help="of one round")
    parser.add_argument("--age", type=float, default=AGE_SECONDS, help="seconds of the room")
    parser.add_argument("--no-nginx", dest="nginx", action="store_false")
    return parser.parse_args()


async def main() -> int:
    """0 if all of it was measured."""
    options = _options()
    raise_open_files()
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM,
        asyncio.current_task().cancel,  # type: ignore[union-attr]
    )
    found = Findings(options.listeners)
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            await measure(options, found)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - tell what there is
        say(f"FAILED: {type(error).__name__}: {error}")
        found.print()
        return 1
    say("everything is stopped")
    found.print()
    return 0


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
