"""What our HTTP applications share: services, one transaction per request, problems."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException

from core.db import Database
from core.errors import Invalid, Problem
from core.listen import Listener
from core.settings import Settings
from core.storage import ObjectStore

PROBLEM_JSON = "application/problem+json"
NAMED_FIELDS = 20
"""A body may hold thousands of wrong fields: the answer names the first ones."""

_NO_BODY = "send a JSON body with Content-Type: application/json"


@dataclass(frozen=True, slots=True)
class Services:
    """Made once per process by web/app.py (or a test) and reached through `app.state.services`."""

    settings: Settings
    database: Database
    secret: bytes
    store: ObjectStore
    listener: Listener


class RequestBody(BaseModel):
    """A field that we don't know is refused: a misspelt option must not pass for the default."""

    model_config = ConfigDict(extra="forbid")


def services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


async def _services(request: Request) -> Services:
    """Asynchronous, though it waits for nothing: what is not, FastAPI calls in a thread."""
    return services(request)


async def session(request: Request) -> AsyncIterator[AsyncSession]:
    """The request's transaction: committed before the response leaves, rolled back on a problem."""
    async with services(request).database.transaction() as session:
        yield session


ServicesDep = Annotated[Services, Depends(_services)]
SessionDep = Annotated[AsyncSession, Depends(session, scope="function")]


def problem_response(problem: Problem) -> JSONResponse:
    return JSONResponse(
        problem.body(), problem.status, headers=problem.headers, media_type=PROBLEM_JSON
    )


async def _on_problem(_: Request, error: Exception) -> JSONResponse:
    return problem_response(cast("Problem", error))


async def _on_validation(_: Request, error: Exception) -> JSONResponse:
    """Names the fields and what is wrong with each; the values stay out of the answer."""
    errors = cast("RequestValidationError", error).errors()
    fields = [_field(e) for e in errors[:NAMED_FIELDS]]
    named = ", ".join(f"{f['field'] or 'body'}: {f['message']}" for f in fields)
    return problem_response(Invalid(named, fields=fields))


def _field(error: dict[str, Any]) -> dict[str, str]:
    """Names of unknown fields are the caller's own, and may be long."""
    kind, where = str(error["type"]), error["loc"]
    if where[0] == "body" and kind == "json_invalid":
        reason = f"this is not JSON: {error['ctx']['error']} at character {where[1]}"
        return {"field": "", "message": reason}
    if where == ("body",):
        return {"field": "", "message": _whole_body(error)}
    message = "there is no such field" if kind == "extra_forbidden" else error["msg"]
    return {"field": ".".join(str(part)[:100] for part in where[1:]), "message": message}


def _whole_body(error: dict[str, Any]) -> str:
    """FastAPI leaves a body unread, as bytes, whose Content-Type is not JSON."""
    if error["type"] == "missing" or isinstance(error["input"], bytes):
        return _NO_BODY
    if error["type"] == "model_attributes_type":
        return "send a JSON object"
    return str(error["msg"])


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
