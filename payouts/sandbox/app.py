"""The sandbox as one ASGI application: the API, the hosted pages, the control API."""

import asyncio
import contextlib
import importlib
import logging
import pkgutil
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from core.addresses import is_loopback
from payouts.sandbox import resources
from payouts.sandbox.control import routes as control_routes
from payouts.sandbox.hazards import Hazards
from payouts.sandbox.pages import checkout, onboarding
from payouts.sandbox.pages.rendering import HERE as PAGES
from payouts.sandbox.timers import next_timer, run_due
from payouts.sandbox.webhooks import TIMEOUT_SECONDS, deliver, next_due
from payouts.sandbox.wire import Wire
from payouts.sandbox.world import World

log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 1.0
METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH"]

for _module in pkgutil.iter_modules(resources.__path__):
    importlib.import_module(f"{resources.__name__}.{_module.name}")


def create_app(world: World, hazards: Hazards | None = None) -> Starlette:
    """The world's store must be open while the application runs."""
    wire = Wire(world, hazards or Hazards())

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            working = asyncio.create_task(_work(world, client))
            yield
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working

    app = Starlette(
        routes=[
            Route("/c/pay/{session}", checkout.show, methods=["GET"]),
            Route("/c/pay/{session}", checkout.pay, methods=["POST"]),
            Route("/3ds/{intent}", checkout.show_3ds, methods=["GET"]),
            Route("/3ds/{intent}", checkout.answer_3ds, methods=["POST"]),
            Route("/setup/{link}", onboarding.show, methods=["GET"]),
            Route("/setup/{link}", onboarding.submit, methods=["POST"]),
            Route("/express/{account}", onboarding.dashboard, methods=["GET"]),
            Route("/_pages/sandbox.css", _style, methods=["GET"]),
            Mount("/_control", routes=control_routes()),
            Route("/v1/{path:path}", wire.answer, methods=METHODS),
        ],
        middleware=[Middleware(OwnHostOnly)],
        lifespan=lifespan,
    )
    app.state.world = world
    return app


class OwnHostOnly:
    """Refuses requests whose Host header names another machine, against DNS rebinding: a website
    whose own name suddenly points to this machine must not reach the sandbox."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_own(Headers(scope=scope).get("host", "")):
            refusal = PlainTextResponse("The sandbox answers on this machine alone.", 421)
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_own(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    return name == "localhost" or is_loopback(name)


async def _style(_: Request) -> Response:
    return FileResponse(PAGES / "sandbox.css", media_type="text/css")


async def _work(world: World, client: httpx.AsyncClient) -> None:
    """Runs timers and sends webhooks as they become due, until it is canceled."""
    while True:
        world.pulse.clear()
        try:
            run_due(world)
            await deliver(world, client)
        except Exception:
            log.exception("a timer or a delivery failed")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_seconds_until_due(world)):
                await world.pulse.wait()


def _seconds_until_due(world: World) -> float:
    waits = [LONGEST_WAIT_SECONDS]
    if (due := next_due(world)) is not None:
        waits.append(due - time.time())
    if (timer := next_timer(world)) is not None:
        waits.append(float(timer - world.now()))
    return max(0.0, min(waits))
