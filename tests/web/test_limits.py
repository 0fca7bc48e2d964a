from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request

from core.http import install_problem_handlers
from web.limits import MAX_BODY_BYTES, BodyLimit


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_problem_handlers(app)
    app.add_middleware(BodyLimit)

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    @app.post("/json")
    async def take(body: dict[str, int]) -> int:
        return len(body)

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.parametrize(
    ("size", "status"), [(0, 200), (MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)]
)
async def test_bounds_what_is_declared(client: httpx.AsyncClient, size: int, status: int) -> None:
    assert (await client.post("/size", content=bytes(size))).status_code == status


@pytest.mark.parametrize("path", ["/size", "/json"])
async def test_bounds_what_is_not_declared(client: httpx.AsyncClient, path: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(64 * 1024)

    answer = await client.post(path, content=endless())
    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"


async def test_a_length_that_is_no_number_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/size", content=b"", headers={"Content-Length": "-1"})
    assert answer.status_code == 413
