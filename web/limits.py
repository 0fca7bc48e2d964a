"""Bounds on what a request may send."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import Problem
from core.http import problem_response

MAX_BODY_BYTES = 256 * 1024
"""No endpoint takes uploads yet: JSON and SDP are far smaller."""


class BodyTooLarge(Problem):
    status = 413
    code = "body_too_large"
    title = f"The request body may hold at most {MAX_BODY_BYTES} bytes"


class BodyLimit:
    """Refuses a body by its Content-Length, and cuts off one that lies about it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > MAX_BODY_BYTES:
            await problem_response(BodyTooLarge())(scope, receive, send)
            return
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > MAX_BODY_BYTES:
                raise BodyTooLarge
            return message

        await self._app(scope, bounded, send)
