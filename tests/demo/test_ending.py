"""The demo ends in order: told to twice, by a terminal, `make` or `timeout`; failing midway."""

import asyncio

import pytest

from demo.__main__ import end_once
from demo.client import ApiError, Person


async def test_a_second_signal_does_not_break_off_the_orderly_end() -> None:
    serving, told_twice, ended = asyncio.Event(), asyncio.Event(), False

    async def serve() -> None:
        nonlocal ended
        try:
            serving.set()
            await asyncio.Event().wait()
        finally:
            await told_twice.wait()
            ended = True

    task = asyncio.create_task(serve())
    await serving.wait()
    end_once(task)
    await asyncio.sleep(0)
    end_once(task)
    told_twice.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended


async def test_what_fails_midway_leaves_no_client_open() -> None:
    with pytest.raises(ApiError):
        async with Person("http://127.0.0.1:9", "Dora") as person:
            raise ApiError("POST /orders: no")
    with pytest.raises(RuntimeError, match="closed"):
        await person.call("GET", "/me")
