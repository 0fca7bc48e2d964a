"""Ending what a bench started: the process itself, by its handle."""

import asyncio
from contextlib import suppress
from typing import Final

STOP_SECONDS: Final = 10.0


async def stop(process: asyncio.subprocess.Process) -> None:
    """Asks it to end, then insists."""
    with suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
