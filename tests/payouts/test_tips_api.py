"""Tips over HTTP: what is asked and answered, refusals with their codes, and the stream at once."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

import payouts.tips_api
from core.auth.models import User
from core.auth.principal import Principal
from core.db import Database
from core.listen import Listener
from payouts.tip_jar import open_tip_jar
from rooms.events import DURABLE_CHANNEL, LIVE_CHANNEL
from rooms.feed import FeedHub
from rooms.participation import join_room
from tests.factories import make_user, sign_in
from tests.payouts.tipping import Hall, make_hall
from tests.rooms.serving import in_process, make_app
from tests.rooms.tapes import listening

Json = dict[str, Any]


@dataclass
class Counter:
    """A committed hall; its host, a fan with 1,000 Stars and a viewer are signed in."""

    database: Database
    http: httpx.AsyncClient
    hall: Hall
    fan: Principal
    bearers: dict[str, str]

    async def call(
        self, who: str, method: str, path: str, body: Json | None = None, *, status: int = 200
    ) -> Json:
        headers = {"Authorization": f"Bearer {self.bearers[who]}"}
        answer = await self.http.request(method, path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        found: Json = answer.json() if answer.content else {}
        return found

    async def tip(self, *, status: int = 201, **wish: Any) -> Json:
        body = {"client_key": uuid4().hex, "stars": 10} | wish
        return await self.call("fan", "POST", self.room + "/tips", body, status=status)

    @property
    def room(self) -> str:
        return f"/rooms/{self.hall.room.id}"


@pytest.fixture
async def counter(database: Database, tmp_path: Path) -> AsyncIterator[Counter]:
    async with database.transaction() as session:
        hall = await make_hall(session)
        fan = await hall.fan(name="Ada")
        people = {"host": hall.house.host, "fan": await session.get_one(User, fan.user_id)}
        people["viewer"] = await make_user(session, hall.house.platform)
        bearers = {name: await sign_in(session, user) for name, user in people.items()}
    app = make_app(database, tmp_path)
    app.state.tip_jar = open_tip_jar(app.state.services.settings, database)
    app.include_router(payouts.tips_api.router)
    async with in_process(app) as http:
        yield Counter(database, http, hall, fan, bearers)


async def test_a_tip_its_thanks_and_its_lists(counter: Counter) -> None:
    goal = {"title": "A boat", "target_stars": 50}
    await counter.call("host", "PUT", counter.room + "/goal", goal)
    wish: Json = {"client_key": "a-key-of-mine", "stars": 60, "message": "well said"}
    tip = await counter.tip(**wish)
    assert await counter.tip(**wish) == tip
    assert (tip["name"], tip["mine"], tip["live"], tip["tier"]["name"]) == (
        "Ada",
        True,
        True,
        "flame",
    )
    thanked = await counter.call("host", "POST", f"{counter.room}/tips/{tip['id']}/thanks")
    assert thanked["thanked_at"]
    hidden = await counter.tip(anonymous=True, message="a secret")
    page = await counter.call("viewer", "GET", counter.room + "/tips?limit=1")
    rest = await counter.call("viewer", "GET", f"{counter.room}/tips?after={page['next']}")
    assert [each["id"] for each in page["items"] + rest["items"]] == [tip["id"], hidden["id"]]
    assert page["items"] == [thanked | {"mine": False}]
    assert (rest["items"][0]["name"], rest["items"][0]["user_id"]) == (None, None)
    assert (rest["total_stars"], rest["next"]) == (70, None)
    mine = await counter.call("fan", "GET", "/tips")
    assert [each["name"] for each in mine["items"]] == ["Ada", "Ada"]
    raised = (await counter.call("viewer", "GET", counter.room + "/goal"))["goal"]
    assert (raised["raised_stars"], raised["reached_at"] is not None) == (70, True)
    room, creator = [
        await counter.call("viewer", "GET", path + "/supporters")
        for path in (counter.room, f"/creators/{counter.hall.room.host_id}")
    ]
    assert room == creator
    assert room["items"] == [
        {"user_id": str(counter.fan.user_id), "name": "Ada", "stars": 60, "tips": 1}
    ]
    assert (room["anonymous_stars"], room["total_stars"]) == (10, 70)


async def test_a_board_is_read_anew_when_something_has_happened(counter: Counter) -> None:
    async def stars(query: str = "") -> int:
        path = f"{counter.room}/supporters{query}"
        found = await counter.call("viewer", "GET", path)
        return sum(each["stars"] for each in found["items"])

    await counter.tip()
    assert [await stars(), await stars("?present=true")] == [10, 0]
    await counter.tip()
    async with counter.database.transaction() as session:
        await join_room(session, principal=counter.fan, room_id=counter.hall.room.id)
    assert [await stars(), await stars(), await stars("?present=true")] == [20, 20, 20]
    await counter.tip()
    assert await stars("?present=true&limit=1") == 30


async def test_refusals_have_codes(counter: Counter, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await counter.tip(client_key="a-key-of-mine", stars=50, message="x" * 120)
    for wish, code, next_step in (
        ({"client_key": "a-key-of-mine"}, "tip_differs", "send a new one"),
        ({"stars": 5_000}, "stars_missing", "buy some first"),
        (
            {"stars": 1, "message": "x" * 41},
            "message_too_long",
            "1 Star there is room for 40: shor",
        ),
    ):
        problem = await counter.tip(status=422 if "message" in wish else 409, **wish)
        assert (problem["code"], next_step in problem["detail"]) == (code, True)
        assert "xxx" not in str(problem), "what was written is not repeated"
    for wish, status, code in (
        ({"media_ms": 5}, 404, "not_recorded"),
        ({"media_ms": 5, "heard_at": "2026-11-22T10:00:00Z"}, 422, "invalid"),
        ({"heard_at": "2026-11-22T10:00:00"}, 422, "invalid"),
        ({"heard_at": "0001-01-01T00:00:00+14:00"}, 422, "invalid"),
        ({"stars": 0}, 422, "invalid"),
        ({"stars": 10, "to": "me"}, 422, "invalid"),
    ):
        problem = await counter.tip(status=status, **wish)
        assert problem["code"] == code
    assert "xxx" not in caplog.text, "nor logged"
    await counter.call("host", "POST", counter.room + "/tips", {
        "client_key": uuid4().hex, "stars": 10,
    }, status=403)  # fmt: skip
    await counter.call("viewer", "GET", counter.room + "/tips?after=1_x", status=422)
    host = counter.hall.room.host_id
    problem = await counter.call(
        "viewer", "GET", f"/creators/{host}/supporters?month=x", status=422
    )
    assert problem["code"] == "no_month"


async def test_one_lowers_what_one_may_spend(counter: Counter) -> None:
    await counter.tip(stars=30)
    before = await counter.call("fan", "GET", "/wallet/limits")
    assert before["hour"] == {"limit_stars": 10_000, "own_stars": None, "spent_stars": 30}
    own = {"hour_stars": 35, "day_stars": None}
    after = await counter.call("fan", "PUT", "/wallet/limits", own)
    assert after["hour"] == {"limit_stars": 35, "own_stars": 35, "spent_stars": 30}
    problem = await counter.tip(stars=6, status=409)
    assert (problem["code"], problem["left_stars"]) == ("spending_limit_reached", 5)
    assert problem["detail"].endswith("You set this limit: your wallet changes it.")
    await counter.tip(stars=5)


async def test_the_room_hears_of_it_at_once(counter: Counter) -> None:
    listener = Listener(counter.database.url, (DURABLE_CHANNEL, LIVE_CHANNEL))
    listener.start()
    await asyncio.wait_for(listener.connected.wait(), 10)
    hub = FeedHub(counter.database, listener)
    async with listening(hub, counter.hall.room) as tape:
        await counter.tip(message="well said")
        await tape.shows("well said")
    await listener.stop()


async def test_what_stars_buy_is_documented(counter: Counter) -> None:
    tiers = await counter.call("viewer", "GET", "/stars/tiers")
    assert [tier["from_stars"] for tier in tiers["tiers"]] == sorted(
        tier["from_stars"] for tier in tiers["tiers"]
    )
    assert tiers["most_stars"] == 1_000_000
