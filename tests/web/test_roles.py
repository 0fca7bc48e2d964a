"""Who may do what: every endpoint of the API for every role, as one table.

A new endpoint fails `test_the_table_is_complete` until it has its row here. What a role is
allowed to change it changes in a live room of its own, so the next finds all as it was.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from pydantic import SecretStr

from core.auth.models import Platform
from core.auth.platforms import ensure_default_platform
from core.db import Database
from core.http import Services
from core.server import TRANSPORT
from core.settings import Settings
from rooms.models import Visibility
from tests.factories import make_platform, make_user
from tests.web.world import World, give_stars
from web.app import create_app

ROLES: Final = (
    "stranger", "outsider", "listener", "speaker", "cohost", "host", "other_host", "api_key",
    "admin",
)  # fmt: skip
"""`outsider` is signed in on this platform but not in the room; `other_host` hosts on another."""

NOT_JSON: Final = {"GET /v1/rooms/{room}/events"}

# One row per endpoint: status by role, in the order of ROLES. A `.` stands for 404: this
# caller may not know of the room. OIDC and mailed links need no caller: they stand as public.
PUBLIC: Final[dict[str, str]] = {
    #                                         stran outsi liste speak cohos host  other key   admin
    "GET /v1/rooms":                         "200   200   200   200   200   200   200   200   200",
    "POST /v1/rooms":                        "401   201   201   201   201   201   201   422   201",
    "GET /v1/rooms/{room}":                  "200   200   200   200   200   200   .     200   200",
    "PATCH /v1/rooms/{room}":                "401   403   403   403   403   200   .     200   403",
    "DELETE /v1/rooms/{room}":               "401   403   403   403   403   409   .     409   403",
    "POST /v1/rooms/{room}/live":            "401   403   403   403   403   409   .     409   403",
    "POST /v1/rooms/{room}/end":             "401   403   403   403   403   200   .     200   200",
    "PUT /v1/rooms/{room}/recording":        "401   403   403   403   200   200   .     200   200",
    "POST /v1/rooms/{room}/join":            "401   200   200   200   200   200   .     403   200",
    "POST /v1/rooms/{room}/leave":           "401   204   204   204   204   204   .     403   204",
    "PUT /v1/rooms/{room}/consent":          "401   403   200   200   200   200   .     403   403",
    "PUT /v1/rooms/{room}/hand":             "401   403   200   409   409   409   .     403   403",
    "GET /v1/rooms/{room}/participants":     "200   200   200   200   200   200   .     200   200",
    "PATCH /v1/rooms/{room}/participants/{guest}":
                                             "401   403   403   403   200   200   .     200   200",
    "DELETE /v1/rooms/{room}/participants/{guest}":
                                             "401   403   403   403   204   204   .     204   204",
    "POST /v1/rooms/{room}/invitations":     "401   403   403   403   201   201   .     201   201",
    "POST /v1/rooms/{room}/invitations/accept":
                                             "401   403   403   403   403   403   .     403   403",
    "POST /v1/rooms/{room}/invitations/decline":
                                             "401   403   403   403   403   403   .     403   403",
    "DELETE /v1/rooms/{room}/invitations/{guest}":
                                             "401   403   403   403   204   204   .     204   204",
    "POST /v1/rooms/{room}/tokens":          "401   403   403   403   403   403   403   201   403",
    "GET /v1/rooms/{room}/history":          "200   200   200   200   200   200   .     200   200",
    "GET /v1/rooms/{room}/events":           "200   200   200   200   200   200   .     200   200",
    "POST /v1/rooms/{room}/publish":         "401   403   403   200   200   200   .     403   403",
    "GET /v1/rooms/{room}/listen":           "200   200   200   200   200   200   .     200   200",
    "GET /v1/rooms/{room}/captions":         "200   200   200   200   200   200   .     200   200",
    "GET /v1/rooms/{room}/replay.m3u8":      "302   302   302   302   302   302   .     302   302",
    "GET /v1/recordings/{recording}":        "200   200   200   200   200   200   .     200   200",
    "GET /v1/search?q=boat":                 "200   200   200   200   200   200   200   200   200",
    "POST /v1/recordings/{recording}/transcript/edits":
                                             "401   403   403   403   201   201   .     403   201",
    "GET /v1/recordings/{recording}/transcript/edits":
                                             "401   403   200   200   200   200   .     403   200",
    "DELETE /v1/recordings/{recording}/transcript/edits/{edit}":
                                             "401   403   403   403   200   200   .     403   200",
    "POST /v1/recordings/{recording}/transcript/edits/{edit}/keep":
                                             "401   403   403   403   409   409   .     403   409",
    "PUT /v1/recordings/{recording}/transcript/speakers/{guest}":
                                             "401   403   403   403   200   200   .     403   200",
    "GET /v1/recordings/{recording}/transcript":
                                             "200   200   200   200   200   200   .     200   200",
    "GET /v1/recordings/{recording}/transcript.{extension}":
                                             "200   200   200   200   200   200   .     200   200",
    "GET /v1/recordings/{recording}/transcript/status":
                                             "200   200   200   200   200   200   .     200   200",
    "GET /v1/recordings/{recording}/transcript/cues":
                                             "200   200   200   200   200   200   .     200   200",
    "GET /v1/recordings/{recording}/transcript/runs":
                                             "401   403   403   403   403   200   .     200   200",
    "POST /v1/recordings/{recording}/transcript/runs":
                                             "401   403   403   403   403   409   .     409   409",
    "POST /v1/recordings/{recording}/transcript/runs/{missing}/publish":
                                             "401   403   403   403   403   .     .     .     .  ",
    "PUT /v1/recordings/{recording}/tracks/{guest}/language":
                                             "401   403   403   403   403   204   .     204   204",
    "PUT /v1/rooms/{room}/participants/{guest}/language":
                                             "401   403   403   403   403   204   .     204   204",
    "GET /v1/groups":                        "200   200   200   200   200   200   200   200   200",
    "POST /v1/groups":                       "401   201   201   201   201   201   201   201   201",
    "PUT /v1/groups/{group}/members/{user}": ".     .     403   403   403   204   .     204   204",
    "DELETE /v1/groups/{group}/members/{user}":
                                             ".     .     403   403   403   204   .     204   204",
    "GET /v1/stars/packs":                   "200   200   200   200   200   200   200   200   200",
    "POST /v1/orders":                       "401   503   503   503   503   503   503   403   503",
    "GET /v1/orders":                        "401   200   200   200   200   200   200   403   200",
    "GET /v1/orders/{order}":                "401   .     200   .     .     .     .     403   .  ",
    "POST /v1/orders/{order}/refunds":       "401   503   503   503   503   503   503   403   503",
    "GET /v1/orders/{order}/receipt":        "401   .     200   .     .     .     .     403   .  ",
    "GET /v1/wallet":                        "401   200   200   200   200   200   200   403   200",
    "GET /v1/wallet/history":                "401   200   200   200   200   200   200   403   200",
    "GET /v1/creators/me/earnings":          "401   200   200   200   200   200   200   403   200",
    "GET /v1/creators/me/earnings/rooms":    "401   200   200   200   200   200   200   403   200",
    "GET /v1/creators/me/earnings/rooms/{room}":
                                             "401   .     .     .     .     .     .     403   .  ",
    "GET /v1/creators/me/statements":        "401   200   200   200   200   200   200   403   200",
    "GET /v1/creators/me/statements/{month}":
                                             "401   200   200   200   200   200   200   403   200",
    "GET /v1/creators/me/statements/{month}.csv":
                                             "401   200   200   200   200   200   200   403   200",
    "GET /v1/creators/me/statements/{month}/entries.csv":
                                             "401   200   200   200   200   200   200   403   200",
    "POST /v1/creators/me/leave":            "401   409   409   409   409   409   409   403   409",
    "GET /v1/stars/tiers":                   "200   200   200   200   200   200   200   200   200",
    "POST /v1/rooms/{room}/tips":            "401   201   201   201   201   403   .     403   201",
    "GET /v1/rooms/{room}/tips":             "200   200   200   200   200   200   .     200   200",
    "POST /v1/rooms/{room}/tips/{tip}/thanks":
                                             "401   403   403   403   403   200   .     403   403",
    "DELETE /v1/rooms/{room}/tips/{tip}/message":
                                             "401   403   403   403   204   204   .     204   204",
    "GET /v1/rooms/{room}/goal":             "200   200   200   200   200   200   .     200   200",
    "PUT /v1/rooms/{room}/goal":             "401   403   403   403   403   200   .     200   403",
    "DELETE /v1/rooms/{room}/goal":          "401   403   403   403   403   204   .     204   403",
    "GET /v1/rooms/{room}/supporters":       "200   200   200   200   200   200   .     200   200",
    "GET /v1/creators/{user}/supporters":    "200   200   200   200   200   200   200   200   200",
    "GET /v1/tips":                          "401   200   200   200   200   200   200   403   200",
    "GET /v1/wallet/limits":                 "401   200   200   200   200   200   200   403   200",
    "PUT /v1/wallet/limits":                 "401   200   200   200   200   200   200   403   200",
    "GET /v1/creators/me/onboarding":        "401   200   200   200   200   200   200   403   200",
    "POST /v1/creators/me/onboarding":       "401   503   503   503   503   503   503   403   503",
    "POST /v1/creators/me/dashboard":        "401   503   503   503   503   503   503   403   503",
    "GET /v1/me":                            "401   200   200   200   200   200   200   200   200",
    "PATCH /v1/me":                          "401   200   200   200   200   200   200   403   200",
    "POST /v1/me/password":                  "401   403   403   403   403   403   403   403   403",
    "POST /v1/sessions/current":             "401   201   201   201   201   201   201   403   201",
    "DELETE /v1/sessions/current":           "401   204   204   204   204   204   204   403   204",
    "GET /v1/api-keys":                      "401   403   403   403   403   403   403   200   200",
    "POST /v1/api-keys":                     "401   403   403   403   403   403   403   201   201",
    "DELETE /v1/api-keys/{missing}":         "401   403   403   403   403   403   403   .     .  ",
    "PUT /v1/users/{external}":              "401   403   403   403   403   403   403   201   403",
    "GET /v1/webhook-endpoints":             "401   403   403   403   403   403   403   200   200",
    "POST /v1/webhook-endpoints":            "401   403   403   403   403   403   403   201   201",
    "DELETE /v1/webhook-endpoints/{missing}":
                                             "401   403   403   403   403   403   403   .     .  ",
    "POST /v1/webhook-endpoints/{missing}/rotate":
                                             "401   403   403   403   403   403   403   .     .  ",
    "POST /v1/webhook-endpoints/{missing}/enable":
                                             "401   403   403   403   403   403   403   .     .  ",
    "GET /v1/webhook-endpoints/{missing}/deliveries":
                                             "401   403   403   403   403   403   403   .     .  ",
}  # fmt: skip

OPEN_TO_ALL: Final = {
    "POST /v1/stripe/webhooks",
    "GET /healthz",
    "GET /readyz",
    "POST /v1/accounts",
    "POST /v1/accounts/verify",
    "POST /v1/accounts/password-reset",
    "POST /v1/accounts/password-reset/confirm",
    "POST /v1/sessions",
    "GET /v1/oidc",
    "GET /v1/oidc/{provider}/login",
    "GET /v1/oidc/{provider}/callback",
}
"""Who calls makes no difference: what they carry (a password, a mailed token) decides."""

BODIES: Final[dict[str, dict[str, Any]]] = {
    "POST /v1/rooms": {"title": "Another"},
    "PATCH /v1/rooms/{room}": {"title": "Renamed"},
    "PUT /v1/rooms/{room}/recording": {"state": "paused"},
    "PUT /v1/rooms/{room}/consent": {"consent": True},
    "PUT /v1/rooms/{room}/hand": {"raised": True},
    "PATCH /v1/rooms/{room}/participants/{guest}": {"role": "speaker"},
    "POST /v1/rooms/{room}/invitations": {"user_id": "{user}", "role": "speaker"},
    "POST /v1/rooms/{room}/tokens": {"external_user_id": "{external}", "display_name": "Guest"},
    "POST /v1/recordings/{recording}/transcript/edits": {
        "base_version": 2,
        "participant_id": "{guest}",
        "start_ms": 0,
        "end_ms": 300,
        "text": "goodbye",
    },
    "PUT /v1/recordings/{recording}/transcript/speakers/{guest}": {"name": "The guest"},
    "POST /v1/recordings/{recording}/transcript/runs": {"model": "bundled"},
    "PUT /v1/recordings/{recording}/tracks/{guest}/language": {"language": "it"},
    "PUT /v1/rooms/{room}/participants/{guest}/language": {"language": None},
    "POST /v1/groups": {"name": "Friends"},
    "POST /v1/orders": {"client_key": "a-key-of-mine", "pack": "usd-500"},
    "POST /v1/creators/me/leave": {},
    "POST /v1/rooms/{room}/tips": {"client_key": "{external}", "stars": 10},
    "PUT /v1/rooms/{room}/goal": {"title": "A boat", "target_stars": 100},
    "PUT /v1/wallet/limits": {"hour_stars": None, "day_stars": 1_000},
    "PATCH /v1/me": {"display_name": "Renamed"},
    "POST /v1/me/password": {"current": "not the one it is", "password": "x" * 20},
    "POST /v1/api-keys": {"name": "second", "scopes": ["rooms:read"]},
    "PUT /v1/users/{external}": {"display_name": "Guest"},
    "POST /v1/webhook-endpoints": {"url": "https://hooks.example.com/encore"},
}


@pytest.fixture(scope="module")
async def world(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    folder: Path = tmp_path_factory.mktemp("roles")
    settings = Settings(data_dir=folder, database_url=SecretStr(database.url))
    app = create_app(settings)
    async with database.transaction() as session:
        platform = await session.get_one(Platform, await ensure_default_platform(session))
        other = await make_platform(session)
        people = {
            name: await make_user(session, platform, display_name=name, admin=name == "admin")
            for name in ("outsider", "listener", "speaker", "cohost", "host", "admin")
        }
        people["other_host"] = await make_user(session, other, display_name="other_host")
        for person in people.values():
            await give_stars(session, person)
    async with app.router.lifespan_context(app):
        yield World(app, database, platform, people, other)
    services: Services = app.state.services
    await services.database.close()


def filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {k: filled(v, names) for k, v in value.items()}
    if isinstance(value, str) and value.startswith("{"):
        return value.format(**names)
    return value


async def status(world: World, endpoint: str, role: str, names: dict[str, str]) -> int:
    method, path = endpoint.split(" ")
    transport = httpx.ASGITransport(world.app)
    headers = await world.headers(role)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        if endpoint in NOT_JSON:
            return await stream_status(world, path.format(**names), headers)
        answer = await http.request(
            method, path.format(**names), headers=headers, json=filled(BODIES.get(endpoint), names)
        )
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"]
    return answer.status_code


async def stream_status(world: World, path: str, headers: dict[str, str]) -> int:
    """The status of an event stream, which is left as soon as it has begun."""
    ours, listeners = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "extensions": {TRANSPORT: transport},
    }
    begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    requests = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        for request in requests:
            return request
        await begun
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            begun.set_result(message["status"])

    with listeners:
        await world.app(scope, receive, send)
    transport.close()
    return await begun


def expected(row: str) -> dict[str, int]:
    cells = [404 if cell == "." else int(cell) for cell in row.split()]
    return dict(zip(ROLES, cells, strict=True))


def changes(endpoint: str, answer: int) -> bool:
    """Whether the next role would find the room otherwise."""
    return not endpoint.startswith("GET ") and "{" in endpoint and answer < 400


@pytest.mark.parametrize("endpoint", PUBLIC)
async def test_a_public_room(world: World, endpoint: str) -> None:
    wanted = expected(PUBLIC[endpoint])
    kept, seen = await world.room(Visibility.PUBLIC), {}
    for role, answer in wanted.items():
        changing = changes(endpoint, answer)
        names = await world.room(Visibility.PUBLIC) if changing else kept
        seen[role] = await status(world, endpoint, role, names)
    assert seen == wanted


@pytest.fixture(scope="module")
async def hidden(world: World) -> dict[str, str]:
    """A room of a group; whoever is refused leaves it as it is."""
    return await world.room(Visibility.GROUP)


@pytest.mark.parametrize("endpoint", [e for e in PUBLIC if "{room}" in e or "{recording}" in e])
@pytest.mark.parametrize("role", ["stranger", "outsider", "other_host"])
async def test_a_group_room_is_invisible_to_others(
    world: World, hidden: dict[str, str], endpoint: str, role: str
) -> None:
    """Not refused: unknown, exactly as a room that was never there."""
    absent = {**hidden, "room": hidden["missing"], "recording": hidden["missing"]}
    there = await status(world, endpoint, role, hidden)
    assert there == await status(world, endpoint, role, absent)
    assert there in (401, 403, 404), there


@pytest.mark.parametrize("role", ["stranger", "outsider", "other_host"])
async def test_a_group_room_is_in_no_list(world: World, hidden: dict[str, str], role: str) -> None:
    transport = httpx.ASGITransport(world.app)
    headers = await world.headers(role)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        page = await http.get("/v1/rooms?limit=100", headers=headers)
        front = await http.get("/", headers=headers)
        itself = await http.get(f"/rooms/{hidden['room']}", headers=headers)
    assert hidden["room"] not in page.text
    assert hidden["room"] not in front.text
    assert itself.status_code == 404


async def test_its_members_see_it(world: World, hidden: dict[str, str]) -> None:
    for role in ("listener", "speaker", "cohost", "host", "api_key", "admin"):
        assert await status(world, "GET /v1/rooms/{room}", role, hidden) == 200


def test_the_table_is_complete(world: World) -> None:
    named = {"room_id": "room", "recording_id": "recording", "participant_id": "guest"}
    named |= {"group_id": "group", "user_id": "user", "external_user_id": "external"}
    named |= {
        "key_id": "missing",
        "endpoint_id": "missing",
        "edit_id": "edit",
        "provider": "provider",
    }
    named |= {"run_id": "missing", "order_id": "order", "tip_id": "tip"}
    in_table = {
        f"{method.upper()} {path}"
        for path, methods in world.app.openapi()["paths"].items()
        for method in methods
    }
    for ours, theirs in named.items():
        in_table = {e.replace("{" + ours + "}", "{" + theirs + "}") for e in in_table}
    assert in_table == {endpoint.partition("?")[0] for endpoint in PUBLIC} | OPEN_TO_ALL
