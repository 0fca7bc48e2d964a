import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from core.ids import uuid7
from core.listen import QUEUE_SIZE, RESYNC, Listener, Subscription
from core.postgres import free_port


@contextlib.asynccontextmanager
async def listening(url: str, *channels: str) -> AsyncIterator[Listener]:
    listener = Listener(url, channels)
    listener.start()
    try:
        await asyncio.wait_for(listener.connected.wait(), 10)
        yield listener
    finally:
        await listener.stop()


async def notify(raw: asyncpg.Connection, channel: str, payload: str) -> None:
    await raw.execute("select pg_notify($1, $2)", channel, payload)


async def heard(subscription: Subscription) -> dict[str, Any]:
    return await asyncio.wait_for(subscription.get(), 10)


@pytest.fixture
def channel() -> str:
    """One that no other test notifies."""
    return f"c{uuid7().hex}"


async def test_every_subscriber_of_a_channel_hears_it(
    postgres_url: str, raw: asyncpg.Connection, channel: str
) -> None:
    other = f"{channel}_other"
    async with (
        listening(postgres_url, channel, other) as listener,
        listener.subscribe(channel) as one,
        listener.subscribe(channel) as two,
        listener.subscribe(other) as three,
    ):
        await notify(raw, channel, json.dumps({"n": 1}))
        await notify(raw, other, json.dumps({"n": 2}))
        assert await heard(one) == {"n": 1}
        assert await heard(two) == {"n": 1}
        assert await heard(three) == {"n": 2}


async def test_a_list_is_several_messages(
    postgres_url: str, raw: asyncpg.Connection, channel: str
) -> None:
    async with (
        listening(postgres_url, channel) as listener,
        listener.subscribe(channel) as subscription,
    ):
        await notify(raw, channel, json.dumps([{"n": 1}, {"n": 2}]))
        assert [await heard(subscription) for _ in range(2)] == [{"n": 1}, {"n": 2}]


async def test_a_rolled_back_notification_is_not_heard(
    postgres_url: str, raw: asyncpg.Connection, channel: str
) -> None:
    async with (
        listening(postgres_url, channel) as listener,
        listener.subscribe(channel) as subscription,
    ):
        transaction = raw.transaction()
        await transaction.start()
        await notify(raw, channel, json.dumps({"n": 1}))
        await transaction.rollback()
        await notify(raw, channel, json.dumps({"n": 2}))
        assert await heard(subscription) == {"n": 2}


async def test_what_is_not_json_is_passed_over(
    postgres_url: str, raw: asyncpg.Connection, channel: str
) -> None:
    async with (
        listening(postgres_url, channel) as listener,
        listener.subscribe(channel) as subscription,
    ):
        await notify(raw, channel, "{")
        await notify(raw, channel, json.dumps({"n": 1}))
        assert await heard(subscription) == {"n": 1}


async def test_a_cut_connection_is_made_again_and_says_read_again(
    postgres_url: str, raw: asyncpg.Connection, channel: str
) -> None:
    async with (
        listening(postgres_url, channel) as listener,
        listener.subscribe(channel) as subscription,
    ):
        await raw.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where query like $1",
            f"LISTEN%{channel}%",
        )
        assert await heard(subscription) == RESYNC
        await notify(raw, channel, json.dumps({"n": 1}))
        assert await heard(subscription) == {"n": 1}


async def test_a_database_that_is_away_stops_nobody(channel: str) -> None:
    listener = Listener(f"postgresql://encore:x@127.0.0.1:{free_port()}/encore", (channel,))
    listener.start()
    async with listener.subscribe(channel):
        assert not listener.connected.is_set()
    await listener.stop()
    await listener.stop()


async def test_a_listener_that_never_started_stops(channel: str) -> None:
    await Listener("postgresql://x", (channel,)).stop()


async def test_a_slow_subscriber_is_told_to_read_again() -> None:
    subscription = Subscription()
    for number in range(QUEUE_SIZE + 1):
        subscription.offer({"n": number})
    subscription.offer({"n": "after"})
    assert await heard(subscription) == RESYNC
    assert await heard(subscription) == {"n": "after"}


async def test_who_left_hears_nothing(
    postgres_url: str, raw: asyncpg.Connection, channel: str
) -> None:
    async with listening(postgres_url, channel) as listener:
        async with listener.subscribe(channel) as left:
            pass
        async with listener.subscribe(channel) as stays:
            await notify(raw, channel, json.dumps({"n": 1}))
            assert await heard(stays) == {"n": 1}
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(left.get(), 0)
