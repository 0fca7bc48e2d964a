"""`make bench-tips`: tips a second beside pgbench's TPC-B, on one PostgreSQL and as durable.

Both have 16 clients in two processes that wait for each answer. A tip is the real one: lots, split
by the stage, entries, goal, event. Runs take turns, each begins behind a checkpoint of the server.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx

from bench.ending import stop
from bench.report import Cell, bench_lines, table
from bench.rounds import interleaved
from bench.tips_hall import Hall, open_hall
from bench.tips_load import CLIENTS, PROCESSES, Load, tip_all
from core.db import Database, dsn
from core.migrate import upgrade
from core.postgres import EmbeddedPostgres, binaries, free_port
from payouts import invariants

ROUNDS: Final = int(os.environ.get("ROUNDS", "3"))
SECONDS: Final = float(os.environ.get("SECONDS_EACH", "8"))
SCALE: Final = 50
PEER: Final = "pgbench"
PEER_DATABASE: Final = "tpcb"
UP_SECONDS: Final = 60

_TPS: Final = re.compile(r"tps = ([\d.]+)")
_SETTINGS: Final = ("server_version", "fsync", "synchronous_commit", "shared_buffers")


class Peer:
    """pgbench on the server of `url`, in a database of its own."""

    def __init__(self, url: str) -> None:
        self._url = urlunsplit(urlsplit(dsn(url))._replace(path=f"/{PEER_DATABASE}"))

    def fill(self) -> None:
        self._run("-i", "-q", "-s", str(SCALE))

    async def tps(self) -> float:
        clients = ("-c", str(PROCESSES * CLIENTS), "-j", str(PROCESSES))
        options = ("-M", "prepared", "-n", "-T", f"{SECONDS:.0f}")
        said = await asyncio.to_thread(self._run, *clients, *options)
        found = _TPS.search(said)
        return float(found[1]) if found else 0.0

    def _run(self, *arguments: str) -> str:
        return subprocess.run(
            [binaries() / "pgbench", *arguments, self._url],
            capture_output=True,
            text=True,
            check=True,
        ).stdout


class Books:
    """Ours: how many tips were answered a second, and whether the books hold all of them."""

    def __init__(self, url: str, hall: Hall, folder: Path) -> None:
        self._url, self._hall, self._folder = url, hall, folder
        self._answered = 0

    async def spread(self) -> float:
        return await self._tip(Load(self._url, self._hall, SECONDS))

    async def hot(self) -> float:
        return await self._tip(Load(self._url, self._hall, SECONDS, hot=True))

    async def http(self) -> float:
        async with web_process(self._url, self._folder) as web:
            return await self._tip(Load(self._url, self._hall, SECONDS, web=web))

    async def _tip(self, load: Load) -> float:
        done = await tip_all(load)
        self._answered += sum(each.tips + each.before for each in done)
        return sum(each.tips / each.seconds for each in done)

    async def hold(self) -> str:
        """Exits where an invariant does not hold, or a tip that was answered is missing."""
        database = Database(self._url)
        async with database.transaction() as session:
            found = await invariants.check(session, self._hall.platform_id)
        async with database.raw_transaction() as raw:
            tips = await raw.fetchval("select count(*) from room_tip")
            told = await raw.fetchval("select count(*) from room_event where kind = 'tip.sent'")
        await database.close()
        broken = [each for each in found if not each.holds]
        if broken or not tips == told == self._answered:
            sys.exit(f"{self._answered} tips answered, {tips} booked, {told} told; {broken}")
        return f"{tips:,} tips answered, booked and told; the {len(found)} invariants hold."


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="encore-bench-tips-"))
    folder.chmod(0o755)  # the server runs under an account of its own
    server = EmbeddedPostgres(folder / "postgres")
    try:
        print(asyncio.run(run(server.start(), folder)))
    finally:
        server.stop()
        shutil.rmtree(folder)


async def run(url: str, folder: Path) -> str:
    server = await asyncpg.connect(dsn(url))
    await server.execute(f"create database {PEER_DATABASE}")
    settings = [f"{name} {await server.fetchval(f'show {name}')}" for name in _SETTINGS]
    peer = Peer(url)
    peer.fill()
    await upgrade(url)
    database = Database(url)
    hall = await open_hall(database)
    await database.close()
    books = Books(url, hall, folder / "data")
    cases = {PEER: peer.tps, "spread": books.spread, "hot": books.hot, "http": books.http}
    turns = {name: _behind_a_checkpoint(server, case) for name, case in cases.items()}
    runs = await interleaved(turns, ROUNDS)
    held = await books.hold()
    await server.close()
    return f"{', '.join(settings)}. {held}\n\n{report(runs)}"


def _behind_a_checkpoint(
    server: asyncpg.Connection, case: Callable[[], Awaitable[float]]
) -> Callable[[], Awaitable[float]]:
    """So that none pays for the pages that another one wrote."""

    async def turn() -> float:
        await server.execute("checkpoint")
        return await case()

    return turn


@asynccontextmanager
async def web_process(url: str, folder: Path) -> AsyncIterator[str]:
    """The base URL of one, whose limits of how much one person tips are out of the way."""
    port = free_port()
    environment = {
        **os.environ,
        "ENCORE_DATABASE_URL": url,
        "ENCORE_DATA_DIR": str(folder),
        "ENCORE_SECRET_KEY": "bench" * 8,
        "ENCORE_WEB_PORT": str(port),
        "ENCORE_LOG_LEVEL": "WARNING",
        "ENCORE_TIPS_PER_MINUTE": "1000000",
        "ENCORE_TIPS_PER_HOUR_STARS": "1000000000",
        "ENCORE_TIPS_PER_DAY_STARS": "1000000000",
    }
    command = (sys.executable, "-m", "web.cli", "process", "web")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, env=environment
    )
    base = f"http://127.0.0.1:{port}"
    try:
        await _answering(base)
        yield base
    finally:
        await stop(process)


async def _answering(base: str) -> None:
    async with httpx.AsyncClient() as http, asyncio.timeout(UP_SECONDS):
        while True:
            try:
                (await http.get(f"{base}/healthz")).raise_for_status()
            except httpx.HTTPError:
                await asyncio.sleep(0.1)
            else:
                return


def report(runs: Mapping[str, list[float]]) -> str:
    rows: list[list[Cell]] = []
    ratios: dict[str, float] = {}
    for name, rates in runs.items():
        ratios[name] = median(rate / peer for rate, peer in zip(rates, runs[PEER], strict=True))
        rows.append([name, *(f"{rate:.0f}" for rate in rates), ratios[name]])
    columns = ["a second", *(f"round {number + 1}" for number in range(ROUNDS)), f"of {PEER}"]
    lines = {
        "tips_vs_pgbench": ratios["spread"],
        "tips_hot_vs_pgbench": ratios["hot"],
        "tips_http_vs_pgbench": ratios["http"],
    }
    return f"{table(columns, rows)}\n\n{bench_lines(lines)}"


if __name__ == "__main__":
    main()
