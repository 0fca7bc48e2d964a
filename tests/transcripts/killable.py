"""A transcribing process with real Whisper over a database and a folder: started by a test, which
kills it."""

import asyncio
import sys
from pathlib import Path

from pydantic import SecretStr

from core.settings import Settings
from workers.transcribe import run


async def main(url: str, data_dir: str) -> None:
    settings = Settings(
        _env_file=None,
        database_url=SecretStr(url),
        data_dir=Path(data_dir),
        transcribe_device="cpu",
        job_takeover_seconds=1,
    )
    await run(settings, asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
