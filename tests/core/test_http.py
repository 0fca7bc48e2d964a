"""Refusals and faults as the caller sees them."""

import httpx
import pytest
from fastapi import FastAPI

from core.http import PROBLEM_JSON, install_problem_handlers

SECRET = "ada@example.org"


@pytest.fixture
def broken() -> FastAPI:
    app = FastAPI()
    install_problem_handlers(app)

    @app.get("/broken")
    async def fail() -> None:
        raise RuntimeError(SECRET)

    return app


async def test_a_fault_is_a_problem_that_says_nothing_of_it(broken: FastAPI) -> None:
    transport = httpx.ASGITransport(app=broken, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://encore.test") as client:
        answer = await client.get("/broken")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == PROBLEM_JSON
    assert answer.json()["code"] == "internal"
    assert SECRET not in answer.text


async def test_a_fault_still_reaches_the_log(broken: FastAPI) -> None:
    transport = httpx.ASGITransport(app=broken)
    async with httpx.AsyncClient(transport=transport, base_url="http://encore.test") as client:
        with pytest.raises(RuntimeError):
            await client.get("/broken")
