from uuid import uuid4

import httpx
import pytest

from core.auth.principal import Scope
from core.db import Database
from core.webhooks.service import MAX_ENDPOINTS
from tests import factories

PATH = "/v1/webhook-endpoints"
URL = "https://app.example/hook"

Header = dict[str, str]


async def create(client: httpx.AsyncClient, key: Header, **body: object) -> dict[str, object]:
    answer = await client.post(PATH, json={"url": URL, **body}, headers=key)
    assert answer.status_code == 201, answer.text
    created: dict[str, object] = answer.json()
    return created


async def test_the_secret_is_shown_once(client: httpx.AsyncClient, key: Header) -> None:
    created = await create(client, key, kinds=["room.ended", "room.ended"])
    assert str(created["secret"]).startswith("whsec_")
    assert created["kinds"] == ["room.ended"]
    (listed,) = (await client.get(PATH, headers=key)).json()["endpoints"]
    assert "secret" not in listed
    assert listed["id"] == created["id"]


async def test_a_rotation_gives_another_secret(client: httpx.AsyncClient, key: Header) -> None:
    created = await create(client, key)
    rotated = await client.post(f"{PATH}/{created['id']}/rotate", headers=key)
    assert rotated.json()["secret"] != created["secret"]
    assert rotated.json()["id"] == created["id"]


async def test_a_deleted_endpoint_is_gone(client: httpx.AsyncClient, key: Header) -> None:
    created = await create(client, key)
    path = f"{PATH}/{created['id']}"
    assert (await client.delete(path, headers=key)).status_code == 204
    assert (await client.delete(path, headers=key)).status_code == 404
    assert (await client.get(PATH, headers=key)).json() == {"endpoints": []}


async def test_a_new_endpoint_has_no_deliveries(client: httpx.AsyncClient, key: Header) -> None:
    created = await create(client, key)
    page = await client.get(f"{PATH}/{created['id']}/deliveries", headers=key)
    assert page.json() == {"deliveries": [], "next_before": None}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": "ftp://app.example"},
        {"url": URL, "kinds": ["Room Ended"]},
        {"url": URL, "kinds": ["a.b"] * 51},
        {"url": "https://u:p@app.example/"},
    ],
)
async def test_a_wrong_request_is_a_422(
    client: httpx.AsyncClient, key: Header, body: dict[str, object]
) -> None:
    assert (await client.post(PATH, json=body, headers=key)).status_code == 422


async def test_a_platform_has_so_many_and_no_more(client: httpx.AsyncClient, key: Header) -> None:
    for _ in range(MAX_ENDPOINTS):
        await create(client, key)
    answer = await client.post(PATH, json={"url": URL}, headers=key)
    assert answer.status_code == 409
    assert answer.json()["code"] == "too_many_webhook_endpoints"


async def callers(database: Database) -> dict[str, Header]:
    async with database.transaction() as session:
        platform = await factories.make_platform(session)
        user = await factories.make_user(session, platform)
        admin = await factories.make_user(session, platform, admin=True)
        scopes = tuple(s for s in Scope if s is not Scope.WEBHOOKS_WRITE)
        _, other_scope = await factories.make_api_key(session, platform, scopes=scopes)
        tokens = {
            "user": await factories.sign_in(session, user),
            "admin": await factories.sign_in(session, admin),
            "other scope": other_scope,
        }
    bearers = {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}
    return {"stranger": {}} | bearers


@pytest.mark.parametrize(
    ("caller", "allowed", "refused"),
    [
        ("stranger", False, 401),
        ("user", False, 403),
        ("other scope", False, 403),
        ("admin", True, 404),
    ],
)
async def test_only_admins_and_keys_with_the_scope_manage_endpoints(
    client: httpx.AsyncClient, database: Database, caller: str, allowed: bool, refused: int
) -> None:
    header = (await callers(database))[caller]
    made = await client.post(PATH, json={"url": URL}, headers=header)
    assert made.status_code == (201 if allowed else refused)
    assert (await client.get(PATH, headers=header)).status_code == (200 if allowed else refused)
    unknown = f"{PATH}/{uuid4()}"
    answers = [
        await client.delete(unknown, headers=header),
        await client.post(f"{unknown}/rotate", headers=header),
        await client.post(f"{unknown}/enable", headers=header),
        await client.get(f"{unknown}/deliveries", headers=header),
    ]
    assert [answer.status_code for answer in answers] == [refused] * 4


async def test_another_platforms_endpoint_does_not_exist(
    client: httpx.AsyncClient, key: Header, database: Database
) -> None:
    created = await create(client, key)
    async with database.transaction() as session:
        _, secret = await factories.make_api_key(session)
    other = {"Authorization": f"Bearer {secret}"}
    path = f"{PATH}/{created['id']}"
    answers = [
        await client.post(f"{path}/rotate", headers=other),
        await client.post(f"{path}/enable", headers=other),
        await client.get(f"{path}/deliveries", headers=other),
        await client.delete(path, headers=other),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert (await client.get(PATH, headers=other)).json() == {"endpoints": []}
