"""A worker process whose one job never ends: started by a test, which kills it."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from core.settings import Settings
from workers.kinds import JobKind, Tools
from workers.run import Patience, open_tools, work


async def endless(_tools: Tools, _payload: dict[str, Any]) -> None:
    sys.stdout.write("taken\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


async def main(url: str, data_dir: str) -> None:
    settings = Settings(_env_file=None, database_url=SecretStr(url), data_dir=Path(data_dir))
    async with open_tools(settings) as tools:
        kinds = [JobKind("test.endless", endless, at_once=1)]
        patience = Patience(heartbeat=timedelta(seconds=1))
        await work(tools, asyncio.Event(), kinds=kinds, chores=(), patience=patience)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
