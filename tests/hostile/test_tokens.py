"""Stolen and expired tokens: a token opens one person's sessions in one room while that person is
on its stage, and the stage is asked each time; who loses the stage loses his session at once.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from core.auth.room_tokens import RoomClaims, issue_room_token
from core.db import Database
from demo.speaker import PublishFailed, Speaker
from ingest.marks import StreamClosed
from rooms.moderation import remove_participant
from tests.hostile.arena import EVE, ROOM, Arena, Voice, token
from tests.ingest.receiving import Guest, Hall, eventually, receiving, settings_for
from tests.ingest.test_live_room import ADA, BEN, speaker, stage


def another_key() -> str:
    claims = RoomClaims(uuid4(), uuid4(), ROOM, "Eve", "speaker", participant_id=EVE)
    return issue_room_token(b"x" * 32, claims).token


def unsigned() -> str:
    _, payload, _ = token(EVE).split(".")
    return f"eyJhbGciOiJub25lIiwidHlwIjoiZW5jb3JlLXJvb20rand0In0.{payload}."


def payload_of_another() -> str:
    (head, _, mac), (_, payload, _) = token(EVE).split("."), token(ADA).split(".")
    return f"{head}.{payload}.{mac}"


def an_hour(ago: int) -> str:
    return token(EVE, issued_at=datetime.now(UTC) - timedelta(hours=ago))


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda: token(EVE, room_id=uuid4()), 404, "room_not_here"),
        (lambda: token(None), 403, "not_a_speaker"),
        (lambda: token(BEN), 403, "not_a_speaker"),
        (lambda: token(uuid4()), 403, "not_a_speaker"),
        (another_key, 401, "room_token_invalid"),
        (unsigned, 401, "room_token_invalid"),
        (payload_of_another, 401, "room_token_invalid"),
        (lambda: an_hour(1), 401, "room_token_expired"),
        (lambda: an_hour(-1), 401, "room_token_invalid"),
        (lambda: token(EVE)[:-1], 401, "room_token_invalid"),
    ],
    ids=[
        "another room",
        "a listener's without a participant",
        "a listener's (the role in it says speaker)",
        "nobody's",
        "another key",
        "unsigned",
        "another payload",
        "expired",
        "not yet valid",
        "cut",
    ],
)
async def test_a_token_that_gives_no_right_opens_nothing(
    arena: Arena, make: Callable[[], str], status: int, code: str
) -> None:
    answer = await arena.post(bearer=make())
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert len(arena.endpoint.peers) == 1


async def test_a_token_of_another_participant_ends_or_moves_nobodys_session(
    arena: Arena, eve: Voice
) -> None:
    for bearer in (token(EVE), token(BEN), token(None), token(ADA, room_id=uuid4())):
        headers = {
            "Authorization": f"Bearer {bearer}",
            "Content-Type": "application/trickle-ice-sdpfrag",
            "If-Match": "*",
        }
        for method in ("PATCH", "DELETE"):
            answer = await arena.http.request(method, arena.ada.url, headers=headers, content="")
            assert answer.json()["code"] in ("session_not_found", "not_a_speaker")
    assert arena.ada.peer.restarting is None
    assert arena.ada.peer in arena.endpoint.peers


async def test_a_token_after_delete_opens_a_new_session_while_its_holder_is_on_stage(
    arena: Arena,
) -> None:
    """It lives ten minutes: a client that stops and starts again needs no other."""
    bearer = token(EVE)
    eve = Voice(arena, EVE)
    await eve.connect(bearer=bearer)
    headers = {"Authorization": f"Bearer {bearer}"}
    assert (await arena.http.delete(eve.url, headers=headers)).status_code == 200
    assert (await arena.http.delete(eve.url, headers=headers)).status_code == 404
    await arena.take(eve, eve.client.rtp(1))
    assert arena.journal.said(EVE) == []
    again = Voice(arena, EVE)
    await again.connect(bearer=bearer)
    arena.change(stage(speaker(ADA), speaker(EVE, on_stage=False)))
    assert again.peer not in arena.endpoint.peers
    assert (await arena.post(bearer=bearer)).json()["code"] == "not_a_speaker"
    for voice in (eve, again):
        voice.socket.close()


async def test_whoever_steals_a_token_is_heard_only_until_its_owner_comes_back(
    arena: Arena,
) -> None:
    """One session a participant: the newest to finish its handshake. Nobody else is affected."""
    thief, owner = Voice(arena, EVE), Voice(arena, EVE)
    await thief.connect(bearer=(bearer := token(EVE)))
    await owner.connect(bearer=bearer)
    await eventually(lambda: thief.peer not in arena.endpoint.peers)
    assert arena.room.peers[EVE] is owner.peer
    for voice in (thief, owner):
        voice.socket.close()


async def test_a_room_that_ended_takes_no_token(arena: Arena) -> None:
    arena.room.ended = True
    answer = await arena.post(bearer=token(EVE))
    arena.room.ended = False
    assert (answer.status_code, answer.json()["code"]) == (404, "room_not_here")


async def removed(hall: Hall, guest: Guest) -> None:
    async with hall.database.transaction() as session:
        await remove_participant(
            session,
            principal=hall.host.principal,
            room_id=hall.room_id,
            participant_id=guest.participant_id,
        )


async def demoted(hall: Hall, guest: Guest) -> None:
    await hall.demote(guest)


@pytest.mark.slow
@pytest.mark.parametrize("lose", [removed, demoted])
async def test_who_is_removed_meanwhile_is_cut_off_at_once_and_not_let_in_again(
    database: Database,
    postgres_url: str,
    tmp_path: Path,
    lose: Callable[[Hall, Guest], Awaitable[None]],
) -> None:
    """The token is as valid as before; another speaker in the room goes on."""
    hall = Hall(database)
    await hall.go_live()
    eve, ada = await hall.guest(), await hall.guest()
    journal = hall.journal(tmp_path)
    async with (
        receiving(settings_for(postgres_url, tmp_path)),
        Speaker() as hostile,
        Speaker() as other,
    ):
        url = await hall.whip_url()
        await hostile.connect(url, eve.token)
        await other.connect(url, ada.token)
        await eventually(lambda: journal.said(eve.participant_id))
        await lose(hall, eve)
        await eventually(lambda: any(isinstance(m, StreamClosed) for m in journal.marks()))
        said, others = len(journal.said(eve.participant_id)), len(journal.said(ada.participant_id))
        with pytest.raises(PublishFailed, match="not_a_speaker"):
            await hostile.connect(url, eve.token)
        await eventually(lambda: len(journal.said(ada.participant_id)) > others + 20)
        assert len(journal.said(eve.participant_id)) == said


@pytest.mark.slow
async def test_who_is_muted_meanwhile_is_connected_and_not_kept(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    hall = Hall(database)
    await hall.go_live()
    eve = await hall.guest()
    journal = hall.journal(tmp_path)
    async with receiving(settings_for(postgres_url, tmp_path)), Speaker() as hostile:
        url = await hall.whip_url()
        await hostile.connect(url, eve.token)
        await eventually(lambda: journal.said(eve.participant_id))
        await hall.mute(eve)
        await eventually(lambda: any(isinstance(m, StreamClosed) for m in journal.marks()))
        said = len(journal.said(eve.participant_id))
        await hostile.connect(url, eve.token)
        sent = hostile.sent
        await eventually(lambda: hostile.sent > sent + 20)
        assert len(journal.said(eve.participant_id)) == said
