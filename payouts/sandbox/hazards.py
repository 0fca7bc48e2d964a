"""Carries out the faults that leave a request unanswered, and records requests and answers."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request

from core.server import TRANSPORT
from payouts.sandbox.faults import RequestAction
from payouts.sandbox.idempotency import Answer

LONGEST_SECONDS = 600.0
RECORD = "ENCORE_SANDBOX_RECORD"
RECORDED_HEADERS = ("content-type", "idempotency-key", "stripe-account", "stripe-version")


def die() -> None:
    """Ends the process as kill -9 does: nothing is flushed or closed."""
    os.kill(os.getpid(), signal.SIGKILL)


def recording_in(place: Path | None) -> Path | None:
    """The file to record in: `place`, or a file of this process in it if it is a folder."""
    return place / f"{os.getpid()}.jsonl" if place is not None and place.is_dir() else place


def _asked_for() -> Path | None:
    """From the environment, so that a test run records every sandbox, however it is started."""
    place = os.environ.get(RECORD)
    return recording_in(Path(place)) if place else None


@dataclass(slots=True)
class Hazards:
    die: Callable[[], None] = die
    recording: Path | None = field(default_factory=_asked_for)
    """One JSON object a line: method, path, headers, body, status, response."""

    async def apply(self, request: Request, action: RequestAction) -> None:
        if action == RequestAction.DIE:
            self.die()
        if action == RequestAction.TIMEOUT:
            async with asyncio.timeout(LONGEST_SECONDS):
                while not await request.is_disconnected():  # noqa: ASYNC110 - it signals nothing
                    await asyncio.sleep(0.05)
        request.scope["extensions"][TRANSPORT].abort()

    def record(self, request: Request, body: bytes, answer: Answer) -> None:
        if self.recording is None:
            return
        headers = {
            name: request.headers[name] for name in RECORDED_HEADERS if name in request.headers
        }
        scheme = request.headers.get("authorization", "").partition(" ")[0]
        query = f"?{request.url.query}" if request.url.query else ""
        line = {
            "method": request.method,
            "path": request.url.path + query,
            "headers": headers | {"authorization": f"{scheme} masked"},
            "body": body.decode("utf-8", "replace"),
            "status": answer.status,
            "response": answer.body,
        }
        with self.recording.open("a") as file:
            file.write(json.dumps(line) + "\n")
