"""Refusals and faults as the caller sees them."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from core.http import NAMED_FIELDS, PROBLEM_JSON, RequestBody, install_problem_handlers

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


class Order(RequestBody):
    count: int


async def refusal(content: bytes, content_type: str | None) -> dict[str, Any]:
    app = FastAPI()
    install_problem_handlers(app)

    @app.post("/orders")
    async def order(new: Order) -> int:
        return new.count

    headers = {} if content_type is None else {"Content-Type": content_type}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://encore.test") as client:
        answer = await client.post("/orders", content=content, headers=headers)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == PROBLEM_JSON
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == "invalid"
    return problem


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b'{"count": 1}', None),
        (b'{"count": 1}', "text/plain"),
        (b"count=1", "application/x-www-form-urlencoded"),
        (b"", None),
        (b"", "application/json"),
    ],
)
async def test_whoever_sends_no_json_is_told_how(content: bytes, content_type: str | None) -> None:
    problem = await refusal(content, content_type)
    assert problem["detail"] == "body: send a JSON body with Content-Type: application/json"


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b'{"count": 1,}', "body: this is not JSON: "),
        (b"[1]", "body: send a JSON object"),
        (b'{"count": 1, "colour": "red"}', "colour: there is no such field"),
        (b"{}", "count: Field required"),
        (b'{"count": "many"}', "count: Input should be a valid integer"),
    ],
)
async def test_a_wrong_body_is_named(content: bytes, detail: str) -> None:
    assert (await refusal(content, "application/json"))["detail"].startswith(detail)


async def test_names_that_the_caller_made_up_do_no_harm() -> None:
    """A lone surrogate cannot be encoded; many long names would come back as a long answer."""
    assert await refusal(b'{"count": 1, "\\ud800": 1}', "application/json")
    many = json.dumps({f"{'x' * 1000}{n}": n for n in range(100)}).encode()
    problem = await refusal(many, "application/json")
    assert len(problem["fields"]) == NAMED_FIELDS
    assert max(len(field["field"]) for field in problem["fields"]) == 100
