"""Prometheus metrics: each process has its own registry and serves it on its own port.

Domains define their metrics at module level with `prometheus_client`, prefixed `encore_`; no label
may hold ids of rooms or people.
"""

import hmac
import logging
import re
import time
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.addresses import is_loopback
from core.errors import NotFound
from core.ids import uuid7
from core.logging import request_id
from core.settings import Settings, get_settings

log = logging.getLogger("encore.access")

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED: Final = "unmatched"
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)

REQUESTS = Counter(
    "encore_http_requests",
    "Answered HTTP requests by route template.",
    ("process", "method", "route", "status"),
)
ANSWER_SECONDS = Histogram(
    "encore_http_answer_seconds",
    "Time to the first byte of the answer (a stream may go on for hours).",
    ("process", "route"),
    buckets=SECONDS,
)
IN_FLIGHT = Gauge(
    "encore_http_requests_in_flight", "Requests and streams that are open.", ("process",)
)

router = APIRouter(include_in_schema=False)


class Instrument:
    """ASGI middleware: request ids, counts by route template, one access line per request."""

    def __init__(self, app: ASGIApp, *, process: str) -> None:
        self.app = app
        self.process = process

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        identifier = _identifier(scope)
        status = 500
        answered = began

        async def send_with_id(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = time.perf_counter()
                headers = [*message.get("headers", []), (b"x-request-id", identifier.encode())]
                message = {**message, "headers": headers}
            await send(message)

        token = request_id.set(identifier)
        try:
            with IN_FLIGHT.labels(self.process).track_inprogress():
                await self.app(scope, receive, send_with_id)
        finally:
            if answered == began:  # nothing was sent: it was cancelled, or failed
                answered = time.perf_counter()
            self._count(scope, status, answered - began)
            request_id.reset(token)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        REQUESTS.labels(self.process, method, route, status).inc()
        ANSWER_SECONDS.labels(self.process, route).observe(seconds)
        log.info("%s %s %d %.0f ms", method, route, status, seconds * 1000)


def route_of(scope: Scope) -> str:
    """The template (`/v1/rooms/{room_id}`) that answered, never the path with its ids."""
    route = scope.get("route")
    # A router inside a router keeps its own paths; FastAPI puts the whole one here.
    included = scope.get("fastapi", {}).get("effective_route_context")
    if included is not None and included.original_route is route:
        route = included
    return str(getattr(route, "path", None) or UNMATCHED)


def _identifier(scope: Scope) -> str:
    """The caller's X-Request-ID when it is harmless, else one of ours."""
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return given if _REQUEST_ID.fullmatch(given) else uuid7().hex


def instrument(app: FastAPI, *, process: str) -> None:
    """Adds the middleware and `/metrics` to an application."""
    app.add_middleware(Instrument, process=process)
    app.include_router(router)


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """With `ENCORE_METRICS_TOKEN` for its bearer, else for direct callers on this machine only."""
    if not _may_read(request, _settings(request)):
        raise NotFound
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _settings(request: Request) -> Settings:
    services = getattr(request.app.state, "services", None)
    return services.settings if services is not None else get_settings()


def _may_read(request: Request, settings: Settings) -> bool:
    if settings.metrics_token is not None:
        wanted = f"Bearer {settings.metrics_token.get_secret_value()}".encode()
        given = request.headers.get("authorization", "").encode()
        return hmac.compare_digest(wanted, given)
    proxied = "x-forwarded-for" in request.headers or "forwarded" in request.headers
    return not proxied and is_loopback(request.client.host if request.client else "")
