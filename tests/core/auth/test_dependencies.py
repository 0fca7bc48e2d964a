"""Credentials x outcome, over HTTP."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.auth.credentials import Credential, Source, authenticate
from core.auth.models import ApiKey, LoginSession, User
from core.auth.opaque import digest
from core.auth.principal import Kind, Principal, Scope
from core.auth.rights import (
    AccountNeeded,
    ScopeMissing,
    limit_to_scope,
    require_scope,
    require_user,
)
from core.auth.room_tokens import RoomClaims, issue_room_token
from core.db import Database
from core.errors import Problem, Unauthenticated
from tests.core.auth.conftest import SECRET, MakeClient
from tests.factories import make_api_key, make_user, sign_in

WELL_FORMED = "A" * 43
Present = Callable[[str], dict[str, str]]


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def cookie(secret: str) -> dict[str, str]:
    return {"Cookie": f"encore_session={secret}"}


async def signed_in(database: Database, *, admin: bool = False) -> tuple[User, str]:
    async with database.transaction() as session:
        user = await make_user(session, admin=admin)
        return user, await sign_in(session, user)


async def test_nothing_presented_is_a_stranger_on_the_default_platform(
    client: httpx.AsyncClient, encore: UUID
) -> None:
    body = (await client.get("/probe")).json()
    assert body["kind"] == "stranger"
    assert body["platform_id"] == str(encore)
    assert body["user_id"] is None


@pytest.mark.parametrize("present", [bearer, cookie])
@pytest.mark.parametrize("admin", [False, True])
async def test_a_session_is_its_user(
    client: httpx.AsyncClient,
    database: Database,
    present: Callable[[str], dict[str, str]],
    admin: bool,
) -> None:
    user, token = await signed_in(database, admin=admin)
    body = (await client.get("/probe", headers=present(token))).json()
    assert body["kind"] == "user"
    assert (body["user_id"], body["platform_id"]) == (str(user.id), str(user.platform_id))
    assert body["admin"] is admin


async def test_an_api_key_is_its_platform_with_scopes(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with database.transaction() as session:
        key, secret = await make_api_key(session, scopes=(Scope.ROOMS_READ,))
    body = (await client.get("/probe", headers=bearer(secret))).json()
    assert body["kind"] == "api_key"
    assert body["platform_id"] == str(key.platform_id)
    assert body["user_id"] is None
    assert body["scopes"] == ["rooms:read"]


async def test_a_room_token_is_a_person_in_one_room(client: httpx.AsyncClient) -> None:
    claims = RoomClaims(uuid4(), uuid4(), uuid4(), "Ada", "speaker", ("patrons",))
    issued = issue_room_token(SECRET, claims)
    body = (await client.get("/probe", headers=bearer(issued.token))).json()
    assert body["kind"] == "room_token"
    assert datetime.fromisoformat(body["expires_at"]) == issued.expires_at
    assert (body["user_id"], body["room_id"]) == (str(claims.user_id), str(claims.room_id))
    assert body["groups"] == ["patrons"]
    assert body["admin"] is False


PRESENTED = [
    ("Authorization", "Bearer", "credential_unknown"),
    ("Authorization", "Bearer ", "credential_unknown"),
    ("Authorization", "", "credential_unknown"),
    ("Authorization", "Basic YTpi", "credential_unknown"),
    ("Authorization", f"es_{WELL_FORMED}", "credential_unknown"),
    ("Authorization", "Bearer nonsense", "credential_unknown"),
    ("Authorization", "Bearer es_", "session_invalid"),
    ("Authorization", f"Bearer es_{WELL_FORMED}", "session_invalid"),
    ("Authorization", f"Bearer es_{WELL_FORMED}=", "session_invalid"),
    ("Authorization", "Bearer ek_short", "api_key_invalid"),
    ("Authorization", f"Bearer ek_{WELL_FORMED}", "api_key_invalid"),
    ("Authorization", "Bearer a.b.c", "room_token_invalid"),
    ("Cookie", "encore_session=nonsense", "session_invalid"),
    ("Cookie", f"encore_session=es_{WELL_FORMED}", "session_invalid"),
    ("Cookie", f"encore_session=ek_{WELL_FORMED}", "session_invalid"),
    ("Cookie", "encore_session=a.b.c", "session_invalid"),
]


@pytest.mark.parametrize(("header", "value", "code"), PRESENTED)
async def test_what_is_not_valid_is_refused(
    client: httpx.AsyncClient, header: str, value: str, code: str
) -> None:
    answer = await client.get("/probe", headers={header: value})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == code


async def test_an_api_key_in_the_cookie_is_refused(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with database.transaction() as session:
        _, secret = await make_api_key(session)
    assert (await client.get("/probe", headers=cookie(secret))).json()["code"] == "session_invalid"


async def test_a_dead_cookie_is_cleared_and_is_a_stranger_to_pages(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/probe", headers=cookie("dead"))
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await client.get("/page", headers=cookie("dead"))).json()["kind"] == "stranger"


async def test_ended_credentials(client: httpx.AsyncClient, database: Database) -> None:
    now = datetime.now(UTC)
    async with database.transaction() as session:
        user = await make_user(session)
        revoked, disabled = await make_user(session), await make_user(session)
        expired = await sign_in(session, user, expires_in=timedelta(seconds=-1))
        out = await sign_in(session, revoked)
        gone = await sign_in(session, disabled)
        key, secret = await make_api_key(session)
        key.revoked_at = disabled.disabled_at = now
        for login in (await session.scalars(_logins(revoked))).all():
            login.revoked_at = now
    codes = {
        expired: "session_expired",
        out: "session_invalid",
        gone: "session_invalid",
        secret: "api_key_invalid",
    }
    for credential, code in codes.items():
        answer = await client.get("/probe", headers=bearer(credential))
        assert (answer.status_code, answer.json()["code"]) == (401, code)


async def test_the_header_wins_over_the_cookie(
    client: httpx.AsyncClient, database: Database
) -> None:
    user, token = await signed_in(database)
    _, other = await signed_in(database)
    answer = await client.post("/probe", headers={**bearer(token), **cookie(other)})
    assert answer.json()["user_id"] == str(user.id)


CROSS_SITE: list[tuple[dict[str, str], bool]] = [
    ({}, False),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "none"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "http://encore.test"}, False),
    ({"Origin": "http://encore.test"}, True),
    ({"Origin": "http://ENCORE.test"}, True),
    ({"Origin": "http://encore.test:8080"}, False),
    ({"Origin": "http://encore.test.evil.example"}, False),
    ({"Origin": "http://evil.example"}, False),
    ({"Origin": "http://[broken"}, False),
    ({"Origin": "null"}, False),
]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize(("headers", "passes"), CROSS_SITE)
async def test_a_cookie_needs_proof_of_the_same_origin(
    client: httpx.AsyncClient,
    database: Database,
    method: str,
    headers: dict[str, str],
    passes: bool,
) -> None:
    _, token = await signed_in(database)
    answer = await client.request(method, "/probe", headers={**cookie(token), **headers})
    assert answer.status_code == (200 if passes else 403)
    if not passes:
        assert answer.json()["code"] == "csrf"


async def test_reading_and_bearer_callers_need_no_origin(
    client: httpx.AsyncClient, database: Database
) -> None:
    _, token = await signed_in(database)
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}
    assert (await client.get("/probe", headers={**cookie(token), **foreign})).status_code == 200
    assert (await client.post("/probe", headers={**bearer(token), **foreign})).status_code == 200


async def test_the_public_address_is_an_own_origin_behind_a_proxy(
    make_client: MakeClient, database: Database
) -> None:
    _, token = await signed_in(database)
    async with make_client(web_url="https://encore.example") as client:
        headers = {"Origin": "https://encore.example", "Host": "10.0.0.7:8000", **cookie(token)}
        assert (await client.post("/probe", headers=headers)).status_code == 200


async def test_a_session_in_use_is_prolonged_once_a_day(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with database.transaction() as session:
        user = await make_user(session)
        fresh = await sign_in(session, user, expires_in=timedelta(days=29, hours=12))
        old = await sign_in(session, user, expires_in=timedelta(days=3))
    before = [await _expiry(database, token) for token in (fresh, old)]
    for token in (fresh, old):
        await client.get("/probe", headers=bearer(token))
    after = [await _expiry(database, token) for token in (fresh, old)]
    assert after[0] == before[0]
    assert after[1] > before[1] + timedelta(days=26)


async def test_last_use_of_a_key_is_written_once_a_minute(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with database.transaction() as session:
        key, secret = await make_api_key(session)
    seen = []
    for _ in range(2):
        await client.get("/probe", headers=bearer(secret))
        async with database.transaction() as session:
            seen.append((await session.get_one(ApiKey, key.id)).last_used_at)
    assert seen[0] is not None
    assert seen[0] == seen[1]


async def test_parallel_requests_of_a_key_do_not_wait_for_each_other(database: Database) -> None:
    async with database.transaction() as session:
        _, secret = await make_api_key(session)
    presented = Credential(Source.HEADER, secret)
    async with database.transaction() as first, database.transaction() as second:
        for session in (first, second):
            principal = await authenticate(session, presented, secret=SECRET)
            assert principal.kind is Kind.API_KEY


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    prefix=st.sampled_from(["", "es_", "ek_", "em_", "a.b."]),
    rest=st.text(max_size=60),
    source=st.sampled_from(Source),
)
async def test_any_text_raises_only_a_problem(
    database: Database, prefix: str, rest: str, source: Source
) -> None:
    async with database.transaction() as session:
        with pytest.raises(Unauthenticated):
            await authenticate(session, Credential(source, prefix + rest), secret=SECRET)


PLATFORM, USER = uuid4(), uuid4()
STRANGER = Principal(platform_id=PLATFORM)
PERSON = Principal(Kind.USER, PLATFORM, USER)
ADMIN = Principal(Kind.USER, PLATFORM, USER, admin=True)
GUEST = Principal(Kind.ROOM_TOKEN, PLATFORM, USER, room_id=uuid4())
KEY = Principal(Kind.API_KEY, PLATFORM, scopes=frozenset({"rooms:write"}))
FORGED = Principal(Kind.USER, PLATFORM, USER, scopes=frozenset({"rooms:write"}))

RIGHTS: list[tuple[Principal, type[Problem] | None, type[Problem] | None, type[Problem] | None]] = [
    # principal, require_scope, limit_to_scope, require_user
    (STRANGER, Unauthenticated, None, Unauthenticated),
    (PERSON, ScopeMissing, None, None),
    (ADMIN, ScopeMissing, None, None),
    (FORGED, ScopeMissing, None, None),
    (GUEST, ScopeMissing, None, AccountNeeded),
    (KEY, None, None, AccountNeeded),
    (Principal(Kind.API_KEY, PLATFORM), ScopeMissing, ScopeMissing, AccountNeeded),
]


@pytest.mark.parametrize(("principal", "scope", "limit", "user"), RIGHTS)
def test_rights(
    principal: Principal,
    scope: type[Problem] | None,
    limit: type[Problem] | None,
    user: type[Problem] | None,
) -> None:
    with _raises(scope):
        require_scope(principal, "rooms:write")
    with _raises(limit):
        limit_to_scope(principal, "rooms:write")
    with _raises(user):
        require_user(principal)


def _raises(problem: type[Problem] | None) -> AbstractContextManager[object]:
    return pytest.raises(problem) if problem else nullcontext()


def _logins(user: User) -> sa.Select[LoginSession]:
    return sa.select(LoginSession).where(LoginSession.user_id == user.id)


async def _expiry(database: Database, token: str) -> datetime:
    query = sa.select(LoginSession.expires_at).where(LoginSession.secret_sha256 == digest(token))
    async with database.transaction() as session:
        return (await session.scalars(query)).one()
