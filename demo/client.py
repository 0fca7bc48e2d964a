"""A person who uses Encore's API, as any client of it would."""

from typing import Any, Self

import httpx

from core.authorities import authorities


class ApiError(Exception):
    """A problem that the API answered with; the text is its detail."""


class Person:
    """One account, as a context. Paths are below `/v1`; `headers` go with every request."""

    def __init__(self, web_url: str, name: str, *, headers: dict[str, str] | None = None) -> None:
        self.name = name
        self._http = httpx.AsyncClient(
            base_url=f"{web_url}/v1", timeout=15, headers=headers, verify=authorities()
        )

    async def sign_in(self, email: str, password: str) -> None:
        """Signs in; the account is made first where it does not exist."""
        credentials = {"email": email, "password": password}
        answer = await self._http.post("/sessions", json=credentials)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            await self.call("POST", "/accounts", {**credentials, "display_name": self.name})
            answer = await self._http.post("/sessions", json=credentials)
        token = _checked(answer)["token"]
        # The token speaks for itself: a cookie beside it would want CSRF headers.
        self._http.cookies.clear()
        self._http.headers["Authorization"] = f"Bearer {token}"

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer's JSON (None when it has no body). Raises ApiError."""
        return _checked(await self._http.request(method, path, json=body))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()


def _checked(answer: httpx.Response) -> Any:
    if answer.is_error:
        raise ApiError(f"{answer.request.method} {answer.request.url.path}: {answer.text}")
    return answer.json() if answer.content else None
