"""The account and session endpoints, as a browser and as an app use them."""

import json
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import sqlalchemy as sa

from core.auth.room_tokens import RoomClaims, issue_room_token
from core.db import Database
from core.mail import Letter
from core.settings import Settings
from tests.core.auth.conftest import SECRET, MakeClient, make_app, random_address
from tests.core.auth.outbox import Mail, Outbox
from tests.factories import make_api_key, make_user, sign_in

PASSWORD = "a good long passphrase"
OTHER = "another long passphrase"
OWN_PAGE = {"Origin": "http://encore.test", "Sec-Fetch-Site": "same-origin"}
FOREIGN_PAGE = {"Origin": "http://evil.example"}


def address() -> str:
    return f"{uuid4().hex}@example.org"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def register(client: httpx.AsyncClient, email: str, **changes: str) -> httpx.Response:
    body = {"email": email, "password": PASSWORD, "display_name": "Ada", **changes}
    return await client.post("/v1/accounts", json=body)


async def enter(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post("/v1/sessions", json={"email": email, "password": password})


async def test_from_registration_to_signing_out(
    client: httpx.AsyncClient, outbox: Outbox, encore: UUID
) -> None:
    email = address()
    answer = await register(client, email)
    assert (answer.status_code, answer.json()) == (202, {"status": "mail_sent"})
    answer = await enter(client, email)
    assert answer.status_code == 201
    assert answer.json()["user"]["email_verified_at"] is None
    answer = await client.post("/v1/accounts/verify", json={"token": outbox.mails[0].token})
    assert answer.status_code == 204
    answer = await client.get("/v1/me")
    me = answer.json()
    assert (me["kind"], me["platform_id"]) == ("user", str(encore))
    assert (me["user"]["email"], me["user"]["display_name"]) == (email, "Ada")
    assert me["user"]["email_verified_at"]
    assert answer.headers["cache-control"] == "no-store"
    answer = await client.delete("/v1/sessions/current", headers=OWN_PAGE)
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert client.cookies.get("encore_session") is None
    assert (await client.get("/v1/me")).status_code == 401


@pytest.mark.parametrize(
    ("web_url", "secure"), [("http://encore.test", False), ("https://encore.test", True)]
)
async def test_the_cookie(make_client: MakeClient, web_url: str, secure: bool) -> None:
    email = address()
    async with make_client(web_url=web_url) as client:
        await register(client, email)
        answer = await enter(client, email)
    parts = answer.headers["set-cookie"].split("; ")
    assert parts[0] == f"encore_session={answer.json()['token']}"
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"} <= set(parts)
    assert ("Secure" in parts) is secure
    assert not [part for part in parts if part.startswith("Domain")]
    assert answer.headers["cache-control"] == "no-store"


async def test_known_and_unknown_addresses_are_answered_alike(
    client: httpx.AsyncClient, outbox: Outbox
) -> None:
    known = address()
    first = await register(client, known)
    again = await register(client, known, password=OTHER)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    resets = [
        await client.post("/v1/accounts/password-reset", json={"email": email})
        for email in (known, address(), "no address")
    ]
    assert {(r.status_code, r.content) for r in resets} == {(202, first.content)}
    refused = [await enter(client, known, OTHER), await enter(client, address(), OTHER)]
    assert {(r.status_code, r.content) for r in refused} == {(401, refused[0].content)}
    assert len(outbox.mails) == 3


async def test_a_reset_by_mail(client: httpx.AsyncClient, outbox: Outbox) -> None:
    email = address()
    await register(client, email)
    token = (await enter(client, email)).json()["token"]
    await client.post("/v1/accounts/password-reset", json={"email": email})
    new = {"token": outbox.mails[-1].token, "password": OTHER}
    assert (await client.post("/v1/accounts/password-reset/confirm", json=new)).status_code == 204
    again = await client.post("/v1/accounts/password-reset/confirm", json=new)
    assert (again.status_code, again.json()["code"]) == (422, "mail_token_invalid")
    client.cookies.clear()
    assert (await client.get("/v1/me", headers=bearer(token))).status_code == 401
    assert (await enter(client, email)).status_code == 401
    assert (await enter(client, email, OTHER)).status_code == 201


async def test_signing_in_again_ends_the_session_of_the_same_browser(
    client: httpx.AsyncClient,
) -> None:
    email = address()
    await register(client, email)
    first = (await enter(client, email)).json()["token"]
    second = (await enter(client, email)).json()["token"]
    client.cookies.clear()
    assert (await client.get("/v1/me", headers=bearer(first))).status_code == 401
    assert (await client.get("/v1/me", headers=bearer(second))).status_code == 200


async def test_renewing_a_session(client: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as session:
        token = await sign_in(session, await make_user(session))
    answer = await client.post("/v1/sessions/current", headers=bearer(token))
    assert answer.status_code == 201
    client.cookies.clear()
    assert (await client.get("/v1/me", headers=bearer(token))).status_code == 401
    new = bearer(answer.json()["token"])
    assert (await client.get("/v1/me", headers=new)).status_code == 200


async def test_a_room_token_tells_no_address(client: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as session:
        user = await make_user(session, admin=True)
    claims = RoomClaims(user.platform_id, user.id, uuid4(), "Ada on air", "speaker")
    token = issue_room_token(SECRET, claims).token
    answer = await client.get("/v1/me", headers=bearer(token))
    me = answer.json()
    assert (me["kind"], me["room_id"]) == ("room_token", str(claims.room_id))
    assert (me["user"]["id"], me["user"]["display_name"]) == (str(user.id), "Ada on air")
    assert (me["user"]["email"], me["user"]["is_admin"]) == (None, False)
    assert (user.email or "") not in answer.text


async def test_letters_leave_through_the_queue(
    settings: Settings, database: Database, encore: UUID, raw: asyncpg.Connection
) -> None:
    """With the mailer of the application instead of the tests' outbox."""
    app, email = make_app(settings, database, Outbox()), address()
    app.dependency_overrides.clear()
    transport = httpx.ASGITransport(app, client=(random_address(), 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://encore.test") as client:
        assert (await register(client, email)).status_code == 202
        (job,) = [
            payload
            for row in await raw.fetch("select payload from pgqueuer")
            if (payload := json.loads(row["payload"] or "{}")).get("to") == email
        ]
        letter = Letter.from_payload(job, SECRET)
        assert letter.subject == "Confirm your address"
        link = {"token": Mail(letter.to, letter.subject, letter.text).token}
        assert (await client.post("/v1/accounts/verify", json=link)).status_code == 204


async def test_changing_name_and_password(client: httpx.AsyncClient) -> None:
    email = address()
    await register(client, email)
    await enter(client, email)
    answer = await client.patch("/v1/me", json={"display_name": " Ada  L. "}, headers=OWN_PAGE)
    assert answer.json()["display_name"] == "Ada L."
    change = {"current": OTHER, "password": OTHER}
    answer = await client.post("/v1/me/password", json=change, headers=OWN_PAGE)
    assert (answer.status_code, answer.json()["code"]) == (403, "password_wrong")
    change["current"] = PASSWORD
    answer = await client.post("/v1/me/password", json=change, headers=OWN_PAGE)
    assert answer.status_code == 201
    assert (await client.get("/v1/me")).json()["user"]["display_name"] == "Ada L."


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/accounts", {"email": "a@b.org", "password": PASSWORD, "display_name": "A"}),
        ("POST", "/v1/sessions", {"email": "a@b.org", "password": PASSWORD}),
    ],
)
async def test_a_foreign_page_signs_nobody_in(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, str]
) -> None:
    answer = await client.request(method, path, json=body, headers=FOREIGN_PAGE)
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")


COOKIE_WRITES = [
    ("POST", "/v1/sessions/current", None),
    ("DELETE", "/v1/sessions/current", None),
    ("PATCH", "/v1/me", {"display_name": "Mallory"}),
    ("POST", "/v1/me/password", {"current": PASSWORD, "password": OTHER}),
    ("POST", "/v1/api-keys", {"name": "k", "scopes": ["rooms:read"]}),
    ("DELETE", "/v1/api-keys/00000000-0000-7000-8000-000000000000", None),
]


@pytest.mark.parametrize(("method", "path", "body"), COOKIE_WRITES)
@pytest.mark.parametrize("headers", [{}, FOREIGN_PAGE])
async def test_a_foreign_page_changes_nothing(
    client: httpx.AsyncClient,
    database: Database,
    method: str,
    path: str,
    body: dict[str, str] | None,
    headers: dict[str, str],
) -> None:
    async with database.transaction() as session:
        token = await sign_in(session, await make_user(session, admin=True))
    cookie = {"Cookie": f"encore_session={token}"}
    answer = await client.request(method, path, json=body, headers={**cookie, **headers})
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")


@pytest.mark.parametrize(("method", "path", "body"), COOKIE_WRITES)
async def test_strangers_are_told_to_sign_in(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, str] | None
) -> None:
    answer = await client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize(("method", "path", "body"), COOKIE_WRITES[:4])
async def test_an_api_key_is_no_person(
    client: httpx.AsyncClient,
    database: Database,
    method: str,
    path: str,
    body: dict[str, str] | None,
) -> None:
    async with database.transaction() as session:
        _, secret = await make_api_key(session)
    answer = await client.request(method, path, json=body, headers=bearer(secret))
    assert (answer.status_code, answer.json()["code"]) == (403, "account_needed")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"email": "ada"}, "email_invalid"),
        ({"email": "x" * 400}, "invalid"),
        ({"password": "short"}, "password_unfit"),
        ({"password": "x" * 2000}, "invalid"),
        ({"display_name": "a\x00b"}, "name_invalid"),
        ({"display_name": ""}, "name_invalid"),
    ],
)
async def test_what_cannot_be_registered(
    client: httpx.AsyncClient, outbox: Outbox, changes: dict[str, str], code: str
) -> None:
    answer = await register(client, changes.pop("email", address()), **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert outbox.mails == []


async def test_guessing_is_slowed_down_per_account_and_address(
    make_client: MakeClient,
) -> None:
    email = address()
    async with make_client() as guesser, make_client() as owner:
        await register(owner, email)
        codes = [(await enter(guesser, email, OTHER)).status_code for _ in range(11)]
        assert codes == [401] * 10 + [429]
        blocked = await enter(guesser, email.upper())
        assert blocked.status_code == 429
        assert 1 <= int(blocked.headers["retry-after"]) <= 90
        assert (await enter(owner, email)).status_code == 201


async def test_one_mailbox_is_not_flooded(client: httpx.AsyncClient, outbox: Outbox) -> None:
    email = address()
    codes = [
        (await client.post("/v1/accounts/password-reset", json={"email": email})).status_code
        for _ in range(6)
    ]
    assert codes == [202] * 5 + [429]


async def test_no_secret_is_stored_or_logged(
    client: httpx.AsyncClient,
    database: Database,
    outbox: Outbox,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    email = address()
    await register(client, email)
    token = (await enter(client, email)).json()["token"]
    await client.get("/v1/me")
    await client.get("/v1/me", headers=bearer(token[:-1]))
    secrets = [PASSWORD, token, token[3:], outbox.mails[0].token[3:], SECRET.decode()]
    async with database.transaction() as session:
        for table in ("user_account", "login_session", "mail_token", "rate_bucket"):
            rows = await session.scalars(sa.text(f"select row_to_json(t)::text from {table} t"))
            text = "\n".join(rows)
            assert not [secret for secret in secrets if secret in text]
            assert table == "user_account" or email not in text
    ours = [record.getMessage() for record in caplog.records if record.name != "httpx"]
    assert not [s for s in [*secrets, email] if s in "\n".join(ours)]


def test_every_route_documents_its_refusals(settings: Settings, database: Database) -> None:
    document = make_app(settings, database, Outbox()).openapi()
    operations = [
        operation
        for path, methods in document["paths"].items()
        if path.startswith("/v1/") and path != "/v1/oidc"
        for operation in methods.values()
    ]
    assert len(operations) >= 14
    for operation in operations:
        assert operation["summary"]
        assert operation["tags"]
        assert [status for status in operation["responses"] if status >= "4"]
