"""Signing in at a provider that really runs, honest and not."""

import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from core.auth.accounts import register
from core.auth.letters import Letters
from core.auth.models import OidcIdentity, User
from core.auth.oidc import FLOW_SECONDS, new_flow, seal_flow
from core.authorities import authorities
from core.db import Database
from core.settings import OidcProvider
from tests.core.auth.conftest import SECRET, MakeClient
from tests.core.auth.forged_tokens import cut, hs256, hs256_client, strange_key, unsigned
from tests.core.auth.openid_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    Behavior,
    OpenIdProvider,
    serve_provider,
)
from tests.core.auth.outbox import Outbox
from tests.factories import make_user, sign_in

PASSWORD = "a good long passphrase"


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[OpenIdProvider]:
    async with serve_provider() as provider:
        yield provider


@pytest.fixture
def provider(running: OpenIdProvider) -> OpenIdProvider:
    """Honest at first, and with a person of its own for every test."""
    running.behavior = Behavior(claims={"sub": uuid4().hex})
    return running


def configured(provider: OpenIdProvider, name: str = "example") -> OidcProvider:
    return OidcProvider(
        name=name,
        issuer=provider.issuer,
        client_id=CLIENT_ID,
        client_secret=SecretStr(CLIENT_SECRET),
    )


@pytest.fixture
async def browser(
    make_client: MakeClient, provider: OpenIdProvider
) -> AsyncIterator[httpx.AsyncClient]:
    providers = (configured(provider), configured(provider, "second"))
    async with make_client(oidc=providers) as client:
        yield client


async def leave(browser: httpx.AsyncClient, goal: str = "/rooms/1") -> str:
    """From our login to the provider and back: the callback's URL that it sends us to."""
    answer = await browser.get("/v1/oidc/example/login", params={"next": goal})
    assert answer.status_code == 302
    async with httpx.AsyncClient(verify=authorities()) as outside:
        back = await outside.get(answer.headers["location"])
    assert back.status_code == 302
    return str(back.headers["location"])


async def through(browser: httpx.AsyncClient, goal: str = "/rooms/1") -> httpx.Response:
    return await browser.get(await leave(browser, goal))


async def me(browser: httpx.AsyncClient) -> dict[str, Any]:
    user: dict[str, Any] = (await browser.get("/v1/me")).json()["user"]
    return user


async def test_a_new_person_signs_in_and_comes_back_to_the_page(
    browser: httpx.AsyncClient, provider: OpenIdProvider
) -> None:
    email = f"{uuid4().hex}@example.org"
    provider.behavior.claims |= {"email": email, "email_verified": True}
    answer = await through(browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/rooms/1")
    cookies = answer.headers.get_list("set-cookie")
    assert [c for c in cookies if c.startswith("encore_session=es_") and "HttpOnly" in c]
    assert [c for c in cookies if c.startswith("encore_oidc=") and "Max-Age=0" in c]
    user = await me(browser)
    assert (user["display_name"], user["email"]) == ("Ada Lovelace", email)
    assert user["email_verified_at"]


async def test_the_same_identity_is_the_same_person(
    browser: httpx.AsyncClient, provider: OpenIdProvider
) -> None:
    await through(browser)
    first = await me(browser)
    provider.behavior.claims |= {"name": "Countess", "email": "new@example.org"}
    await through(browser)
    assert await me(browser) == first


async def test_what_leaves_for_the_provider(
    browser: httpx.AsyncClient, provider: OpenIdProvider
) -> None:
    answer = await browser.get("/v1/oidc/example/login")
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked["redirect_uri"] == ["http://encore.test/v1/oidc/example/callback"]
    assert asked["scope"] == ["openid email profile"]
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["state"][0]) >= 43
    assert len(asked["nonce"][0]) >= 43
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/v1/oidc"} <= set(cookie.split("; "))
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("said", [True, "true"])
async def test_a_verified_address_leads_to_the_existing_account(
    browser: httpx.AsyncClient,
    provider: OpenIdProvider,
    database: Database,
    encore: UUID,
    said: object,
) -> None:
    async with database.transaction() as session:
        ada = await _on(session, encore)
    email = (ada.email or "").upper()
    provider.behavior.claims |= {"email": email, "email_verified": said}
    await through(browser)
    assert (await me(browser))["id"] == str(ada.id)


@pytest.mark.parametrize("said", [None, False, "false", "yes", 1.5, []])
async def test_an_unverified_address_leads_to_an_account_of_its_own(
    browser: httpx.AsyncClient,
    provider: OpenIdProvider,
    database: Database,
    encore: UUID,
    said: object,
) -> None:
    async with database.transaction() as session:
        ada = await _on(session, encore)
    provider.behavior.claims |= {"email": ada.email, "email_verified": said}
    await through(browser)
    user = await me(browser)
    assert user["id"] != str(ada.id)
    assert user["email"] is None


