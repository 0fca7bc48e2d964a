"""What our HTTP applications share: services, one transaction per request, problems."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException

from core.db import Database
from core.errors import Invalid, Problem
from core.listen import Listener
from core.settings import Settings
from core.storage import ObjectStore

PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Services:
    """Made once per process by web/app.py (or a test) and reached through `app.state.services`."""

    settings: Settings
    database: Database
    secret: bytes
    store: ObjectStore
    listener: Listener


def services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


async def session(request: Request) -> AsyncIterator[AsyncSession]:
    """The request's transaction: committed before the response leaves, rolled back on a problem."""
    async with services(request).database.transaction() as session:
        yield session


ServicesDep = Annotated[Services, Depends(services)]
SessionDep = Annotated[AsyncSession, Depends(session, scope="function")]


def problem_response(problem: Problem) -> JSONResponse:
    return JSONResponse(
        problem.body(), problem.status, headers=problem.headers, media_type=PROBLEM_JSON
    )


async def _on_problem(_: Request, error: Exception) -> JSONResponse:
    return problem_response(cast("Problem", error))


async def _on_validation(_: Request, error: Exception) -> JSONResponse:
    """Names the fields and what is wrong with each; the values stay out of the answer."""
    fields = [
        {"field": ".".join(str(part) for part in e["loc"][1:]), "message": e["msg"]}
        for e in cast("RequestValidationError", error).errors()
    ]
    named = ", ".join(f"{f['field'] or 'body'}: {f['message']}" for f in fields)
    return problem_response(Invalid(named, fields=fields))


async def _on_http_exception(_: Request, error: Exception) -> JSONResponse:
    """Starlette's own refusals (unknown path, wrong method) in the same form."""
    raised = cast("HTTPException", error)
    code = {404: "not_found", 405: "method_not_allowed"}.get(raised.status_code, "http_error")
    body = {
        "type": f"urn:encore:problem:{code}",
        "title": str(raised.detail),
        "status": raised.status_code,
        "code": code,
        "detail": str(raised.detail),
    }
    headers = dict(raised.headers or {})
    return JSONResponse(body, raised.status_code, headers=headers, media_type=PROBLEM_JSON)


async def on_fault(_: Request, __: Exception) -> JSONResponse:
    """Nothing of the fault itself: it is in the log, under the request's id."""
    return problem_response(Problem())


def install_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, on_fault)
