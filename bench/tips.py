"""`make bench-tips`: tips a second beside pgbench's TPC-B, on one PostgreSQL and as durable.

Both have 16 clients in two processes, all waiting for each answer. A tip is the real one. Runs take
turns, each begins behind a checkpoint; what counts is the median of their ratios.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from bench.report import Cell, bench_lines, table
from bench.rounds import interleaved
from bench.tips_load import Hall, open_hall, tips_per_second
from core.db import Database, dsn
from core.migrate import upgrade
from core.postgres import EmbeddedPostgres, binaries
from payouts import invariants

ROUNDS: Final = int(os.environ.get("ROUNDS", "3"))
SECONDS: Final = float(os.environ.get("SECONDS_EACH", "8"))
SCALE: Final = 50
CLIENTS: Final = 16
PROCESSES: Final = 2
PEER: Final = "pgbench"
PEER_DATABASE: Final = "tpcb"

_TPS: Final = re.compile(r"tps = ([\d.]+)")


class Peer:
    """pgbench on the server of `url`, in a database of its own."""

    def __init__(self, url: str) -> None:
        self._url = urlunsplit(urlsplit(dsn(url))._replace(path=f"/{PEER_DATABASE}"))

    def fill(self) -> None:
        self._run("-i", "-q", "-s", str(SCALE))

    async def tps(self) -> float:
        options = ("-c", str(CLIENTS), "-j", str(PROCESSES), "-M", "prepared")
        said = await asyncio.to_thread(self._run, *options, "-n", "-T", f"{SECONDS:.0f}")
        found = _TPS.search(said)
        assert found is not None, said  # noqa: S101
        return float(found[1])

    def _run(self, *arguments: str) -> str:
        return subprocess.run(
            [binaries() / "pgbench", *arguments, self._url],
            capture_output=True,
            text=True,
            check=True,
        ).stdout


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="encore-bench-tips-"))
    folder.chmod(0o755)  # the server runs under an account of its own
    server = EmbeddedPostgres(folder / "postgres")
    try:
        print(asyncio.run(run(server.start())))
    finally:
        server.stop()
        shutil.rmtree(folder)


async def run(url: str) -> str:
    server = await asyncpg.connect(dsn(url))
    await server.execute(f"create database {PEER_DATABASE}")
    settings = [
        f"{name} {await server.fetchval(f'show {name}')}"
        for name in ("server_version", "fsync", "synchronous_commit", "shared_buffers")
    ]
    peer = Peer(url)
    peer.fill()
    await upgrade(url)
    hall = await open_hall(url)
    cases: dict[str, Callable[[], Awaitable[float]]] = {
        PEER: peer.tps,
        "spread": lambda: tips_per_second(url, hall, seconds=SECONDS),
        "hot": lambda: tips_per_second(url, hall, seconds=SECONDS, hot=True),
    }

    def behind_a_checkpoint(name: str) -> Callable[[], Awaitable[float]]:
        async def case() -> float:
            await server.execute("checkpoint")
            return await cases[name]()

        return case

    runs = await interleaved({name: behind_a_checkpoint(name) for name in cases}, ROUNDS)
    await server.close()
    await hold(url, hall)
    return f"PostgreSQL: {', '.join(settings)}\n\n{report(runs)}"


async def hold(url: str, hall: Hall) -> None:
    """Exits where an invariant of the books does not hold."""
    database = Database(url)
    async with database.transaction() as session:
        found = await invariants.check(session, hall.platform_id)
    await database.close()
    if broken := [each for each in found if not each.holds]:
        sys.exit(f"the books do not hold: {broken}")


def report(runs: Mapping[str, list[float]]) -> str:
    rows: list[list[Cell]] = []
    numbers: dict[str, float] = {}
    for name, rates in runs.items():
        ratios = [rate / peer for rate, peer in zip(rates, runs[PEER], strict=True)]
        rows.append([name, *(f"{rate:.0f}" for rate in rates), median(ratios)])
        numbers[name] = median(ratios)
    columns = ["a second", *(f"round {n + 1}" for n in range(ROUNDS)), f"of {PEER}"]
    lines = {
        "tips_vs_pgbench": numbers["spread"],
        "tips_hot_vs_pgbench": numbers["hot"],
    }
    return f"{table(columns, rows)}\n\n{bench_lines(lines)}"


if __name__ == "__main__":
    main()
