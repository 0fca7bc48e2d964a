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
        body = _Bounded(receive)
        answer = _Answer(send, body)
        try:
            await self._app(scope, body.receive, answer.send)
        except BodyTooLarge:
            if answer.begun:
                raise
        if body.exceeded and not answer.begun:
            await problem_response(BodyTooLarge())(scope, receive, send)


class _Bounded:
    """A request body that ends in BodyTooLarge when it grows beyond the bound."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._seen = 0
        self.exceeded = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > MAX_BODY_BYTES:
            self.exceeded = True
            raise BodyTooLarge
        return message


class _Answer:
    """Holds back what an application answers after it swallowed the refusal of its body."""

    def __init__(self, send: Send, body: _Bounded) -> None:
        self._send = send
        self._body = body
        self.begun = False

    async def send(self, message: Message) -> None:
        if self._body.exceeded and not self.begun:
            return
        self.begun = True
        await self._send(message)
