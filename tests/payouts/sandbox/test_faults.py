"""Answers that fail, hang or never come; and a process that dies and comes back."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from core.authorities import authorities
from payouts.sandbox.process import FILE, key_in
from tests.payouts.sandbox.platform import ADDRESSES, Platform

KEYED = {"idempotency_key": "intent-1"}
ADA = {"name": "Ada"}
ROOT = Path(__file__).parents[3]


async def count(shop: Platform) -> int:
    return len((await shop.v1.customers.list_async())["data"])


async def fault(shop: Platform, action: str, **more: Any) -> None:
    rule = {"action": action, "method": "POST", "path": "/v1/customers", **more}
    await shop.control("faults/requests", **rule)


async def test_too_many_requests_are_not_done_and_not_kept(shop: Platform) -> None:
    await fault(shop, "error", status=429, count=2, skip=1)
    await shop.v1.customers.create_async(ADA)
    for _ in range(2):
        with pytest.raises(stripe.RateLimitError):
            await shop.v1.customers.create_async(ADA, KEYED)
    assert await count(shop) == 1
    await shop.v1.customers.create_async(ADA, KEYED)
    assert await count(shop) == 2


@pytest.mark.parametrize(("when", "done"), [("before", 0), ("after", 1)])
async def test_a_server_error_is_kept_whether_it_was_done_or_not(
    shop: Platform, when: str, done: int
) -> None:
    await fault(shop, "error", status=500, when=when)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failed:
            await shop.v1.customers.create_async(ADA, KEYED)
    assert failed.value.headers is not None
    assert failed.value.headers["idempotent-replayed"] == "true"
    assert await count(shop) == done


@pytest.mark.parametrize(("action", "when"), [("disconnect", "before"), ("disconnect", "after")])
async def test_a_lost_answer_says_nothing_of_what_was_done(
    shop: Platform, action: str, when: str
) -> None:
    await fault(shop, action, when=when)
    with pytest.raises(stripe.APIConnectionError):
        await shop.v1.customers.create_async(ADA, KEYED)
    assert await count(shop) == (1 if when == "after" else 0)
    await shop.v1.customers.create_async(ADA, KEYED)
    assert await count(shop) == 1


async def test_a_request_that_times_out_may_have_been_done(shop: Platform) -> None:
    await fault(shop, "timeout", when="after")
    headers = {"Authorization": f"Bearer {shop.world.key}", "Idempotency-Key": "intent-1"}
    with pytest.raises(httpx.ReadTimeout):
        await shop.http.post("/v1/customers", data=ADA, headers=headers, timeout=0.2)
    await shop.v1.customers.create_async(ADA, KEYED)
    assert await count(shop) == 1


async def test_faults_are_taken_back(shop: Platform) -> None:
    await fault(shop, "error", count=100)
    assert len((await shop.control("faults/clear")).keys()) == 1
    await shop.v1.customers.create_async(ADA)
    answer = await shop.http.post(
        "/_control/faults/requests",
        json={"action": "explode"},
        headers={"Authorization": f"Bearer {shop.world.key}"},
    )
    assert answer.status_code == 422


@asynccontextmanager
async def process(data: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`python -m payouts.sandbox` and where it listens."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "payouts.sandbox", "--data", str(data)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(60):
            yield child, (await child.stdout.readline()).decode().strip()
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


@pytest.mark.slow
async def test_a_killed_process_has_done_all_of_a_request_or_nothing(tmp_path: Path) -> None:
    made: list[str] = []
    for when, known in (("before", 0), ("after", 2)):
        async with process(tmp_path) as (child, url):
            rule = {"action": "die", "when": when, "method": "POST", "path": "/v1/customers"}
            async with httpx.AsyncClient(base_url=url, verify=authorities()) as http:
                key = {"Authorization": f"Bearer {key_in(tmp_path)}"}
                told = await http.post("/_control/faults/requests", json=rule, headers=key)
                assert told.status_code == 200
            params = {"name": when}
            async with client_of(tmp_path, url) as v1:
                with pytest.raises(stripe.APIConnectionError):
                    await v1.customers.create_async(params, {"idempotency_key": when})
            assert await child.wait() == -9
        async with process(tmp_path) as (_, url), client_of(tmp_path, url) as v1:
            listed = (await v1.customers.list_async())["data"]
            assert len(listed) == known
            events = (await v1.events.list_async({"type": "customer.created"}))["data"]
            assert [each["data"]["object"]["id"] for each in events] == [e["id"] for e in listed]
            again = await v1.customers.create_async(params, {"idempotency_key": when})
            made.append(again["id"])
            assert len((await v1.customers.list_async())["data"]) == len(made)
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


@asynccontextmanager
async def client_of(data: Path, url: str) -> AsyncIterator[Any]:
    http = stripe.HTTPXClient(timeout=10, allow_sync_methods=False)
    addresses: Any = dict.fromkeys(ADDRESSES, url)
    yield stripe.StripeClient(key_in(data), base_addresses=addresses, http_client=http).v1
    await http.close_async()  # type: ignore[no-untyped-call]
