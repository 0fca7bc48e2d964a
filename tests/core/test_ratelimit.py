import asyncio
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.buckets import Buckets, Limit, RateLimited, bucket_key, forget_idle_buckets
from core.db import Database
from core.http import Services, install_problem_handlers
from core.listen import Listener
from core.ratelimit import client_address, rate_limit
from core.settings import Settings
from core.storage import open_store
from tests.polling import eventually

SECRET = b"a secret of this test installation, long enough"
SLOW = timedelta(hours=1)


def a_limit(burst: int, per: timedelta = SLOW, *, lease: int = 1) -> tuple[Limit, str]:
    limit = Limit(f"test-{uuid4().hex}", burst, per, lease)
    return limit, bucket_key(SECRET, limit, "somebody")


async def attempts(buckets: Buckets, database: Database, limit: Limit, key: str, n: int) -> int:
    """How many of `n` were let through."""
    passed = 0
    for _ in range(n):
        try:
            await buckets.take(database, limit, key)
        except RateLimited:
            continue
        passed += 1
    return passed


async def set_back(raw: asyncpg.Connection, key: str, age: timedelta) -> None:
    await raw.execute(
        "update rate_bucket set refilled_at = refilled_at - $2::interval where key = $1", key, age
    )


async def test_a_burst_passes_and_no_more(database: Database) -> None:
    limit, key = a_limit(3)
    assert await attempts(Buckets(), database, limit, key, 5) == 3
    other = bucket_key(SECRET, limit, "somebody else")
    assert await attempts(Buckets(), database, limit, other, 1) == 1


async def test_a_local_limit_is_each_process_s_own(database: Database) -> None:
    limit = Limit("test-local", 6, timedelta(seconds=3), local=True)
    buckets = Buckets()
    assert await attempts(buckets, database, limit, "ada", 9) == 6
    assert await attempts(buckets, database, limit, "ben", 1) == 1
    assert await attempts(Buckets(), database, limit, "ada", 1) == 1
    with pytest.raises(RateLimited) as caught:
        await buckets.take(database, limit, "ada")
    assert caught.value.headers["Retry-After"] == "1"


async def test_a_local_limit_fills_again(database: Database) -> None:
    limit, buckets = Limit("test-local", 1000, timedelta(seconds=1), local=True), Buckets()
    assert await attempts(buckets, database, limit, "ada", 1000) == 1000
    await eventually(lambda: attempts(buckets, database, limit, "ada", 1))


async def test_a_refusal_says_when_to_come_back(database: Database) -> None:
    limit, key = a_limit(2)
    buckets = Buckets()
    await attempts(buckets, database, limit, key, 2)
    with pytest.raises(RateLimited) as caught:
        await buckets.take(database, limit, key)
    assert caught.value.headers["Retry-After"] == "1800"
    assert caught.value.extra["retry_after_s"] == 1800
    assert caught.value.body()["code"] == "rate_limited"


async def test_tokens_come_back_evenly_up_to_the_burst(
    database: Database, raw: asyncpg.Connection
) -> None:
    limit, key = a_limit(4)
    await attempts(Buckets(), database, limit, key, 4)
    await set_back(raw, key, timedelta(minutes=31))
    assert await attempts(Buckets(), database, limit, key, 4) == 2
    await set_back(raw, key, timedelta(days=3))
    assert await attempts(Buckets(), database, limit, key, 9) == 4


async def test_machines_share_the_bucket_also_in_parallel(database: Database) -> None:
    limit, key = a_limit(5)
    machines = [Buckets() for _ in range(4)]
    passed = await asyncio.gather(*(attempts(m, database, limit, key, 4) for m in machines))
    assert sum(passed) == 5


async def test_an_empty_bucket_is_refused_without_the_database(
    database: Database, raw: asyncpg.Connection
) -> None:
    limit, key = a_limit(1)
    buckets = Buckets()
    assert await attempts(buckets, database, limit, key, 2) == 1
    await raw.execute("delete from rate_bucket where key = $1", key)
    assert await attempts(buckets, database, limit, key, 3) == 0
    assert await raw.fetchval("select count(*) from rate_bucket where key = $1", key) == 0


async def test_a_refused_attempt_costs_nothing(database: Database, raw: asyncpg.Connection) -> None:
    limit, key = a_limit(1)
    for _ in range(5):
        await attempts(Buckets(), database, limit, key, 1)
    await set_back(raw, key, SLOW)
    assert await attempts(Buckets(), database, limit, key, 2) == 1


async def test_leased_tokens_are_spent_from_memory(
    database: Database, raw: asyncpg.Connection
) -> None:
    limit, key = a_limit(10, lease=5)
    buckets = Buckets()
    assert await attempts(buckets, database, limit, key, 5) == 5
    left = await raw.fetchval("select tokens from rate_bucket where key = $1", key)
    assert 5 <= left < 5.1
    assert await attempts(buckets, database, limit, key, 20) == 5


@pytest.mark.parametrize("subject", ["203.0.113.7", "ada@example.org", "ek_secret"])
def test_keys_name_nobody(subject: str) -> None:
    limit = Limit("login", 1, SLOW)
    key = bucket_key(SECRET, limit, subject)
    assert key == bucket_key(SECRET, limit, subject)
    assert subject not in key
    assert key != bucket_key(b"another secret", limit, subject)
    assert key != bucket_key(SECRET, Limit("reset", 1, SLOW), subject).replace("reset", "login")


