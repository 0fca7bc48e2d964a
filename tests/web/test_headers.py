from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Response

from core.http import install_problem_handlers
from web.headers import POLICY, PRIVATE, SafeHeaders


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_problem_handlers(app)
    app.add_middleware(SafeHeaders)

    @app.get("/v1/mine")
    @app.get("/v1/wallet/history")
    @app.get("/page")
    async def plain() -> str:
        return "mine"

    @app.get("/v1/strict")
    async def strict(response: Response) -> str:
        response.headers["Cache-Control"] = "no-store"
        response.headers["Content-Security-Policy"] = "default-src 'none'"
        return "mine"

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "cached"),
    [
        ("/v1/mine", PRIVATE),
        ("/v1/nothing", PRIVATE),
        ("/v1/wallet/history", "no-store"),
        ("/page", None),
    ],
)
async def test_answers_are_not_sniffed_framed_or_shared(
    client: httpx.AsyncClient, path: str, cached: str | None
) -> None:
    headers = (await client.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == POLICY
    assert headers.get("Cache-Control") == cached


async def test_what_is_stricter_stays(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/v1/strict")).headers
    assert headers.get_list("Cache-Control") == ["no-store"]
    assert headers.get_list("Content-Security-Policy") == ["default-src 'none'"]
