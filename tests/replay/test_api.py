"""Where to listen and what was recorded, asked over HTTP by those who may and may not."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from core.auth.models import Platform, User
from core.auth.platforms import ensure_default_platform
from core.auth.room_tokens import RoomClaims, issue_room_token
from core.buckets import RateLimited
from core.db import Database
from core.http import Services, install_problem_handlers
from core.listen import Listener
from core.ratelimit import take
from core.settings import Settings
from core.storage import open_store
from ingest.folders import Folders
from ingest.manifest import GapFound
from replay.api import router
from replay.capability import capability_key, check
from replay.captions_api import READ
from replay.captions_api import router as captions
from rooms.models import Room, RoomState, Visibility
from tests.factories import make_api_key, sign_in
from tests.polling import eventually
from tests.replay.spools import Spool, mix_media, track_media
from tests.replay.stored_rooms import make_room, make_speaker, store_lines, store_recording

SECRET = b"a secret of this test installation, long enough"
EDGE = "https://edge.test"


@pytest.fixture
async def services(tmp_path: Path, database: Database) -> Services:
    settings = Settings(_env_file=None, data_dir=tmp_path, edge_url=EDGE)
    async with database.transaction() as session:
        await ensure_default_platform(session)
    return Services(settings, database, SECRET, open_store(settings), Listener(database.url, ()))


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(router)
    app.include_router(captions)
    app.state.services = services
    install_problem_handlers(app)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://encore.test") as client:
        yield client


async def a_room(services: Services, **values: object) -> Room:
    async with services.database.transaction() as session:
        return await make_room(session, **{"recording_id": uuid4()} | values)  # type: ignore[arg-type]


async def bearer(services: Services, room: Room) -> dict[str, str]:
    async with services.database.transaction() as session:
        host = await session.get_one(User, room.host_id)
        return {"Authorization": f"Bearer {await sign_in(session, host)}"}


def holds(url: str, recording_id: UUID, playlist: str) -> bool:
    """Whether the edge of this installation would serve the address."""
    capability, recording, name = url.removeprefix(f"{EDGE}/").split("/")
    check(capability_key(SECRET), capability, recording_id, now=datetime.now(UTC).timestamp())
    return (recording, name) == (str(recording_id), playlist)


@pytest.mark.parametrize("state", [RoomState.LIVE, RoomState.ENDED])
async def test_a_room_without_any_rows_has_addresses(
    client: httpx.AsyncClient, services: Services, state: RoomState
) -> None:
    room = await a_room(services, state=state)
    assert room.recording_id is not None
    answer = await client.get(f"/v1/rooms/{room.id}/listen", headers=await bearer(services, room))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "private, no-store"
    body = answer.json()
    assert holds(body["live_url"], room.recording_id, "live.m3u8")
    assert holds(body["from_start_url"], room.recording_id, "index.m3u8")
    assert holds(body["replay_url"], room.recording_id, "index.m3u8")
    assert body["tracks"] == []
    left = datetime.fromisoformat(body["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=2)


async def test_the_replay_redirects_to_the_edge(
    client: httpx.AsyncClient, services: Services
) -> None:
    room = await a_room(services)
    assert room.recording_id is not None
    answer = await client.get(
        f"/v1/rooms/{room.id}/replay.m3u8", headers=await bearer(services, room)
    )
    assert answer.status_code == 302
    assert holds(answer.headers["location"], room.recording_id, "index.m3u8")
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_recording_tells_its_clock_gaps_and_tracks(
    client: httpx.AsyncClient, services: Services
) -> None:
    spool = Spool(Folders(services.settings.data_dir)).open().open_mix()
    async with services.database.transaction() as session:
        room = await make_room(session, recording_id=spool.recording_id)
        speaker = await make_speaker(session, room, "Ada")
        spool.open_track(speaker.id)
        spool.mix(2)
        spool.track(speaker.id, room_start_ms=40.0)
        spool.pause(10_000)
        paused_at = spool.room_ms
        spool.write(GapFound(0, None, "off_the_record", paused_at - 10_000, paused_at))
        spool.mix(2, discontinuity=True)
        spool.end()
        await store_recording(session, room, spool)
        await store_lines(session, services.store, spool)
    answer = await client.get(
        f"/v1/recordings/{spool.recording_id}", headers=await bearer(services, room)
    )
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "private, no-store"
    body = answer.json()
    lengths = [n / 48 for _, n in mix_media().fragments[:4]]
    assert body["status"] == "stored"
    assert body["room_id"] == str(room.id)
    assert body["duration_ms"] == pytest.approx(sum(lengths))
    assert [s["room_start_ms"] for s in body["spans"]] == pytest.approx([0, paused_at])
    assert [s["media_start_ms"] for s in body["spans"]] == pytest.approx([0, sum(lengths[:2])])
    assert [(g["cause"], g["participant_id"]) for g in body["gaps"]] == [("off_the_record", None)]
    assert (body["packets_received"], body["packets_lost"]) == (1000, 7)
    (track,) = body["tracks"]
    assert track["participant_id"] == str(speaker.id)
    assert (track["display_name"], track["room_start_ms"]) == ("Ada", 40.0)
    assert track["duration_ms"] == pytest.approx(track_media().fragments[0][1] / 48)
    assert holds(track["url"], spool.recording_id, f"track-{speaker.id}.m3u8")
    assert holds(body["replay_url"], spool.recording_id, "index.m3u8")
    listed = await client.get(f"/v1/rooms/{room.id}/listen", headers=await bearer(services, room))
    assert listed.json()["tracks"] == body["tracks"]


async def test_after_compaction_the_replay_is_the_list_of_ranges(
    client: httpx.AsyncClient, services: Services
) -> None:
    spool = Spool(Folders(services.settings.data_dir)).open().open_mix()
    async with services.database.transaction() as session:
        room = await make_room(session, recording_id=spool.recording_id)
        speaker = await make_speaker(session, room, "Ada")
        spool.open_track(speaker.id)
        spool.mix(2)
        spool.track(speaker.id)
        spool.end()
        recording = await store_recording(session, room, spool)
        await store_lines(session, services.store, spool)
        recording.compacted_at = datetime.now(UTC)
    own = await bearer(services, room)
    listed = (await client.get(f"/v1/rooms/{room.id}/listen", headers=own)).json()
    told = (await client.get(f"/v1/recordings/{spool.recording_id}", headers=own)).json()
    redirect = await client.get(f"/v1/rooms/{room.id}/replay.m3u8", headers=own)
    for url in (listed["replay_url"], told["replay_url"], redirect.headers["location"]):
        assert holds(url, spool.recording_id, "replay.m3u8")
    for body in (listed, told):
        url = body["tracks"][0]["url"]
        assert holds(url, spool.recording_id, f"replay-track-{speaker.id}.m3u8")
    assert holds(listed["from_start_url"], spool.recording_id, "index.m3u8")


async def test_a_recording_that_nobody_has_received_yet(
    client: httpx.AsyncClient, services: Services
) -> None:
    room = await a_room(services, state=RoomState.LIVE)
    answer = await client.get(
        f"/v1/recordings/{room.recording_id}", headers=await bearer(services, room)
    )
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "pending")
    assert (body["spans"], body["gaps"], body["tracks"], body["duration_ms"]) == ([], [], [], 0)


async def test_nobody_outside_its_tenant_learns_of_a_recording(
    client: httpx.AsyncClient, services: Services
) -> None:
    room, foreign = await a_room(services), await a_room(services)
    headers = await bearer(services, foreign)
    for path in (
        f"/v1/rooms/{room.id}/listen",
        f"/v1/rooms/{room.id}/replay.m3u8",
        f"/v1/recordings/{room.recording_id}",
        f"/v1/recordings/{uuid4()}",
        f"/v1/rooms/{uuid4()}/listen",
    ):
        answer = await client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert EDGE not in answer.text


async def test_a_hidden_recording_is_refused_like_one_that_does_not_exist(
    client: httpx.AsyncClient, services: Services
) -> None:
    room, foreign = await a_room(services), await a_room(services)
    headers = await bearer(services, foreign)
    hidden, unknown = [
        await client.get(f"/v1/recordings/{recording_id}", headers=headers)
        for recording_id in (room.recording_id, uuid4())
    ]
    assert hidden.status_code == unknown.status_code == 404
    assert hidden.json() == unknown.json()


async def test_a_room_that_is_not_live_yet_has_nothing_to_listen_to(
    client: httpx.AsyncClient, services: Services
) -> None:
    room = await a_room(services, recording_id=None, state=RoomState.SCHEDULED)
    answer = await client.get(f"/v1/rooms/{room.id}/listen", headers=await bearer(services, room))
    assert (answer.status_code, answer.json()["code"]) == (409, "room_not_live")


async def test_a_room_token_opens_its_own_room_only(
    client: httpx.AsyncClient, services: Services
) -> None:
    room, other = await a_room(services), await a_room(services)
    claims = RoomClaims(
        platform_id=room.platform_id,
        user_id=room.host_id,
        room_id=room.id,
        display_name="Ada",
        role="listener",
        groups=(),
        participant_id=None,
    )
    token = issue_room_token(SECRET, claims, ttl=timedelta(minutes=5)).token
    headers = {"Authorization": f"Bearer {token}"}
    assert (await client.get(f"/v1/rooms/{room.id}/listen", headers=headers)).status_code == 200
    assert (await client.get(f"/v1/rooms/{other.id}/listen", headers=headers)).status_code == 404


@pytest.mark.parametrize(
    ("scopes", "status"),
    [(("rooms:read", "recordings:read"), 200), (("rooms:read",), 403), (("recordings:read",), 200)],
)
async def test_a_key_needs_the_scope_of_recordings(
    client: httpx.AsyncClient, services: Services, scopes: tuple[str, ...], status: int
) -> None:
    room = await a_room(services)
    async with services.database.transaction() as session:
        platform = await session.get_one(Platform, room.platform_id)
        _, secret = await make_api_key(session, platform, scopes=scopes)
    headers = {"Authorization": f"Bearer {secret}"}
    answer = await client.get(f"/v1/recordings/{room.recording_id}", headers=headers)
    assert answer.status_code == status


async def test_an_unlisted_room_is_open_to_those_with_the_link(
    client: httpx.AsyncClient, services: Services
) -> None:
    room = await a_room(services, visibility=Visibility.UNLISTED)
    answer = await client.get(f"/v1/rooms/{room.id}/listen", headers=await bearer(services, room))
    assert answer.status_code == 200


async def test_a_key_reads_captions_with_the_scope_of_transcripts(
    services: Services, client: httpx.AsyncClient
) -> None:
    room = await a_room(services)
    codes = {}
    async with services.database.transaction() as session:
        platform = await session.get_one(Platform, room.platform_id)
        for scope in ("rooms:read", "recordings:read"):
            _, key = await make_api_key(session, platform, scopes=(scope,))
            codes[scope] = {"Authorization": f"Bearer {key}"}
    path = f"/v1/rooms/{room.id}/captions"
    refused = await client.get(path, headers=codes["rooms:read"])
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert (await client.get(path, headers=codes["recordings:read"])).status_code == 200


async def test_captions_are_read_so_often_and_no_oftener(
    services: Services, client: httpx.AsyncClient
) -> None:
    room = await a_room(services)
    headers = await bearer(services, room)
    path = f"/v1/rooms/{room.id}/captions"
    key = headers["Authorization"].removeprefix("Bearer ")

    async def refused() -> bool:
        """One read is allowed again after 100 ms, which a busy machine needs to ask."""
        with suppress(RateLimited):
            for _ in range(2 * READ.burst):
                await take(services, READ, key)
        answer = await client.get(path, headers=headers)
        return answer.status_code == 429 and "Retry-After" in answer.headers

    assert await eventually(refused, within_s=60)
