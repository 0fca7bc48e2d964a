"""The demo is told to end more than once, by a terminal, `make` or `timeout`."""

import asyncio

import pytest

from demo.__main__ import end_once


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
