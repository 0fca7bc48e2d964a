"""WHIP as HTTP (RFC 9725), over ASGI; the receiver behind it is real, its rooms are made here."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from core.auth.room_tokens import RoomClaims, issue_room_token
from core.settings import Settings
from ingest.admission import Admission
from ingest.live_room import LiveRoom
from ingest.receiver import MAX_PENDING, Receiver
from ingest.sessions import Sessions
from ingest.whip import FRAGMENT, SDP, Whip, create_whip_app
from tests.ingest.offers import CHROME, ICE
from tests.ingest.receiving import SECRET
from tests.ingest.test_live_room import ADA, BEN, open_room, speaker, stage

ROOM = stage().room_id
PATH = f"/whip/{ROOM}"
NEW_ICE = "a=ice-ufrag:Newu\r\na=ice-pwd:gggghhhhiiiijjjjkkkkllll\r\n"


def token(
    participant_id: UUID | None = ADA, *, room_id: UUID = ROOM, age: timedelta = timedelta()
) -> str:
    claims = RoomClaims(
        platform_id=uuid4(),
        user_id=uuid4(),
        room_id=room_id,
        display_name="Ada",
        role="speaker",
        participant_id=participant_id,
    )
    issued_at = datetime.now(UTC) - age
    return issue_room_token(
        SECRET.encode(), claims, ttl=timedelta(minutes=10), issued_at=issued_at
    ).token


@dataclass
class Worker:
    http: httpx.AsyncClient
    receiver: Receiver
    room: LiveRoom
    refreshed: list[UUID]

    async def post(
        self,
        offer: str = CHROME,
        *,
        bearer: str | None = None,
        path: str = PATH,
        content_type: str = SDP,
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {bearer or token()}", "Content-Type": content_type}
        return await self.http.post(path, content=offer, headers=headers)

    async def patch(
        self, url: str, body: str, *, bearer: str, if_match: str | None = None
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": FRAGMENT}
        if if_match is not None:
            headers["If-Match"] = if_match
        return await self.http.patch(url, content=body, headers=headers)

    async def delete(self, url: str, *, bearer: str) -> httpx.Response:
        return await self.http.delete(url, headers={"Authorization": f"Bearer {bearer}"})


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    receiver = Receiver("127.0.0.1", 0, [("127.0.0.1", 0)], Sessions(tmp_path / "sessions"))
    room = open_room(tmp_path / "journal", stage(speaker(ADA), speaker(BEN, on_stage=False)))
    receiver.rooms[ROOM] = room
    refreshed: list[UUID] = []

    async def refresh(room_id: UUID) -> None:
        refreshed.append(room_id)

    admission = Admission(Settings(_env_file=None))
    whip = Whip(receiver, refresh, SECRET.encode(), "http://worker", admission)
    transport = httpx.ASGITransport(create_whip_app(whip))
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as http:
        yield Worker(http, receiver, room, refreshed)
    receiver.close()


async def test_post_gives_a_session_and_its_answer(worker: Worker) -> None:
    answer = await worker.post()
    assert answer.status_code == 201
    assert answer.headers["content-type"] == SDP
    assert answer.headers["location"].startswith(f"http://worker{PATH}/")
    assert answer.headers["etag"].startswith('"')
    assert "a=recvonly" in answer.text
    assert f"m=audio {worker.receiver.endpoint.port} " in answer.text
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = answer.headers["access-control-expose-headers"]
    assert "location" in exposed
    assert "etag" in exposed
    assert answer.headers["cache-control"] == "no-store"


async def test_options_tells_pages_of_other_origins_what_goes(worker: Worker) -> None:
    asked = await worker.http.options(PATH, headers={"Origin": "https://page.example"})
    assert asked.status_code == 204
    assert asked.headers["accept-post"] == SDP
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert "authorization" in asked.headers["access-control-allow-headers"]
    session = await worker.http.options(f"{PATH}/x")
    assert session.headers["accept-patch"] == FRAGMENT


async def test_delete_ends_the_session(worker: Worker) -> None:
    location = (await worker.post()).headers["location"]
    assert (await worker.delete(location, bearer=token())).status_code == 200
    assert worker.receiver.endpoint.peers == []
    assert (await worker.delete(location, bearer=token())).status_code == 404


async def test_an_expired_token_is_good_for_the_session_it_opened_only(worker: Worker) -> None:
    """A token lives minutes, a session hours: its own client can always end it."""
    location = (await worker.post()).headers["location"]
    expired = token(age=timedelta(hours=1))
    assert (await worker.delete(location, bearer=expired)).status_code == 401
    assert (await worker.post(bearer=expired)).json()["code"] == "room_token_expired"
    worker.receiver.endpoint.peers[0].token_sha256 = sha256(expired.encode()).digest()
    assert (await worker.delete(location, bearer=expired)).status_code == 200


async def test_a_newer_token_of_the_same_participant_is_good_too(worker: Worker) -> None:
    location = (await worker.post()).headers["location"]
    assert (await worker.delete(location, bearer=token(BEN))).status_code == 404
    assert (await worker.delete(location, bearer=token(room_id=uuid4()))).status_code == 404
    assert (await worker.delete(location, bearer=token())).status_code == 200


async def test_trickle_needs_the_etag(worker: Worker) -> None:
    bearer = token()
    posted = await worker.post(bearer=bearer)
    url, etag = posted.headers["location"], posted.headers["etag"]
    body = ICE + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=candidate:x\r\n"
    assert (await worker.patch(url, body, bearer=bearer)).status_code == 428
    assert (await worker.patch(url, body, bearer=bearer, if_match='"no"')).status_code == 412
    trickled = await worker.patch(url, body, bearer=bearer, if_match=etag)
    assert (trickled.status_code, trickled.content) == (204, b"")
    again = await worker.patch(url, body, bearer=bearer, if_match=f'"a", {etag}')
    assert again.status_code == 204
    sneaky = await worker.patch(url, NEW_ICE, bearer=bearer, if_match=etag)
    assert sneaky.json()["code"] == "sdp_fragment_unusable"


async def test_an_ice_restart_gives_new_credentials_and_etag(worker: Worker) -> None:
    bearer = token()
    posted = await worker.post(bearer=bearer)
    url, etag = posted.headers["location"], posted.headers["etag"]
    restarted = await worker.patch(url, NEW_ICE, bearer=bearer, if_match="*")
    assert restarted.status_code == 200
    assert restarted.headers["content-type"].startswith(FRAGMENT)
    assert restarted.headers["etag"] != etag
    peer = worker.receiver.endpoint.peers[0]
    assert peer.restarting is not None
    assert f"a=ice-ufrag:{peer.restarting.ufrag}\r\n" in restarted.text
    assert peer.restarting.remote_ufrag == "Newu"
    stale = await worker.patch(url, ICE, bearer=bearer, if_match=etag)
    assert stale.status_code == 412
    assert stale.headers["etag"] == restarted.headers["etag"]
    half = await worker.patch(url, "a=ice-ufrag:Half\r\n", bearer=bearer, if_match="*")
    assert half.status_code == 422


@pytest.mark.parametrize(
    ("offer", "content_type", "status", "code"),
    [
        (CHROME, "text/plain", 415, "unsupported_media_type"),
        ("garbage", SDP, 400, "sdp_invalid"),
        (CHROME.replace("a=sendrecv", "a=recvonly"), SDP, 406, "sdp_not_acceptable"),
        (CHROME + "a=x\r\n" * 30_000, SDP, 413, "sdp_too_large"),
    ],
)
async def test_bodies_that_are_refused(
    worker: Worker, offer: str, content_type: str, status: int, code: str
) -> None:
    answer = await worker.post(offer, content_type=content_type)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_content_types_may_have_parameters(worker: Worker) -> None:
    assert (await worker.post(content_type="Application/SDP; charset=utf-8")).status_code == 201


async def test_who_may_not_publish(worker: Worker) -> None:
    for bearer, status, code in (
        (token(BEN), 403, "not_a_speaker"),
        (token(None), 403, "not_a_speaker"),
        (token(UUID(int=99)), 403, "not_a_speaker"),
        (token(room_id=uuid4()), 404, "room_not_here"),
        ("nonsense", 401, "room_token_invalid"),
    ):
        answer = await worker.post(bearer=bearer)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await worker.http.post(PATH, content=CHROME)).status_code == 401
    basic = {"Authorization": "Basic abc", "Content-Type": SDP}
    assert (await worker.http.post(PATH, content=CHROME, headers=basic)).status_code == 401
    assert worker.refreshed == [ROOM, ROOM], "the stage is read before anybody is refused"


async def test_consent_is_not_needed_to_connect(worker: Worker) -> None:
    worker.room.apply(stage(speaker(ADA, consented=False)))
    assert (await worker.post()).status_code == 201


async def test_a_room_that_is_not_here(worker: Worker) -> None:
    other = uuid4()
    answer = await worker.post(bearer=token(room_id=other), path=f"/whip/{other}")
    assert (answer.status_code, answer.json()["code"]) == (404, "room_not_here")
    assert worker.refreshed == [other]
    assert (await worker.post(path="/whip/nonsense")).status_code == 422
    assert (await worker.http.get(PATH)).status_code == 405


async def test_sessions_without_a_handshake_are_few(worker: Worker) -> None:
    for _ in range(MAX_PENDING + 3):
        assert (await worker.post()).status_code == 201
    assert len(worker.receiver.endpoint.peers) == MAX_PENDING
