"""Search over HTTP: what it takes, what it refuses, what it answers."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

import core.http
from core.auth.dependencies import caller
from core.auth.principal import Principal, Scope
from core.http import install_problem_handlers
from core.settings import Settings
from tests.rooms.conftest import House
from tests.transcripts.archive import Archive
from transcripts.search_api import router

Ask = Callable[..., Any]

TOO_EARLY = base64.urlsafe_b64encode(
    json.dumps(["0001-01-01T00:00:00+14:00", str(UUID(int=0)), None]).encode()
).decode()
"""A cursor whose time is none in UTC."""


@pytest.fixture
async def ask(
    session: AsyncSession, house: House, tmp_path: Path
) -> AsyncIterator[Callable[..., Any]]:
    app = FastAPI()
    settings = Settings(data_dir=tmp_path, web_url="https://encore.example")
    app.state.services = SimpleNamespace(settings=settings, secret=bytes(32), database=None)
    install_problem_handlers(app)
    app.include_router(router)

    async def same_transaction() -> AsyncIterator[AsyncSession]:
        yield session

    async def get(principal: Principal | None = None, **query: Any) -> httpx.Response:
        app.dependency_overrides[caller] = lambda: principal or house.stranger
        return await client.get("/v1/search", params=query)

    app.dependency_overrides[core.http.session] = same_transaction
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield get


async def test_answers_with_moments(archive: Archive, ask: Ask) -> None:
    room = await archive.recording("nobody sailed the open sea", title="Far out")
    body = (await ask(q='"open sea"')).json()
    (found,) = body["recordings"]
    (moment,) = found.pop("moments")
    assert found == {
        "recording_id": str(room.recording_id),
        "room_id": str(room.id),
        "title": "Far out",
        "host_id": str(room.host_id),
        "host_name": "Host",
        "topics": [],
        "live_at": "2026-01-01T00:00:00Z",
        "duration_ms": 1_800_000,
        "matches": 1,
    }
    assert moment.pop("participant_id")
    speaker = moment.pop("user_id")
    theirs = (await ask(q="sea", speaker=speaker)).json()
    assert [one["room_id"] for one in theirs["recordings"]] == [str(room.id)]
    assert moment == {
        "start_ms": 1_200,
        "end_ms": 2_000,
        "speaker": "Ada",
        "language": "en",
        "text": [
            {"text": "nobody sailed the ", "match": False},
            {"text": "open sea", "match": True},
        ],
        "url": f"https://encore.example/rooms/{room.id}#t=1200",
    }
    assert body["total"] == {"recordings": 1, "matches": 1, "sampled": False}
    assert (body["next"], body["ignored"], body["did_you_mean"]) == (None, [], None)


async def test_pages_by_next(archive: Archive, ask: Ask) -> None:
    for _ in range(3):
        await archive.recording("a boat")
    first = (await ask(q="boat", limit=2)).json()
    second = (await ask(q="boat", limit=2, after=first["next"])).json()
    assert [len(page["recordings"]) for page in (first, second)] == [2, 1]
    assert (second["total"], second["next"]) == (None, None)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "invalid"),
        ({"q": "x" * 301}, "invalid"),
        ({"q": "boat", "speeker": "me"}, "invalid"),
        ({"q": "boat", "language": "no such thing"}, "invalid"),
        ({"q": "boat", "since": "2026-01-01T00:00:00"}, "invalid"),
        ({"q": "boat", "since": "0001-01-01T00:00:00+14:00"}, "invalid"),
        ({"q": "boat", "until": "9999-12-31T23:59:59-14:00"}, "invalid"),
        ({"q": "boat", "since": "0001-01-01T00:00:00Z"}, None),
        ({"q": "boat", "since": "2026-01-01", "until": "2026-02-28"}, None),
        ({"q": "boat", "until": "2026-02-30"}, "invalid"),
        ({"q": "boat", "topic": "a\0b"}, "invalid"),
        ({"q": "boat", "limit": 51}, "invalid"),
        ({"q": ""}, "query_invalid"),
        ({"q": "-boat"}, "query_invalid"),
        ({"q": '... "\'" !'}, "query_invalid"),
        ({"q": "boat or or"}, None),
        ({"q": "a " * 17}, "query_invalid"),
        ({"q": "boat", "after": "AAAA"}, "cursor_invalid"),
        ({"q": "boat", "sort": "date", "after": TOO_EARLY}, "cursor_invalid"),
        ({"q": "a\0boat ' \\ :* & | ! ( ) <-> ''"}, None),
    ],
)
async def test_says_what_is_wrong(ask: Ask, query: dict[str, Any], code: str | None) -> None:
    answer = await ask(**query)
    assert answer.status_code == (422 if code else 200)
    assert answer.json().get("code") == code
    if code and ("since" in query or "until" in query):
        assert answer.json()["fields"][0]["message"] == "write 2026-11-22 or 2026-11-22T00:00:00Z"


async def test_a_day_begins_at_midnight_in_utc(archive: Archive, ask: Ask) -> None:
    await archive.recording("a boat")  # live at 2026-01-01T00:00:00Z
    for query, found in (({"since": "2026-01-01"}, 1), ({"until": "2026-01-01"}, 0)):
        assert len((await ask(q="boat", **query)).json()["recordings"]) == found


async def test_a_key_needs_its_scope(house: House, ask: Ask) -> None:
    assert (await ask(house.key, q="boat")).json()["code"] == "scope_missing"
    reading = Principal(
        kind=house.key.kind,
        platform_id=house.platform.id,
        scopes=frozenset({Scope.RECORDINGS_READ}),
    )
    assert (await ask(reading, q="boat")).status_code == 200
