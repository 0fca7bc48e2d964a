"""`/healthz`: the process lives. `/readyz`: what it needs answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final, Literal, cast

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from core.db import Database
from core.storage import ObjectMissing, ObjectStore

Check = Callable[[], Awaitable[None]]
"""Returns when the thing answers; raises what is wrong."""

PROBE_KEY: Final = "readiness-probe"
"""Never written: a store that says so is well."""

Outcome = Literal["ok", "failed", "timeout"]


class Readiness:
    """Runs all checks at once, at most one round at a time, and never waits long for it."""

    def __init__(
        self, checks: Mapping[str, Check], *, fresh_s: float = 2.0, patience_s: float = 1.5
    ) -> None:
        self._checks = checks
        self._fresh_s = fresh_s
        self._patience_s = patience_s
        self._rounds: dict[str, asyncio.Task[Outcome]] = {}
        self._checked_at = float("-inf")

    async def report(self) -> dict[str, Outcome]:
        """Outcome by check, at most `fresh_s` old; one that hangs is `timeout`, not begun anew."""
        if time.monotonic() - self._checked_at > self._fresh_s:
            self._start()
        if self._rounds:
            await asyncio.wait(self._rounds.values(), timeout=self._patience_s)
        return {name: _outcome(task) for name, task in self._rounds.items()}

    def _start(self) -> None:
        self._checked_at = time.monotonic()
        for name, check in self._checks.items():
            running = self._rounds.get(name)
            if running is None or running.done():
                self._rounds[name] = asyncio.create_task(_attempt(check), name=f"check-{name}")


async def _attempt(check: Check) -> Outcome:
    try:
        await check()
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not ready
        return "failed"
    return "ok"


def _outcome(task: asyncio.Task[Outcome]) -> Outcome:
    if not task.done():
        return "timeout"
    return "failed" if task.cancelled() else task.result()


def database_check(database: Database) -> Check:
    async def check() -> None:
        async with database.engine.connect() as connection:
            await connection.execute(sa.text("select 1"))

    return check


def store_check(store: ObjectStore) -> Check:
    async def check() -> None:
        try:
            await store.head(PROBE_KEY)
        except ObjectMissing:
            return

    return check


def readiness(request: Request) -> Readiness:
    """`app.state.readiness`; an application with core.http.Services need not set it."""
    state = request.app.state
    if getattr(state, "readiness", None) is None:
        checks = {
            "database": database_check(state.services.database),
            "store": store_check(state.services.store),
        }
        state.readiness = Readiness(checks)
    return cast("Readiness", state.readiness)


class Health(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok"]


class Ready(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"status": "ready", "checks": {"database": "ok", "store": "ok"}}]
        }
    )

    status: Literal["ready", "not_ready"]
    checks: dict[str, Outcome]


router = APIRouter(tags=["operation"])
NO_STORE: Final = {"Cache-Control": "no-store"}


@router.get("/healthz", summary="Whether the process lives", response_model=Health)
async def healthz() -> JSONResponse:
    """The process lives and its event loop turns."""
    return JSONResponse({"status": "ok"}, headers=NO_STORE)


@router.get(
    "/readyz",
    summary="Whether it can serve",
    response_model=Ready,
    responses={503: {"model": Ready, "description": "Something it needs does not answer"}},
)
async def readyz(state: Annotated[Readiness, Depends(readiness)]) -> JSONResponse:
    """Database and object store answer: 200, else 503. The outcome is at most 2 s old."""
    checks = await state.report()
    ready = all(outcome == "ok" for outcome in checks.values())
    body = Ready(status="ready" if ready else "not_ready", checks=checks)
    return JSONResponse(body.model_dump(), 200 if ready else 503, headers=NO_STORE)
