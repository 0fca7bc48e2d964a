from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from core.auth.principal import Scope
from core.db import Database
from core.http import Services, install_problem_handlers
from core.listen import Listener
from core.settings import Settings
from core.storage import open_store
from core.webhooks import api
from tests import factories

SECRET = b"a secret of this test installation, long enough"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path, allow_private_webhooks=True)


@pytest.fixture
async def client(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The webhook endpoints' API; callers pass their own Authorization header."""
    app = FastAPI()
    app.state.services = Services(
        settings=settings,
        database=database,
        secret=SECRET,
        store=open_store(settings),
        listener=Listener(database.url, ()),
    )
    install_problem_handlers(app)
    app.include_router(api.router)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
async def key(database: Database) -> dict[str, str]:
    """The Authorization header of a new platform's server."""
    async with database.transaction() as session:
        _, secret = await factories.make_api_key(session, scopes=(Scope.WEBHOOKS_WRITE,))
    return {"Authorization": f"Bearer {secret}"}