async def test_whoever_squatted_on_the_address_is_out(
    browser: httpx.AsyncClient,
    provider: OpenIdProvider,
    database: Database,
    encore: UUID,
    letters: Letters,
    outbox: Outbox,
) -> None:
    email = f"{uuid4().hex}@example.org"
    async with database.transaction() as session:
        await register(
            session,
            letters,
            platform_id=encore,
            email=email,
            password=PASSWORD,
            display_name="Mallory",
        )
        mallory = (await session.scalars(sa.select(User).where(User.email == email))).one()
        stolen = await sign_in(session, mallory)
    provider.behavior.claims |= {"email": email, "email_verified": True}
    await through(browser)
    assert (await me(browser))["id"] == str(mallory.id)
    headers = {"Authorization": f"Bearer {stolen}"}
    assert (await browser.get("/v1/me", headers=headers)).status_code == 401
    again = {"email": email, "password": PASSWORD}
    assert (await browser.post("/v1/sessions", json=again)).status_code == 401
    link = {"token": outbox.mails[0].token}
    assert (await browser.post("/v1/accounts/verify", json=link)).status_code == 422


async def test_a_disabled_account_stays_out(
    browser: httpx.AsyncClient, provider: OpenIdProvider, database: Database
) -> None:
    await through(browser)
    user = await me(browser)
    async with database.transaction() as session:
        await session.execute(
            sa.update(User).where(User.id == UUID(user["id"])).values(disabled_at=sa.func.now())
        )
    answer = await through(browser)
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_failed")


LIES: list[tuple[str, Behavior]] = [
    ("wrong nonce", Behavior(claims={"nonce": "another"})),
    ("no nonce", Behavior(claims={"nonce": None})),
    ("listed nonce", Behavior(claims={"nonce": ["another"]})),
    ("wrong audience", Behavior(claims={"aud": "another-client"})),
    ("no audience", Behavior(claims={"aud": None})),
    ("empty audience", Behavior(claims={"aud": []})),
    ("shared audience without azp", Behavior(claims={"aud": [CLIENT_ID, "another"]})),
    ("another azp", Behavior(claims={"azp": "another-client"})),
    ("expired", Behavior(claims={"exp": int(time.time()) - 120})),
    ("no expiry", Behavior(claims={"exp": None})),
    ("from the future", Behavior(claims={"iat": int(time.time()) + 3600})),
    ("wrong issuer", Behavior(claims={"iss": "https://evil.example"})),
    ("no subject", Behavior(claims={"sub": None})),
    ("numeric subject", Behavior(claims={"sub": 7})),
    ("control characters", Behavior(claims={"sub": "a\x00"})),
    ("long subject", Behavior(claims={"sub": "x" * 300})),
    ("alg none", Behavior(sign=unsigned)),
    ("public key as secret", Behavior(sign=hs256)),
    ("client secret as key", Behavior(sign=hs256_client)),
    ("strange key", Behavior(sign=strange_key)),
    ("cut signature", Behavior(sign=cut)),
    ("no ID token", Behavior(answer={"access_token": "x", "token_type": "Bearer"})),
    ("ID token of another type", Behavior(answer={"access_token": "x", "id_token": 7})),
]


@pytest.mark.parametrize(("lie", "behavior"), LIES, ids=[lie for lie, _ in LIES])
async def test_a_lying_provider_signs_nobody_in(
    browser: httpx.AsyncClient, provider: OpenIdProvider, lie: str, behavior: Behavior
) -> None:
    provider.behavior = behavior
    answer = await through(browser)
    assert (answer.status_code, answer.json()["code"]) == (401, "oidc_id_token_invalid"), lie
    assert "encore_session" not in browser.cookies


async def test_an_audience_shared_with_us_as_the_party(
    browser: httpx.AsyncClient, provider: OpenIdProvider
) -> None:
    provider.behavior.claims |= {"aud": [CLIENT_ID, "another"], "azp": CLIENT_ID}
    assert (await through(browser)).status_code == 303


async def test_a_rotated_key_is_read_anew(
    browser: httpx.AsyncClient, provider: OpenIdProvider
) -> None:
    assert (await through(browser)).status_code == 303
    reads = provider.key_reads
    provider.rotate_key()
    assert (await through(browser)).status_code == 303
    assert (await through(browser)).status_code == 303
    assert provider.key_reads == reads + 1


