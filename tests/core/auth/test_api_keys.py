"""API keys x who manages them, and the people of a platform."""

import asyncio
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.api_keys import (
    ExternalIdInvalid,
    ScopeExceeded,
    checked_external_id,
    create_api_key,
    upsert_external_user,
)
from core.auth.models import ApiKey, Platform, User
from core.auth.principal import Kind, Principal, Scope
from core.db import Database
from tests.factories import make_api_key, make_platform, make_user, sign_in

NEW = {"name": "server", "scopes": ["rooms:read"]}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_the_life_of_a_key(client: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as session:
        admin = await make_user(session, admin=True)
        token = await sign_in(session, admin)
    answer = await client.post("/v1/api-keys", json=NEW, headers=bearer(token))
    assert answer.status_code == 201
    made = answer.json()
    assert made["secret"].startswith("ek_")
    assert answer.headers["cache-control"] == "no-store"
    me = (await client.get("/v1/me", headers=bearer(made["secret"]))).json()
    assert (me["kind"], me["scopes"]) == ("api_key", ["rooms:read"])
    assert (me["user"], me["platform_id"]) == (None, str(admin.platform_id))
    (listed,) = (await client.get("/v1/api-keys", headers=bearer(token))).json()["items"]
    assert listed["id"] == made["id"]
    assert listed["last_used_at"] is not None
    assert "secret" not in listed
    for expected in (204, 404):
        answer = await client.delete(f"/v1/api-keys/{made['id']}", headers=bearer(token))
        assert answer.status_code == expected
    assert (await client.get("/v1/me", headers=bearer(made["secret"]))).status_code == 401
    assert (await client.get("/v1/api-keys", headers=bearer(token))).json()["items"] == []


@pytest.mark.parametrize(
    ("who", "status"),
    [("stranger", 401), ("person", 403), ("other_key", 403), ("keys_key", 201), ("admin", 201)],
)
async def test_who_makes_keys(
    client: httpx.AsyncClient, database: Database, who: str, status: int
) -> None:
    async with database.transaction() as session:
        platform = await make_platform(session)
        credentials = {
            "person": await sign_in(session, await make_user(session, platform)),
            "admin": await sign_in(session, await make_user(session, platform, admin=True)),
            "other_key": (await make_api_key(session, platform, scopes=("rooms:read",)))[1],
            "keys_key": (await make_api_key(session, platform))[1],
        }
    headers = bearer(credentials[who]) if who in credentials else {}
    assert (await client.post("/v1/api-keys", json=NEW, headers=headers)).status_code == status
    listing = (await client.get("/v1/api-keys", headers=headers)).status_code
    assert listing == (200 if status == 201 else status)


async def test_a_key_gives_no_more_than_it_has(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with database.transaction() as session:
        _, secret = await make_api_key(session, scopes=("keys:write", "rooms:read"))
    wider = {"name": "wider", "scopes": ["rooms:read", "rooms:write"]}
    answer = await client.post("/v1/api-keys", json=wider, headers=bearer(secret))
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_exceeded")


async def test_another_platforms_keys_do_not_exist(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with database.transaction() as session:
        key, secret = await make_api_key(session)
        _, other = await make_api_key(session)
        outsider = await sign_in(session, await make_user(session, admin=True))
    for credential in (other, outsider):
        answer = await client.delete(f"/v1/api-keys/{key.id}", headers=bearer(credential))
        assert (answer.status_code, answer.json()["code"]) == (404, "api_key_not_found")
        listed = (await client.get("/v1/api-keys", headers=bearer(credential))).json()["items"]
        assert str(key.id) not in [item["id"] for item in listed]
    assert (await client.get("/v1/me", headers=bearer(secret))).status_code == 200


@pytest.mark.parametrize(
    "new",
    [
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["everything"]},
        {"name": "", "scopes": ["rooms:read"]},
        {"name": "a\nb", "scopes": ["rooms:read"]},
    ],
)
async def test_what_is_no_key(
    client: httpx.AsyncClient, database: Database, new: dict[str, object]
) -> None:
    async with database.transaction() as session:
        _, secret = await make_api_key(session)
    answer = await client.post("/v1/api-keys", json=new, headers=bearer(secret))
    assert answer.status_code == 422


@hypothesis_settings(max_examples=40, deadline=None)
@given(have=st.sets(st.sampled_from(Scope)), want=st.sets(st.sampled_from(Scope), min_size=1))
async def test_scopes_never_grow(database: Database, have: set[Scope], want: set[Scope]) -> None:
    principal = Principal(Kind.API_KEY, uuid4(), scopes=frozenset(have | {Scope.KEYS_WRITE}))
    async with AsyncSession(database.engine) as session:
        session.add(Platform(id=principal.platform_id, slug=str(uuid4()), name="P"))
        await session.flush()
        if want <= principal.scopes:
            key, _ = await create_api_key(session, principal, name="k", scopes=list(want))
            assert set(key.scopes) == want
        else:
            with pytest.raises(ScopeExceeded):
                await create_api_key(session, principal, name="k", scopes=list(want))


async def test_no_key_is_stored_in_the_clear(
    client: httpx.AsyncClient, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with database.transaction() as session:
        token = await sign_in(session, await make_user(session, admin=True))
    made = (await client.post("/v1/api-keys", json=NEW, headers=bearer(token))).json()
    async with database.transaction() as session:
        rows = await session.scalars(sa.text("select row_to_json(t)::text from api_key t"))
        text = "\n".join(rows)
    assert made["id"] in text
    assert made["secret"][3:] not in text
    assert made["secret"][3:].encode().hex() not in text
    assert made["secret"][3:] not in caplog.text


async def test_a_platform_names_its_people(client: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as session:
        platform = await make_platform(session)
        _, secret = await make_api_key(session, platform, scopes=("users:write",))
        _, foreign = await make_api_key(session)
        _, unable = await make_api_key(session, platform, scopes=("rooms:write",))
    path = "/v1/users/team%2Fada%3F1"
    answers = [
        await client.put(path, json={"display_name": name}, headers=bearer(secret))
        for name in ("Ada", "Ada", "Ada L.")
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert answers[-1].json()["display_name"] == "Ada L."
    assert answers[-1].json()["external_user_id"] == "team/ada?1"
    other = await client.put(path, json={"display_name": "Eve"}, headers=bearer(foreign))
    assert other.json()["id"] != answers[0].json()["id"]
    answer = await client.put(path, json={"display_name": "Eve"}, headers=bearer(unable))
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


async def test_parallel_upserts_are_one_person(database: Database) -> None:
    async with database.transaction() as session:
        platform = await make_platform(session)
    principal = Principal(Kind.API_KEY, platform.id, scopes=frozenset({"users:write"}))

    async def upsert() -> tuple[User, bool]:
        async with database.transaction() as session:
            return await upsert_external_user(
                session, principal, external_user_id="ada", display_name="Ada"
            )

    made = await asyncio.gather(*(upsert() for _ in range(8)))
    assert len({user.id for user, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1


@pytest.mark.parametrize("text", ["", "x" * 201, "a\x00", "a\nb", "\u202e"])
def test_what_is_no_external_id(text: str) -> None:
    with pytest.raises(ExternalIdInvalid):
        checked_external_id(text)


@pytest.mark.parametrize("text", ["1", "0192f0c1-0000-7000-8000-0", "ü" * 200, "auth0|1815"])
def test_external_ids_are_kept(text: str) -> None:
    assert checked_external_id(text) == text


async def test_people_of_a_platform_cannot_sign_in_here(database: Database) -> None:
    """They have neither email nor password of ours."""
    async with database.transaction() as session:
        platform = await make_platform(session)
        principal = Principal(Kind.API_KEY, platform.id, scopes=frozenset({"users:write"}))
        user, _ = await upsert_external_user(
            session, principal, external_user_id="ada", display_name="Ada"
        )
        keys = await session.scalars(sa.select(ApiKey).where(ApiKey.platform_id == platform.id))
        assert keys.all() == []
    assert (user.email, user.password_hash, user.is_admin) == (None, None, False)
