"""What every answer says to browsers and caches, unless it says something stricter itself."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
"""Also for the documentation, whose page has a script of its own inside."""

PRIVATE: Final = "private, no-cache"
"""The API's answers depend on the session cookie, which caches do not know to look at
(RFC 9111, 3.5 keeps them from answers to an Authorization header only)."""


MONEY: Final = ("/v1/orders", "/v1/wallet", "/v1/tips", "/v1/creators/me")
"""What somebody has, paid and earned is not left on a disk that others may read, as no page is."""


class SafeHeaders:
    """ASGI middleware: no sniffing, no foreign frames, no shared cache for the API."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Content-Security-Policy", POLICY)
                if scope["path"].startswith(MONEY):
                    headers.setdefault("Cache-Control", "no-store")
                if scope["path"].startswith("/v1/"):
                    headers.setdefault("Cache-Control", PRIVATE)
            await send(message)

        await self._app(scope, receive, send_safely)
