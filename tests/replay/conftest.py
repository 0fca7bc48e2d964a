"""An edge on loopback over a data folder of its own, the database of the run and a folder store."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from core.authorities import authorities
from core.db import Database
from core.storage.folder import FolderStore
from ingest.folders import Folders
from replay.capability import capability_key, issue
from replay.edge import Edge, serve
from replay.library import Library
from tests.replay.spools import Spool, mix_media, track_media
from tests.replay.watched import Watched

KEY = capability_key(b"k" * 32)


@dataclass
class EdgeSite:
    """What a test needs of a running edge."""

    folders: Folders
    store: FolderStore
    library: Library
    client: httpx.AsyncClient
    base_url: str

    def spool(self) -> Spool:
        return Spool(self.folders).open()

    def path(self, recording_id: UUID, name: str) -> str:
        token = issue(KEY, recording_id, at=datetime.now(UTC)).token
        return f"/{token}/{recording_id}/{name}"

    def url(self, recording_id: UUID, name: str) -> str:
        return self.base_url + self.path(recording_id, name)

    async def get(
        self, recording_id: UUID, name: str, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        return await self.client.get(self.path(recording_id, name), headers=headers)

    def live_room(self, segments: int = 3) -> Spool:
        spool = self.spool().open_mix()
        spool.mix(segments)
        return spool

    async def until(
        self, recording_id: UUID, name: str, wanted: str, *, within_s: float = 5
    ) -> str:
        """Polls a playlist until its text holds `wanted`."""
        async with asyncio.timeout(within_s):
            while True:
                answer = await self.get(recording_id, name)
                if answer.status_code == 200 and wanted in answer.text:
                    return answer.text
                await asyncio.sleep(0.01)


def problem_code(answer: httpx.Response) -> str:
    """The code of a problem that any page may read and no cache may keep."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-store"
    body = json.loads(answer.text)
    assert body["status"] == answer.status_code
    assert body["detail"]
    return str(body["code"])


@contextlib.asynccontextmanager
async def running_edge(
    data_dir: Path, store: FolderStore, database: Database
) -> AsyncIterator[EdgeSite]:
    folders = Folders(data_dir)
    library = Library(folders, database, store)
    listening = socket.create_server(("127.0.0.1", 0))
    stop = asyncio.Event()
    tail = asyncio.create_task(library.tail())
    serving = asyncio.create_task(serve(Edge(library, key=KEY), listening, stop))
    base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        hooks: dict[str, list[Callable[..., Any]]] = {"response": [Watched()]}
        async with httpx.AsyncClient(
            base_url=base_url, timeout=10, event_hooks=hooks, verify=authorities()
        ) as client:
            yield EdgeSite(folders, store, library, client, base_url)
    finally:
        stop.set()
        await serving
        tail.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tail
        listening.close()


@pytest.fixture(scope="session")
def tones() -> None:
    """Encodes the tests' media before the first test that is measured."""
    mix_media()
    track_media()


@pytest.fixture
async def site(tones: None, tmp_path: Path, database: Database) -> AsyncIterator[EdgeSite]:
    store = FolderStore(tmp_path / "objects")
    async with running_edge(tmp_path / "data", store, database) as site:
        yield site
