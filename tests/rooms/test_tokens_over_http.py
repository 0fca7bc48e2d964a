"""Room tokens over HTTP: minted by a platform, renewed by their holders."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from core.auth.principal import Scope
from core.auth.room_tokens import RoomClaims, issue_room_token, read_room_token
from tests.factories import make_api_key, make_platform, make_user
from tests.rooms.serving import SECRET
from tests.rooms.world import Json, World, world

__all__ = ["world"]


async def patrons_room(world: World) -> tuple[str, str]:
    """A live group room that the platform made; its path, and the group's key."""
    made = await world.call("key", "POST", "/groups", {"name": "Patrons", "key": uuid4().hex})
    group = made.json()
    new = {
        "title": "Patrons only",
        "visibility": "group",
        "group_id": group["id"],
        "host_id": str(world.people["host"].id),
    }
    room = (await world.call("key", "POST", "/rooms", new)).json()
    path = f"/rooms/{room['id']}"
    await world.call("key", "POST", f"{path}/live")
    return path, group["key"]


async def minted(world: World, path: str, **wanted: object) -> Json:
    """Of a person of the platform's own, who calls as `minted` from now on."""
    person = {"external_user_id": f"customer-{uuid4()}", "display_name": "Ada"}
    answer = (await world.call("key", "POST", f"{path}/tokens", person | wanted)).json()
    world.bearers["minted"] = answer["token"]
    return dict(answer)


async def test_a_minted_token_opens_a_group_room_by_its_claim(world: World) -> None:
    path, key = await patrons_room(world)
    for groups, status in (([], 404), (["others"], 404), ([key], 200)):
        await minted(world, path, groups=groups)
        joined = await world.call("minted", "POST", f"{path}/join")
        assert joined.status_code == status, groups
    claims = read_room_token(SECRET, joined.json()["token"])
    assert claims.groups == (key,)
    assert str(claims.participant_id) == joined.json()["participant"]["id"]
    assert joined.headers["cache-control"] == "no-store"


async def test_joining_again_prolongs_no_vouching(world: World) -> None:
    path, key = await patrons_room(world)
    vouched = await minted(world, path, groups=[key], ttl_s=60)
    until = datetime.fromisoformat(vouched["expires_at"])
    invitation = {"user_id": vouched["user_id"]}
    await world.call("key", "POST", f"{path}/invitations", invitation)
    for way in ("join", "invitations/accept", "join"):
        answer = await world.call("minted", "POST", f"{path}/{way}")
        assert answer.status_code == 200, way
        world.bearers["minted"] = answer.json()["token"]
        expires_at = datetime.fromisoformat(answer.json()["expires_at"])
        assert until - timedelta(seconds=30) < expires_at <= until, way
        claims = read_room_token(SECRET, answer.json()["token"])
        assert (claims.groups, claims.expires_at) == ((key,), expires_at)


async def test_a_vouching_in_its_last_moment_is_over(world: World) -> None:
    path, key = await patrons_room(world)
    person = world.people["user"]
    claims = RoomClaims(
        person.platform_id, person.id, UUID(path.split("/")[2]), "Ada", "listener", (key,)
    )
    # Over for three seconds, which the clocks' leeway still lets through.
    past = datetime.now(UTC) - timedelta(seconds=63)
    issued = issue_room_token(SECRET, claims, ttl=timedelta(seconds=60), issued_at=past)
    world.bearers["minted"] = issued.token
    refused = await world.call("minted", "POST", f"{path}/join")
    assert (refused.status_code, refused.json()["code"]) == (401, "room_token_expired")


async def test_a_token_without_groups_renews_itself(world: World) -> None:
    path = f"/rooms/{(await world.room())['room']}"
    first = await minted(world, path, ttl_s=60)
    joined = (await world.call("minted", "POST", f"{path}/join")).json()
    renewed = datetime.fromisoformat(joined["expires_at"])
    assert renewed > datetime.fromisoformat(first["expires_at"]) + timedelta(minutes=8)


async def test_a_platform_seats_its_speaker_with_the_token(world: World) -> None:
    ids = await world.room()
    person = {"external_user_id": uuid4().hex, "display_name": "Ada", "role": "speaker"}
    minted = await world.call("key", "POST", f"/rooms/{ids['room']}/tokens", person)
    world.bearers["minted"] = minted.json()["token"]
    joined = await world.call("minted", "POST", f"/rooms/{ids['room']}/join")
    assert joined.json()["participant"]["on_stage"]


async def test_a_person_who_is_known_needs_no_name(world: World) -> None:
    path = f"/rooms/{(await world.room())['room']}/tokens"
    person = {"external_user_id": uuid4().hex}
    refused = await world.call("key", "POST", path, person)
    assert (refused.status_code, refused.json()["code"]) == (422, "display_name_needed")
    named = await world.call("key", "POST", path, {**person, "display_name": "Ada"})
    again = await world.call("key", "POST", path, person)
    assert again.json()["user_id"] == named.json()["user_id"]
    assert read_room_token(SECRET, again.json()["token"]).display_name == "Ada"


async def test_a_person_of_another_platform_is_not_known(world: World) -> None:
    person = {"external_user_id": uuid4().hex}
    async with world.database.transaction() as session:
        other = await make_platform(session)
        await make_user(session, other, external_user_id=person["external_user_id"])
    ids = await world.room()
    refused = await world.call("key", "POST", f"/rooms/{ids['room']}/tokens", person)
    assert (refused.status_code, refused.json()["code"]) == (422, "display_name_needed")


async def test_a_key_without_tokens_write_mints_nothing(world: World) -> None:
    ids = await world.room()
    async with world.database.transaction() as session:
        scopes = (Scope.ROOMS_WRITE,)
        _, world.bearers["weak"] = await make_api_key(session, world.platform, scopes=scopes)
    person = {"external_user_id": "x", "display_name": "Ada"}
    answer = await world.call("weak", "POST", f"/rooms/{ids['room']}/tokens", person)
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
