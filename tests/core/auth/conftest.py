"""An HTTP application of the auth routers over the test database, reached without a network."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from core.auth.api import router
from core.auth.dependencies import CallerDep, VisitorDep
from core.auth.letters import Letters, letters_of
from core.auth.platforms import ensure_default_platform
from core.auth.principal import Principal
from core.db import Database
from core.http import Services, install_problem_handlers
from core.listen import Listener
from core.settings import Settings
from core.storage import open_store
from tests.core.auth.outbox import Outbox

SECRET = b"a secret of this test installation, long enough"
WEB_URL = "http://encore.test"


def random_address() -> str:
    """A client of its own for every test: rate limits are counted in the shared database."""
    return str(IPv4Address(secrets.randbits(24) | 10 << 24))


MakeClient = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path, web_url=WEB_URL)


@pytest.fixture
async def encore(database: Database) -> UUID:
    """The id of the default platform."""
    async with database.transaction() as session:
        return await ensure_default_platform(session)


def make_app(settings: Settings, database: Database, outbox: Outbox) -> FastAPI:
    app = FastAPI()
    app.include_router(router)
    app.dependency_overrides[letters_of] = lambda: Letters(settings, outbox)
    app.state.services = Services(
        settings=settings,
        database=database,
        secret=SECRET,
        store=open_store(settings),
        listener=Listener(database.url, ()),
    )
    install_problem_handlers(app)
    _add_probes(app)
    return app


def _add_probes(app: FastAPI) -> None:
    @app.api_route("/probe", methods=["GET", "POST", "DELETE"], include_in_schema=False)
    async def probe(principal: CallerDep) -> dict[str, Any]:
        return _shown(principal)

    @app.get("/page", include_in_schema=False)
    async def page(principal: VisitorDep) -> dict[str, Any]:
        return _shown(principal)


def _shown(principal: Principal) -> dict[str, Any]:
    return {
        "kind": principal.kind,
        "platform_id": principal.platform_id,
        "user_id": principal.user_id,
        "room_id": principal.room_id,
        "admin": principal.admin,
        "scopes": sorted(principal.scopes),
        "groups": sorted(principal.groups),
        "expires_at": principal.expires_at,
    }


@pytest.fixture
def make_client(settings: Settings, database: Database, encore: UUID, outbox: Outbox) -> MakeClient:
    """`async with make_client(**settings) as client`: an application with other settings."""

    @asynccontextmanager
    async def client(**overrides: Any) -> AsyncIterator[httpx.AsyncClient]:
        app = make_app(settings.model_copy(update=overrides), database, outbox)
        transport = httpx.ASGITransport(app, client=(random_address(), 40_000))
        base = overrides.get("web_url", WEB_URL)
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            yield client

    return client


@pytest.fixture
async def client(make_client: MakeClient) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client() as client:
        yield client


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def letters(settings: Settings, outbox: Outbox) -> Letters:
    return Letters(settings, outbox)
