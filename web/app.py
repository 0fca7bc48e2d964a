"""Assembles the web process: API, event streams, pages, documentation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

import core
import core.auth.api
import core.health
import core.metrics
import core.webhooks.api
import ingest.api
import payouts.api
import payouts.earnings_api
import payouts.tips_api
import payouts.wallet_api
import replay.api
import replay.captions_api
import rooms.api
import rooms.sse
import transcripts.api
import transcripts.editing_api
import transcripts.search_api
import web.api_docs
import web.pages
from core.auth.platforms import ensure_default_platform
from core.db import Database
from core.http import Services, install_problem_handlers
from core.keys import load_secret
from core.listen import Listener
from core.settings import Settings
from core.storage import open_store
from payouts.books import open_books
from payouts.cashier import Cashier, open_cashier
from payouts.packs import check_packs
from payouts.tip_jar import open_tip_jar
from web.headers import SafeHeaders
from web.limits import BodyLimit

STATIC = Path(__file__).parent / "static"
CHANNELS = ("encore_room", "encore_live")
IDLE_LIMIT = timedelta(minutes=1)
"""Of a transaction: the locks of a process that was stopped in the midst of a tip end with it."""

DESCRIPTION = """
Live audio rooms that don't vanish: recorded on the server while people talk, replayed the
second they end.

Authenticate with `Authorization: Bearer ...`: a session token (`es_`), a platform's API key
(`ek_`) or a room token. Errors are problem details (RFC 9457) with a stable `code`.
"""


def create_app(settings: Settings) -> FastAPI:
    """The application; its services live from start-up to shutdown of the process."""
    app = web.api_docs.Api(
        title="Encore",
        version=core.VERSION,
        description=DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
    )
    check_packs(settings)
    services = app.state.services = _services(settings)
    app.state.cashier = open_cashier(settings, services.database)
    app.state.tip_jar = open_tip_jar(settings, services.database)
    install_problem_handlers(app)
    web.pages.install_error_pages(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(SafeHeaders)
    core.metrics.instrument(app, process="web")
    for router in (
        core.health.router,
        core.auth.api.router,
        core.webhooks.api.router,
        rooms.api.router,
        rooms.sse.router,
        ingest.api.router,
        replay.api.router,
        replay.captions_api.router,
        payouts.api.router,
        payouts.wallet_api.router,
        payouts.earnings_api.router,
        payouts.tips_api.router,
        transcripts.editing_api.router,
        transcripts.api.router,
        transcripts.search_api.router,
        web.api_docs.router,
        web.pages.router,
    ):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _services(settings: Settings) -> Services:
    if settings.database_url is None:
        raise ValueError("settings.database_url must be set")
    url = settings.database_url.get_secret_value()
    return Services(
        settings=settings,
        database=Database(url, idle_limit=IDLE_LIMIT),
        secret=load_secret(settings),
        store=open_store(settings),
        listener=Listener(url, CHANNELS),
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    cashier: Cashier | None = app.state.cashier
    async with services.database.transaction() as session:
        await ensure_default_platform(session)
        await open_books(session, services.settings)
    services.listener.start()
    yield
    await services.listener.stop()
    if cashier is not None:
        await cashier.gateway.close()
    await services.database.close()
