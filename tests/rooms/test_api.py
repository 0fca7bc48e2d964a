"""Every endpoint x every caller, over HTTP with real credentials."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from core.settings import Environment
from tests.factories import make_user, sign_in
from tests.rooms.serving import in_process, make_app
from tests.rooms.world import Json, World, world

__all__ = ["world"]

CALLERS = (
    "stranger",
    "user",
    "listener",
    "speaker",
    "cohost",
    "host",
    "other_host",
    "admin",
    "key",
    "other_key",
    "token",
    "other_token",
)


def statuses(text: str) -> dict[str, int]:
    return dict(zip(CALLERS, map(int, text.split()), strict=True))


R = "/rooms/{room}"
P = R + "/participants/{target}"
PUBLIC: list[tuple[str, str, Json | None, str]] = [
    # method, path, body:     stranger user listener speaker cohost host other_host admin
    #                         key other_key token other_token
    ("GET", R, None, "200 200 200 200 200 200 404 200 200 404 200 200"),
    ("GET", R + "/participants", None, "200 200 200 200 200 200 404 200 200 404 200 200"),
    ("GET", R + "/history", None, "200 200 200 200 200 200 404 200 200 404 200 200"),
    ("PATCH", R, {"title": "New"}, "401 403 403 403 403 200 404 403 200 404 403 401"),
    ("DELETE", R, None, "401 403 403 403 403 409 404 403 409 404 403 401"),
    ("POST", R + "/live", None, "401 403 403 403 403 409 404 403 409 404 403 401"),
    ("POST", R + "/end", None, "401 403 403 403 403 200 404 200 200 404 403 401"),
    (
        "PUT",
        R + "/recording",
        {"state": "paused"},
        "401 403 403 403 200 200 404 200 200 404 403 401",
    ),
    ("PUT", R + "/recording", {"state": "off"}, "401 403 403 403 403 200 404 200 200 404 403 401"),
    ("POST", R + "/join", None, "401 200 200 200 200 200 404 200 403 404 200 401"),
    ("POST", R + "/leave", None, "401 204 204 204 204 204 404 204 403 404 204 401"),
    ("PUT", R + "/hand", {"raised": True}, "401 403 200 409 409 409 404 403 403 404 403 401"),
    ("PUT", R + "/consent", {"consent": True}, "401 403 200 200 200 200 404 403 403 404 403 401"),
    ("POST", R + "/invitations/accept", None, "401 403 403 403 403 403 404 403 403 404 403 401"),
    ("POST", R + "/invitations/decline", None, "401 403 403 403 403 403 404 403 403 404 403 401"),
    (
        "DELETE",
        R + "/invitations/{target}",
        None,
        "401 403 403 403 204 204 404 204 204 404 403 401",
    ),
    ("PATCH", P, {"role": "listener"}, "401 403 403 403 200 200 404 200 200 404 403 401"),
    ("PATCH", P, {"role": "cohost"}, "401 403 403 403 403 200 404 403 200 404 403 401"),
    ("PATCH", P, {"muted": True}, "401 403 403 403 200 200 404 200 200 404 403 401"),
    ("PATCH", P, {"muted": False}, "401 403 403 403 403 403 404 403 403 404 403 401"),
    ("PATCH", P, {"hand_raised": False}, "401 403 403 403 200 200 404 200 200 404 403 401"),
    (
        "PATCH",
        R + "/participants/{speaker}",
        {"muted": True},
        "401 403 403 200 200 200 404 200 200 404 403 401",
    ),
    ("DELETE", P, None, "401 403 403 403 204 204 404 204 204 404 403 401"),
    (
        "DELETE",
        R + "/participants/{cohost}",
        None,
        "401 403 403 403 403 204 404 204 204 404 403 401",
    ),
    (
        "POST",
        R + "/tokens",
        {"external_user_id": "x-1", "display_name": "Ada"},
        "401 403 403 403 403 403 403 403 201 404 403 403",
    ),
]


def path_of(template: str, ids: dict[str, UUID]) -> str:
    return template.format(**{name: str(value) for name, value in ids.items()})


@pytest.mark.parametrize("caller", CALLERS)
async def test_every_endpoint_of_a_public_room(world: World, caller: str) -> None:
    wrong = []
    untouched = await world.room()
    for method, template, body, texts in PUBLIC:
        expected = statuses(texts)[caller]
        # What is refused changes nothing, so that room serves again.
        fresh = caller == "token" or (method != "GET" and expected < 300)
        ids = await world.room() if fresh else untouched
        answer = await world.call(caller, method, path_of(template, ids), body)
        if answer.status_code != expected:
            wrong.append((method, template, body, answer.status_code, answer.text))
    assert wrong == []


@pytest.mark.parametrize("caller", ["stranger", "user", "other_host", "other_key", "other_token"])
async def test_a_group_room_does_not_exist_for_others(world: World, caller: str) -> None:
    ids = await world.room(group=True)
    wrong = []
    for method, template, body, _ in PUBLIC:
        answer = await world.call(caller, method, path_of(template, ids), body)
        minting = template.endswith("/tokens") and caller != "other_key"
        if answer.status_code != 404 and not minting:
            wrong.append((method, template, answer.status_code))
    assert wrong == []
    listed = await world.call(caller, "GET", f"/rooms?host_id={world.people['host'].id}")
    assert str(ids["room"]) not in listed.text
    events = await world.call(caller, "GET", f"/rooms/{ids['room']}/events")
    missing = await world.call(caller, "GET", f"/rooms/{uuid4()}/events")
    assert (events.status_code, events.json()) == (404, missing.json()), "told apart from nothing"


@pytest.mark.parametrize("caller", ["listener", "speaker", "cohost", "host", "admin", "key"])
async def test_a_group_room_is_found_by_its_people(world: World, caller: str) -> None:
    ids = await world.room(group=True)
    listed = await world.call(caller, "GET", f"/rooms?host_id={world.people['host'].id}")
    assert str(ids["room"]) in [room["id"] for room in listed.json()["items"]]
    assert (await world.call(caller, "GET", f"/rooms/{ids['room']}")).status_code == 200


async def test_an_invitation_over_http(world: World) -> None:
    ids = await world.room()
    offer = {"user_id": str(world.people["user"].id), "role": "speaker"}
    path = f"/rooms/{ids['room']}/invitations"
    assert (await world.call("listener", "POST", path, offer)).status_code == 403
    assert (await world.call("cohost", "POST", path, offer)).status_code == 201
    joined = await world.call("user", "POST", f"{path}/accept")
    assert joined.json()["participant"]["on_stage"]


async def test_an_invitation_that_comes_to_nothing_over_http(world: World) -> None:
    ids = await world.room()
    offer = {"user_id": str(world.people["user"].id), "role": "speaker"}
    path = f"/rooms/{ids['room']}/invitations"
    place = (await world.call("cohost", "POST", path, offer)).json()["id"]
    assert (await world.call("user", "POST", f"{path}/decline")).status_code == 204
    await world.call("cohost", "POST", path, offer)
    assert (await world.call("user", "DELETE", f"{path}/{place}")).status_code == 403
    assert (await world.call("cohost", "DELETE", f"{path}/{place}")).status_code == 204
    assert (await world.call("user", "POST", f"{path}/accept")).status_code == 403
    assert (await world.call("cohost", "DELETE", f"{path}/{uuid4()}")).status_code == 404


@pytest.mark.parametrize(
    ("environment", "refused"), [(Environment.PRODUCTION, 403), (Environment.DEVELOPMENT, 201)]
)
async def test_in_production_hosts_have_confirmed_their_address(
    world: World, tmp_path: Path, environment: Environment, refused: int
) -> None:
    async with world.database.transaction() as session:
        newcomer = await make_user(session, world.platform, verified=False)
        world.bearers["newcomer"] = await sign_in(session, newcomer)
    named = {"title": "T", "host_id": str(newcomer.id)}
    async with in_process(make_app(world.database, tmp_path, environment)) as client:
        there = replace(world, client=client)
        answer = await there.call("newcomer", "POST", "/rooms", {"title": "T"})
        assert answer.status_code == refused
        assert answer.status_code == 201 or answer.json()["code"] == "email_not_verified"
        assert (await there.call("user", "POST", "/rooms", {"title": "T"})).status_code == 201
        assert (await there.call("key", "POST", "/rooms", named)).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {"title": ""},
        {"title": "   "},
        {"title": "x" * 141},
        {"title": "null\u0000"},
        {"title": "line\nbreak"},
        {"title": "turned \u202e round"},
        {"title": "T", "description": "x" * 2001},
        {"title": "T", "description": "bell \u0007"},
        {"title": "T", "topics": ["t"] * 9},
        {"title": "T", "topics": ["x" * 41]},
        {"title": "T", "topics": ["a\u0000"]},
        {"title": "T", "language": "not a language"},
        {"title": "T", "visibility": "secret"},
        {"title": "T", "visibility": "group"},
        {"title": "T", "group_id": str(uuid4())},
        {"title": "T", "scheduled_at": "2027-01-01T00:00:00"},
    ],
)
async def test_input_that_is_refused(world: World, body: Json) -> None:
    answer = await world.call("host", "POST", "/rooms", body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_room_as_it_is_shown(world: World) -> None:
    new = {
        "title": "  What the sea keeps ",
        "description": "Two\nlines",
        "topics": ["Diving", "diving", "history"],
        "language": "pt-BR",
        "scheduled_at": "2027-01-01T20:00:00+01:00",
    }
    answer = await world.call("host", "POST", "/rooms", new)
    shown = answer.json()
    assert answer.status_code == 201
    assert shown["title"] == "What the sea keeps"
    assert shown["topics"] == ["diving", "history"]
    assert (shown["state"], shown["host_name"], shown["last_seq"]) == ("scheduled", "host", 1)
    detail = (await world.call("host", "GET", f"/rooms/{shown['id']}")).json()
    assert detail["me"]["role"] == "host"
    assert (await world.call("host", "DELETE", f"/rooms/{shown['id']}")).status_code == 204
    assert (await world.call("host", "GET", f"/rooms/{shown['id']}")).status_code == 404


async def test_pages_join_without_overlap(world: World) -> None:
    made = [(await world.room(state="scheduled"))["room"] for _ in range(5)]
    seen: list[str] = []
    query = f"/rooms?host_id={world.people['host'].id}&limit=2"
    page = (await world.call("user", "GET", query)).json()
    while True:
        seen += [room["id"] for room in page["items"]]
        if page["next"] is None:
            break
        page = (await world.call("user", "GET", f"{query}&after={page['next']}")).json()
    assert sorted(seen) == sorted(map(str, made))
    assert len(set(seen)) == 5


async def test_lists_filter_by_state_and_topic(world: World) -> None:
    topic = uuid4().hex
    room = (await world.call("host", "POST", "/rooms", {"title": "T", "topics": [topic]})).json()
    found = await world.call("stranger", "GET", f"/rooms?topic={topic}&state=scheduled")
    assert [item["id"] for item in found.json()["items"]] == [room["id"]]
    none = await world.call("stranger", "GET", f"/rooms?topic={topic}&state=live")
    assert none.json() == {"items": [], "next": None}


@pytest.mark.parametrize("topic", ["%00", "a%00b", "x" * 41])
async def test_what_cannot_be_a_topic_is_not_searched_for(world: World, topic: str) -> None:
    answer = await world.call("stranger", "GET", f"/rooms?topic={topic}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_an_unlisted_room_opens_by_link_only(world: World) -> None:
    body = {"title": "T", "visibility": "unlisted", "topics": [uuid4().hex]}
    room = (await world.call("host", "POST", "/rooms", body)).json()
    query = f"/rooms?topic={room['topics'][0]}"
    assert (await world.call("user", "GET", query)).json()["items"] == []
    assert len((await world.call("host", "GET", query)).json()["items"]) == 1
    assert (await world.call("stranger", "GET", f"/rooms/{room['id']}")).status_code == 200


async def test_history_is_paged_in_order(world: World) -> None:
    ids = await world.room()
    seqs: list[int] = []
    after: int | None = 0
    while after is not None:
        path = f"/rooms/{ids['room']}/history?limit=3&after={after}"
        page = (await world.call("user", "GET", path)).json()
        seqs += [event["seq"] for event in page["events"]]
        after = page["next"]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_hands_are_listed_in_the_order_of_raising(world: World) -> None:
    ids = await world.room()
    for name in ("user", "listener"):
        await world.call(name, "POST", f"/rooms/{ids['room']}/join")
    for name in ("user", "listener"):
        await world.call(name, "PUT", f"/rooms/{ids['room']}/hand", {"raised": True})
    path = f"/rooms/{ids['room']}/participants?hand_raised=true&limit=1"
    first = (await world.call("host", "GET", path)).json()
    second = (await world.call("host", "GET", f"{path}&after={first['next']}")).json()
    names = [page["items"][0]["display_name"] for page in (first, second)]
    assert (names, second["next"]) == (["user", "listener"], None)


async def test_a_removed_person_is_told_so(world: World) -> None:
    ids = await world.room()
    await world.call("host", "DELETE", f"/rooms/{ids['room']}/participants/{ids['listener']}")
    answer = await world.call("listener", "POST", f"/rooms/{ids['room']}/join")
    assert (answer.status_code, answer.json()["code"]) == (403, "removed")
    assert (await world.call("listener", "GET", f"/rooms/{ids['room']}")).status_code == 200


async def test_an_empty_change_is_refused(world: World) -> None:
    ids = await world.room()
    path = f"/rooms/{ids['room']}/participants/{ids['target']}"
    answer = await world.call("host", "PATCH", path, {})
    assert answer.json()["code"] == "nothing_to_change"


async def test_groups_over_http(world: World) -> None:
    group = (await world.call("host", "POST", "/groups", {"name": "Divers"})).json()
    member = f"/groups/{group['id']}/members/{world.people['user'].id}"
    assert (await world.call("user", "PUT", member)).status_code == 404, "nobody knows of it"
    assert (await world.call("host", "PUT", member)).status_code == 204
    assert (await world.call("host", "PUT", member)).status_code == 204
    listed = (await world.call("user", "GET", "/groups")).json()["items"]
    assert [item["name"] for item in listed] == ["Divers"]
    other = f"/groups/{group['id']}/members/{world.people['listener'].id}"
    assert (await world.call("user", "PUT", other)).status_code == 403, "members don't manage"
    assert (await world.call("user", "DELETE", member)).status_code == 204, "but may go"
    assert (await world.call("user", "GET", "/groups")).json()["items"] == []
    assert (await world.call("key", "PUT", member)).status_code == 204
    assert (await world.call("other_key", "PUT", member)).status_code == 404
    foreign = f"/groups/{group['id']}/members/{world.people['other_host'].id}"
    assert (await world.call("host", "PUT", foreign)).status_code == 404
    named = await world.call("host", "POST", "/groups", {"name": "N", "key": "chosen"})
    assert named.status_code == 403
    key = {"name": "N", "key": uuid4().hex}
    assert (await world.call("key", "POST", "/groups", key)).status_code == 201
    taken = await world.call("key", "POST", "/groups", key)
    assert (taken.status_code, taken.json()["code"]) == (409, "group_key_taken")
    assert (await world.call("stranger", "POST", "/groups", {"name": "N"})).status_code == 401
