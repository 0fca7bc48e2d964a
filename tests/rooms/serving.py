"""The rooms' API on a loopback port, because streams need a server that streams."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

import rooms.api
import rooms.sse
from core.authorities import authorities
from core.db import Database
from core.http import Services, install_problem_handlers
from core.listen import Listener
from core.server import serving
from core.settings import Environment, Settings
from core.storage import open_store
from rooms.events import DURABLE_CHANNEL, LIVE_CHANNEL

SECRET = b"a secret of this test installation, long enough"


def make_app(
    database: Database, folder: Path, environment: Environment = Environment.DEVELOPMENT
) -> FastAPI:
    settings = Settings(_env_file=None, data_dir=folder, environment=environment)
    app = FastAPI()
    app.state.services = Services(
        settings=settings,
        database=database,
        secret=SECRET,
        store=open_store(settings),
        listener=Listener(database.url, (DURABLE_CHANNEL, LIVE_CHANNEL)),
    )
    install_problem_handlers(app)
    app.include_router(rooms.api.router)
    app.include_router(rooms.sse.router)
    return app


@contextlib.asynccontextmanager
async def in_process(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """For everything but streams."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://encore.test/v1") as client:
        yield client


@contextlib.asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    listener: Listener = app.state.services.listener
    listener.start()
    await asyncio.wait_for(listener.connected.wait(), 10)
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
    try:
        async with (
            serving(app, bound),
            httpx.AsyncClient(base_url=url, timeout=20, verify=authorities()) as client,
        ):
            yield client
    finally:
        await listener.stop()


@dataclass(frozen=True)
class Sent:
    """One event of a stream."""

    type: str
    data: dict[str, Any]
    id: int | None = None


async def sent_events(lines: AsyncIterator[str]) -> AsyncIterator[Sent]:
    """Parses what our server sends of WHATWG HTML 9.2.6."""
    fields: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
            continue
        if "data" in fields:
            number = int(fields["id"]) if "id" in fields else None
            yield Sent(fields.get("event", "message"), json.loads(fields["data"]), number)
        fields = {}
