"""Refusals as pages, in the look of the others."""

from collections.abc import Awaitable
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ExceptionHandler

import core.http
from core.auth.browser import COOKIE
from core.auth.principal import STRANGER, Principal
from core.errors import NotFound, Problem
from web.pages.render import page

OPEN_TO_OTHERS = (401, 404)
"""What a stranger is refused with and, signed in, may get: a group's room is 404 to others."""

REFUSALS = (Problem, HTTPException, RequestValidationError)

_HEADINGS = {
    401: "Sign in first",
    403: "Not for you",
    404: "Nothing here",
    405: "That is not how this page works",
    429: "Too many at once",
    503: "Not right now",
}
_DETAILS = {
    401: "This page is for people who are signed in.",
    404: "This page does not exist, or it is not open to you.",
    405: "Switch JavaScript on, then send the form again.",
    429: "Wait a moment, then load the page again.",
}


def error_page(request: Request, error: Exception) -> Response:
    """The page for a refusal; what a malformed address names does not exist."""
    problem = NotFound() if isinstance(error, RequestValidationError) else error
    status = cast("int", getattr(problem, "status", getattr(problem, "status_code", 500)))
    detail = problem.detail if isinstance(problem, Problem) else ""
    me: Principal | None = getattr(request.state, "visitor", None)
    signed_in = me.user_id is not None if me else COOKIE in request.cookies
    response = page(
        request,
        "error.html",
        me=me or STRANGER,
        status=status,
        known=me is not None or not signed_in,
        heading=_HEADINGS.get(status, "That did not work"),
        detail=_DETAILS.get(status) or detail or "Something went wrong on our side.",
        sign_in_next=_address(request) if status in OPEN_TO_OTHERS and not signed_in else None,
    )
    response.headers.update(getattr(problem, "headers", None) or {})
    return response


def _address(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def install_error_pages(app: FastAPI) -> None:
    """For addresses that no route answers, and faults: a page for a browser, else the problem.

    Call it after `install_problem_handlers`.
    """
    as_json = app.exception_handlers[HTTPException]

    async def on_http_exception(request: Request, error: Exception) -> Response:
        if wants_page(request):
            return error_page(request, error)
        return await cast("Awaitable[Response]", as_json(request, error))

    async def on_fault(request: Request, error: Exception) -> Response:
        if wants_page(request):
            return error_page(request, Problem())
        return await core.http.on_fault(request, error)

    app.add_exception_handler(HTTPException, cast("ExceptionHandler", on_http_exception))
    app.add_exception_handler(Exception, on_fault)


def wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(
        ("/v1/", "/static/")
    )
