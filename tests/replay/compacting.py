"""A worker that compacts and sweeps one recording of a folder store; a test kills it anywhere."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

from core.db import Database
from core.storage.folder import FolderStore
from replay.compaction import compact, sweep


class CountingStore(FolderStore):
    """Says each operation on standard output before it does it, so that a kill finds its place."""

    def _say(self, what: str) -> None:
        sys.stdout.write(f"{what}\n")
        sys.stdout.flush()

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        self._say("put")
        await super().put(key, data, content_type=content_type)

    async def put_file(self, key: str, path: Path, *, content_type: str) -> None:
        self._say("put_file")
        await super().put_file(key, path, content_type=content_type)

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        self._say("get")
        return await super().get(key, start=start, end=end)

    async def stream(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        self._say("stream")
        async for chunk in super().stream(key, start=start, end=end):
            yield chunk

    async def delete(self, key: str) -> None:
        self._say("delete")
        await super().delete(key)


async def main(url: str, folder: str, scratch: str, recording_id: str) -> None:
    database, store = Database(url), CountingStore(Path(folder))
    await compact(database, store, UUID(recording_id), scratch=Path(scratch))
    await sweep(database, store, UUID(recording_id))
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
