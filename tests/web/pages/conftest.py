"""The pages over the test's own transaction; who looks at them is chosen per test."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

import core.http
from core.auth.dependencies import visitor
from core.auth.principal import Principal
from core.http import install_problem_handlers
from core.settings import OidcProvider, Settings
from rooms.lifecycle import RoomDraft, create_room, end_room, go_live
from rooms.models import Room
from tests.rooms.conftest import House, make_house
from web.pages import install_error_pages, router

Look = Callable[..., "Browser"]


class Browser:
    """Somebody who opens pages; answers are HTML."""

    def __init__(self, app: FastAPI, me: Principal) -> None:
        self._app = app
        self._me = me

    async def get(self, path: str) -> httpx.Response:
        self._app.dependency_overrides[visitor] = lambda: self._me
        transport = httpx.ASGITransport(app=self._app)
        headers = {"accept": "text/html"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://encore.test", headers=headers
        ) as client:
            return await client.get(path)

    async def text(self, path: str) -> str:
        response = await self.get(path)
        assert response.status_code == 200, response.text
        return response.text


async def made(house: House, title: str = "A room", **fields: Any) -> Room:
    """A scheduled room of the house's host."""
    draft = RoomDraft(title=title, **fields)
    return await create_room(house.session, principal=house.hosting, draft=draft)


async def live(house: House, title: str = "A room", **fields: Any) -> Room:
    room = await made(house, title, **fields)
    return await go_live(house.session, principal=house.hosting, room_id=room.id)


async def ended(house: House, title: str = "A room", **fields: Any) -> Room:
    room = await live(house, title, **fields)
    return await end_room(house.session, principal=house.hosting, room_id=room.id)


def page_data(html: str) -> dict[str, Any]:
    """What the room's page hands to its script."""
    begin = '<script type="application/json" id="room-data">'
    data: dict[str, Any] = json.loads(html.split(begin)[1].split("</script>")[0])
    return data


@pytest.fixture
async def house(session: AsyncSession) -> House:
    return await make_house(session)


@pytest.fixture
def app(session: AsyncSession, tmp_path: Path) -> FastAPI:
    """The pages' router alone: of the services it needs the settings and the secret."""
    app = FastAPI()
    settings = Settings(
        data_dir=tmp_path,
        edge_url="https://edge.example/hls",
        ingest_url="https://ingest.example:8443",
        seller="Acme & Sons; 1 Sound Street",
        oidc=(
            OidcProvider(
                name="choir",
                title="Choir <3",
                issuer="https://id.example",
                client_id="encore",
                client_secret=SecretStr("secret"),
            ),
        ),
    )
    app.state.services = SimpleNamespace(settings=settings, secret=bytes(32), database=None)
    install_problem_handlers(app)
    install_error_pages(app)
    app.include_router(router)

    async def same_transaction() -> AsyncIterator[AsyncSession]:
        yield session

    app.dependency_overrides[core.http.session] = same_transaction
    return app


@pytest.fixture
def look(app: FastAPI) -> Look:
    return lambda me: Browser(app, me)
