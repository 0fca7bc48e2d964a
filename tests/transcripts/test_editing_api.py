"""Corrections over HTTP: what is refused, and what a conflict says."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from core.db import Database
from tests.factories import sign_in
from tests.rooms.conftest import make_house
from tests.rooms.serving import in_process, make_app
from tests.transcripts.heard import Heard, make_heard, spoken
from transcripts.api import READING
from transcripts.editing_api import router


@pytest.fixture
async def heard(database: Database) -> Heard:
    async with database.transaction() as session:
        heard = await make_heard(await make_house(session))
        ada = await heard.speaker("Ada")
        await heard.publish(await heard.run({ada: spoken("what the see keeps")}))
    return heard


@pytest.fixture
async def http(
    database: Database, heard: Heard, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """The host's."""
    async with database.transaction() as session:
        token = await sign_in(session, heard.house.host)
    app = make_app(database, tmp_path)
    app.include_router(router)
    async with in_process(app) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


async def test_an_edit_its_conflict_its_history_and_undo(
    http: httpx.AsyncClient, heard: Heard
) -> None:
    path = f"/recordings/{heard.recording.id}/transcript"
    ada = str(heard.people["Ada"][1].id)
    edit = {"base_version": 1, "participant_id": ada, "start_ms": 800, "end_ms": 1100}
    made = await http.post(f"{path}/edits", json={**edit, "text": "sea"})
    assert made.status_code == 201, made.text
    assert made.json()["version"] == 2
    again = await http.post(f"{path}/edits", json={**edit, "base_version": 2, "text": "sea"})
    assert again.json() == {"version": 2, "edit": None}
    refused = await http.post(f"{path}/edits", json={**edit, "text": "ski"})
    assert refused.status_code == 409
    problem = refused.json()
    assert (problem["code"], problem["version"], problem["current_text"]) == (
        "edit_conflict",
        2,
        "sea",
    )
    (item,) = (await http.get(f"{path}/edits")).json()["items"]
    assert (item["text"], item["replaced"], item["author"]) == ("sea", "see", "Host")
    undone = await http.delete(f"{path}/edits/{item['id']}")
    assert undone.json() == {"version": 3}
    named = await http.put(f"{path}/speakers/{ada}", json={"name": "Ada Lovelace"})
    assert named.json() == {"version": 4}
    for name in ("Ada Lovelace", None):
        await http.put(f"{path}/speakers/{ada}", json={"name": name})
    renames = (await http.get(f"{path}/edits")).json()["renames"]
    assert [(one["replaced"], one["name"], one["author"]) for one in renames] == [
        ("Ada Lovelace", "Ada", "Host"),
        ("Ada", "Ada Lovelace", "Host"),
    ]
    assert (await http.get(f"{path}/edits?state=applied")).json()["renames"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "x" * 2001},
        {"text": "a\u202eb"},
        {"text": "a\0b"},
        {"text": "\u200b \u3164\u0301"},
        {"text": None},
        {"end_ms": 0},
        {"end_ms": 130_000},
        {"start_ms": -1},
        {"start_ms": 1 << 63, "end_ms": (1 << 63) + 1},
        {"breaks": list(range(51))},
        {"base_version": 0},
        {"base_version": 1 << 31},
        {"start_ms": 600_900, "end_ms": 601_100},
    ],
)
async def test_refuses_what_no_edit_can_be(
    http: httpx.AsyncClient, heard: Heard, wrong: dict[str, Any]
) -> None:
    ada = str(heard.people["Ada"][1].id)
    edit = {"base_version": 1, "participant_id": ada, "start_ms": 0, "end_ms": 300, "text": "x"}
    path = f"/recordings/{heard.recording.id}/transcript/edits"
    answer = await http.post(path, json=edit | wrong)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("before", [0, 1 << 31, 1 << 40])
async def test_the_history_begins_at_a_number_that_may_be(
    http: httpx.AsyncClient, heard: Heard, before: int
) -> None:
    path = f"/recordings/{heard.recording.id}/transcript/edits"
    assert (await http.get(path, params={"before": before})).status_code == 422


def test_the_history_is_limited_like_what_is_read() -> None:
    (route,) = (r for r in router.routes if isinstance(r, APIRoute) and r.name == "edits")
    assert READING[0] in route.dependencies