async def test_the_callback_belongs_to_the_browser_that_left(
    browser: httpx.AsyncClient, make_client: MakeClient, provider: OpenIdProvider
) -> None:
    url = await leave(browser)
    code = parse_qs(urlsplit(url).query)["code"][0]
    wrong = [
        f"/v1/oidc/example/callback?code={code}&state=another",
        f"/v1/oidc/example/callback?code={code}",
        f"/v1/oidc/example/callback?code={code}&state=%ED%A0%80",
        url.replace("/example/", "/second/"),
        url + "&iss=https%3A%2F%2Fevil.example",
    ]
    for attempt in wrong:
        answer = await browser.get(attempt)
        assert (answer.status_code, answer.json()["code"]) == (401, "oidc_flow_invalid")
    async with make_client(oidc=(configured(provider),)) as victim:
        answer = await victim.get(url)
        assert answer.json()["code"] == "oidc_flow_invalid"
        assert "encore_session" not in victim.cookies
    assert (await browser.get(url)).status_code == 303


async def test_a_code_works_once(browser: httpx.AsyncClient) -> None:
    url = await leave(browser)
    cookie = {"Cookie": f"encore_oidc={browser.cookies['encore_oidc']}"}
    assert (await browser.get(url)).status_code == 303
    answer = await browser.get(url, headers=cookie)
    assert (answer.status_code, answer.json()["code"]) == (401, "oidc_refused")


async def test_a_refusal_at_the_provider(browser: httpx.AsyncClient) -> None:
    url = await leave(browser)
    state = parse_qs(urlsplit(url).query)["state"][0]
    answer = await browser.get(f"/v1/oidc/example/callback?error=access_denied&state={state}")
    assert (answer.status_code, answer.json()["code"]) == (401, "oidc_refused")


async def test_flow_cookies_are_ours_and_fresh(
    browser: httpx.AsyncClient, provider: OpenIdProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = new_flow(configured(provider), "/")
    fresh = seal_flow(SECRET, flow)
    forged = seal_flow(b"another installation's secret, longer than that", flow)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - FLOW_SECONDS - 1)
    stale = seal_flow(SECRET, flow)
    monkeypatch.undo()
    path = f"/v1/oidc/example/callback?state={flow.state}&code=invented"
    codes = [
        (await browser.get(path, headers={"Cookie": f"encore_oidc={cookie}"})).json()["code"]
        for cookie in (forged, stale, fresh[:-2], "", fresh)
    ]
    assert codes == ["oidc_flow_invalid"] * 4 + ["oidc_refused"]


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": None},
    ],
)
async def test_discovery_is_checked(
    browser: httpx.AsyncClient, make_client: MakeClient, discovery: dict[str, Any]
) -> None:
    async with serve_provider() as other:
        other.behavior.discovery = discovery
        async with make_client(oidc=(configured(other),)) as client:
            answer = await client.get("/v1/oidc/example/login")
    assert (answer.status_code, answer.json()["code"]) == (503, "oidc_provider_unavailable")


async def test_a_provider_that_is_away(make_client: MakeClient) -> None:
    async with serve_provider() as other:
        other.behavior.down = True
        async with make_client(oidc=(configured(other),)) as client:
            down = await client.get("/v1/oidc/example/login")
    async with make_client(oidc=(configured(other),)) as client:
        gone = await client.get("/v1/oidc/example/login")
    assert [down.json()["code"], gone.json()["code"]] == ["oidc_provider_unavailable"] * 2


async def test_a_provider_that_goes_away_in_between(
    browser: httpx.AsyncClient, provider: OpenIdProvider
) -> None:
    url = await leave(browser)
    provider.behavior.down = True
    answer = await browser.get(url)
    assert (answer.status_code, answer.json()["code"]) == (503, "oidc_provider_unavailable")


async def test_providers_are_listed_without_their_secrets(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/v1/oidc")
    assert [item["title"] for item in answer.json()["items"]] == ["Example", "Second"]
    assert CLIENT_SECRET not in answer.text
    answer = await browser.get("/v1/oidc/unknown/login")
    assert (answer.status_code, answer.json()["code"]) == (404, "oidc_provider_unknown")


async def test_an_identity_row_holds_no_token(
    browser: httpx.AsyncClient,
    provider: OpenIdProvider,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    url = await leave(browser)
    await browser.get(url)
    async with database.transaction() as session:
        subject = provider.behavior.claims["sub"]
        found = await session.scalars(
            sa.select(OidcIdentity).where(OidcIdentity.subject == subject)
        )
        assert found.one().issuer == provider.issuer
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("core")]
    assert not [message for message in ours if subject in message or "Ada" in message]


async def _on(session: Any, platform_id: UUID) -> User:
    user = await make_user(session)
    user.platform_id = platform_id
    await session.flush()
    return user
