"""`POST /v1/rooms/{id}/publish`: who gets a ticket, to where, and what without a worker."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

import ingest.api
from core.auth.models import User
from core.auth.platforms import ensure_default_platform
from core.auth.room_tokens import read_room_token
from core.db import Database
from core.http import Services, install_problem_handlers
from core.listen import Listener
from core.settings import Settings
from core.storage import open_store
from ingest.fleet import beat
from ingest.models import IngestWorker
from ingest.placement import Candidate, claim
from rooms.models import RecordingState, Role
from tests.factories import sign_in
from tests.ingest.receiving import SECRET, Guest, Hall


@pytest.fixture
async def http(database: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(_env_file=None, data_dir=tmp_path)
    async with database.transaction() as session:
        await ensure_default_platform(session)
    app = FastAPI()
    listener = Listener(database.url, ())
    store = open_store(settings)
    app.state.services = Services(settings, database, SECRET.encode(), store, listener)
    app.include_router(ingest.api.router)
    install_problem_handlers(app)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://web/v1") as client:
        yield client


@pytest.fixture
async def hall(database: Database) -> Hall:
    hall = Hall(database)
    await hall.go_live()
    return hall


async def place(hall: Hall) -> None:
    async with hall.database.transaction() as session:
        worker = uuid4()
        await beat(session, worker, "http://worker:8002")
        await claim(session, hall.room_id, Candidate(worker))


async def as_signed_in(hall: Hall, guest: Guest) -> dict[str, str]:
    async with hall.database.transaction() as session:
        user = await session.get_one(User, guest.principal.user_id)
        return {"Authorization": f"Bearer {await sign_in(session, user)}"}


async def test_a_speaker_gets_a_url_and_a_token(http: httpx.AsyncClient, hall: Hall) -> None:
    await place(hall)
    ada = await hall.guest()
    answer = await http.post(
        f"/rooms/{hall.room_id}/publish", headers=await as_signed_in(hall, ada)
    )
    assert answer.status_code == 200
    ticket = answer.json()
    assert ticket["whip_url"] == f"http://worker:8002/whip/{hall.room_id}"
    assert ticket["ice_servers"] == []
    claims = read_room_token(SECRET.encode(), ticket["token"])
    assert claims.room_id == hall.room_id
    assert claims.participant_id == ada.participant_id
    assert claims.role == "speaker"
    assert claims.platform_id == ada.principal.platform_id


async def test_a_room_token_is_good_too(http: httpx.AsyncClient, hall: Hall) -> None:
    await place(hall)
    ada = await hall.guest()
    headers = {"Authorization": f"Bearer {ada.token}"}
    assert (await http.post(f"/rooms/{hall.room_id}/publish", headers=headers)).is_success


@pytest.mark.parametrize("state", [RecordingState.ON, RecordingState.PAUSED])
async def test_a_room_that_is_recorded_asks_for_consent_first(
    http: httpx.AsyncClient, hall: Hall, state: RecordingState
) -> None:
    """Without it nothing would be kept, and the speaker would not know."""
    await place(hall)
    ada = await hall.guest(consent=False)
    await hall.record(state)
    headers = await as_signed_in(hall, ada)
    answer = await http.post(f"/rooms/{hall.room_id}/publish", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "consent_missing")
    assert f"PUT /v1/rooms/{hall.room_id}/consent" in answer.json()["detail"]
    await hall.consent(ada, given=True)
    assert (await http.post(f"/rooms/{hall.room_id}/publish", headers=headers)).is_success
    await hall.consent(ada, given=False)
    assert await refused(http, hall.room_id, headers) == 409


async def test_a_room_that_is_not_recorded_asks_nobody(
    http: httpx.AsyncClient, database: Database
) -> None:
    hall = Hall(database)
    await hall.go_live(record=False)
    await place(hall)
    headers = await as_signed_in(hall, await hall.guest(consent=False))
    assert (await http.post(f"/rooms/{hall.room_id}/publish", headers=headers)).is_success


@pytest.mark.slow
async def test_without_a_worker_the_client_is_told_when_to_come_back(
    http: httpx.AsyncClient, hall: Hall
) -> None:
    """After PLACEMENT_SECONDS of waiting."""
    async with hall.database.transaction() as session:
        await session.execute(sa.update(IngestWorker).values(draining=True))
    ada = await hall.guest()
    answer = await http.post(
        f"/rooms/{hall.room_id}/publish", headers=await as_signed_in(hall, ada)
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "no_ingest_worker")
    assert answer.headers["retry-after"] == "2"
    assert "encore workers undrain" in answer.json()["detail"]


async def test_listeners_strangers_and_other_rooms_are_refused(
    http: httpx.AsyncClient, hall: Hall
) -> None:
    listener = await hall.guest(role=Role.LISTENER)
    headers = await as_signed_in(hall, listener)
    assert await refused(http, hall.room_id, headers) == 403
    assert await refused(http, uuid4(), headers) == 404
    assert await refused(http, hall.room_id, {}) in (401, 404)
    await hall.end()
    ada = await as_signed_in(hall, listener)
    assert await refused(http, hall.room_id, ada) in (403, 409)


async def refused(http: httpx.AsyncClient, room_id: UUID, headers: dict[str, str]) -> int:
    answer = await http.post(f"/rooms/{room_id}/publish", headers=headers)
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code
