"""The packaging process with tracks only: what it costs beside a recorder that mixes nothing."""

import asyncio

from core.settings import Settings
from ingest import package
from web.processes import PROCESSES, run_process


async def run(settings: Settings, stop: asyncio.Event) -> None:
    await package.run(settings, stop, mixing=False)


if __name__ == "__main__":
    PROCESSES["package"] = "bench.package_tracks"
    raise SystemExit(run_process("package", Settings(), supervised=True, standby=False))