async def test_idle_buckets_are_forgotten(database: Database, raw: asyncpg.Connection) -> None:
    limit, key = a_limit(1)
    await attempts(Buckets(), database, limit, key, 1)
    async with database.transaction() as session:
        await forget_idle_buckets(session)
    assert await raw.fetchval("select count(*) from rate_bucket where key = $1", key) == 1
    await set_back(raw, key, timedelta(days=1, minutes=1))
    async with database.transaction() as session:
        assert await forget_idle_buckets(session) >= 1
    assert await raw.fetchval("select count(*) from rate_bucket where key = $1", key) == 0


def request_from(peer: str | None, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", value.encode("latin-1", "replace")) for value in forwarded]
    client = (peer, 1234) if peer is not None else None
    return Request({"type": "http", "headers": headers, "client": client})


def behind(*networks: str) -> Settings:
    return Settings(
        _env_file=None, trusted_proxies=tuple(ip_network(network) for network in networks)
    )


ADDRESSES: list[tuple[tuple[str, ...], str | None, tuple[str, ...], str]] = [
    # trusted proxies, peer, X-Forwarded-For, counted for
    ((), "203.0.113.7", (), "203.0.113.7"),
    ((), "203.0.113.7", ("198.51.100.1",), "203.0.113.7"),
    (("10.0.0.0/8",), "203.0.113.7", ("198.51.100.1",), "203.0.113.7"),
    (("10.0.0.0/8",), "10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
    (("10.0.0.0/8",), "10.0.0.1", ("1.2.3.4, 198.51.100.1",), "198.51.100.1"),
    (("10.0.0.0/8",), "10.0.0.1", ("1.2.3.4", "198.51.100.1"), "198.51.100.1"),
    (("10.0.0.0/8",), "10.0.0.1", ("198.51.100.1, 10.0.0.9",), "198.51.100.1"),
    (("10.0.0.0/8",), "10.0.0.1", ("1.2.3.4, nonsense",), "10.0.0.1"),
    (("10.0.0.0/8",), "10.0.0.1", (), "10.0.0.1"),
    (("10.0.0.0/8",), "10.0.0.1", ("10.0.0.2, 10.0.0.3",), "10.0.0.2"),
    (("::1/128",), "::1", ("2001:db8::1",), "2001:db8::/64"),
    ((), "2001:db8::1234:5678", (), "2001:db8::/64"),
    ((), "::ffff:203.0.113.7", (), "203.0.113.7"),
    (("10.0.0.0/8",), "::ffff:10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
    ((), None, ("198.51.100.1",), "unknown"),
    (("10.0.0.0/8",), "testclient", ("198.51.100.1",), "unknown"),
]


@pytest.mark.parametrize(("trusted", "peer", "forwarded", "counted"), ADDRESSES)
def test_the_client_address(
    trusted: tuple[str, ...], peer: str | None, forwarded: tuple[str, ...], counted: str
) -> None:
    assert client_address(request_from(peer, *forwarded), behind(*trusted)) == counted


@hypothesis_settings(deadline=None)
@given(st.lists(st.text(max_size=40), max_size=4))
def test_no_header_moves_an_untrusted_peer(forwarded: list[str]) -> None:
    request = request_from("203.0.113.7", *forwarded)
    assert client_address(request, behind("10.0.0.0/8")) == "203.0.113.7"


@hypothesis_settings(deadline=None)
@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_header_of_a_proxy_gives_some_address(forwarded: list[str]) -> None:
    assert client_address(request_from("10.0.0.1", *forwarded), behind("10.0.0.0/8"))


def app_with(folder: Path, database: Database, **limits: Any) -> FastAPI:
    settings = Settings(_env_file=None, data_dir=folder)
    app = FastAPI()
    app.state.services = Services(
        settings, database, SECRET, open_store(settings), Listener(database.url, ())
    )
    install_problem_handlers(app)

    @app.post("/", dependencies=[Depends(rate_limit(**limits))])
    async def route() -> None: ...

    return app


async def test_over_http_per_address(tmp_path: Path, database: Database) -> None:
    app = app_with(tmp_path, database, limit=a_limit(2)[0])
    for peer in ("203.0.113.7", "203.0.113.8"):
        transport = httpx.ASGITransport(app, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answers = [await client.post("/") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert answers[-1].headers["content-type"] == "application/problem+json"


async def test_over_http_per_credential(tmp_path: Path, database: Database) -> None:
    app = app_with(tmp_path, database, limit=a_limit(2)[0], per_credential=True)
    transport = httpx.ASGITransport(app, client=("203.0.113.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for credential in ("one", "two"):
            headers = {"Authorization": f"Bearer {credential}"}
            codes = [(await client.post("/", headers=headers)).status_code for _ in range(3)]
            assert codes == [200, 200, 429]
        invented = [
            (await client.post("/", headers={"Authorization": f"Bearer {n}"})).status_code
            for n in range(16)
        ]
    assert invented == [200] * 14 + [429] * 2
