import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from core.auth.api_keys import revoke_api_key
from core.auth.credentials import Credential, Source
from core.auth.principal import Kind, Principal, Scope
from core.auth.room_tokens import LEEWAY_SECONDS, RoomClaims, issue_room_token
from core.auth.sessions import close_session
from core.db import Database
from core.ids import uuid7
from rooms import groups, lifecycle
from rooms.events import CAPTION, TIP_SENT, announce, record_event
from rooms.feed import FeedHub
from rooms.models import Room, Visibility
from rooms.moderation import remove_participant
from rooms.participation import join_room
from rooms.schemas import History
from rooms.sight import Sight
from rooms.sse import caller_again, missed
from rooms.stream import Pace
from tests.factories import as_user, make_api_key, make_user, sign_in
from tests.polling import until
from tests.rooms.conftest import make_house
from tests.rooms.serving import SECRET, Sent, make_app, sent_events, served
from tests.rooms.tapes import Tape, stranger

Bearer = dict[str, str]


class Scene:
    """A committed live room, a server, and the host signed in."""

    def __init__(self, app: FastAPI, client: httpx.AsyncClient, database: Database) -> None:
        self.app, self.client, self.database = app, client, database
        self.room: Room
        self.host: Principal
        self.bearer: Bearer

    async def open(self, **values: Any) -> None:
        async with self.database.transaction() as session:
            house = await make_house(session)
            self.house = house
            self.host = house.hosting
            self.bearer = {"Authorization": f"Bearer {await sign_in(session, house.host)}"}
            self.room = await house.live_room(**values)

    def set_pace(self, pace: Pace) -> None:
        services = self.app.state.services
        self.app.state.feed_hub = FeedHub(services.database, services.listener, pace)

    async def record(self, count: int = 1) -> None:
        for _ in range(count):
            async with self.database.transaction() as session:
                await record_event(session, self.room, "test.happened")

    @contextlib.asynccontextmanager
    async def stream(
        self, *, headers: Bearer | None = None, **query: Any
    ) -> AsyncIterator[AsyncIterator[Sent]]:
        url = f"/rooms/{self.room.id}/events"
        sent = self.bearer | (headers or {})
        async with self.client.stream("GET", url, params=query, headers=sent) as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["x-accel-buffering"] == "no"
            yield sent_events(response.aiter_lines())

    @property
    def hub(self) -> FeedHub:
        hub: FeedHub = self.app.state.feed_hub
        return hub


@pytest.fixture
async def scene(database: Database, tmp_path: Path) -> AsyncIterator[Scene]:
    app = make_app(database, tmp_path)
    async with served(app) as client:
        scene = Scene(app, client, database)
        await scene.open()
        yield scene


async def take(stream: AsyncIterator[Sent], count: int, type_: str = "durable") -> list[Sent]:
    taken: list[Sent] = []
    async with asyncio.timeout(10):
        async for event in stream:
            if event.type == type_:
                taken.append(event)
            if len(taken) == count:
                return taken
    raise AssertionError(f"the stream ended after {len(taken)} of {count}")


async def test_past_events_come_first_then_those_that_happen(scene: Scene) -> None:
    async with scene.stream() as stream:
        past = await take(stream, scene.room.event_seq)
        await scene.record()
        [live] = await take(stream, 1)
    assert [event.id for event in past] == list(range(1, scene.room.event_seq))
    assert past[0].data["kind"] == "room.created"
    assert (live.id, live.data["kind"]) == (scene.room.event_seq, "test.happened")


async def test_last_event_id_wins_over_the_address(scene: Scene) -> None:
    async with scene.stream(headers={"Last-Event-ID": "3"}, after=1) as stream:
        [first] = await take(stream, 1)
    assert first.id == 4


@pytest.mark.parametrize("foreign", ["tip-9", "-1", "1.5", "9" * 19, "9" * 5000])
async def test_a_foreign_last_event_id_is_refused(scene: Scene, foreign: str) -> None:
    headers = scene.bearer | {"Last-Event-ID": foreign}
    answer = await scene.client.get(f"/rooms/{scene.room.id}/events", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert "Last-Event-ID" in answer.json()["detail"]


async def test_an_empty_last_event_id_is_none(scene: Scene) -> None:
    async with scene.stream(headers={"Last-Event-ID": ""}, after=1) as stream:
        [first] = await take(stream, 1)
    assert first.id == 2


async def test_resuming_under_concurrent_writers_loses_and_doubles_nothing(scene: Scene) -> None:
    total = scene.room.event_seq + 60
    writers = [asyncio.create_task(scene.record(20)) for _ in range(3)]
    seen: list[int] = []
    while len(seen) < total:
        async with scene.stream(after=seen[-1] if seen else 0) as stream:
            wanted = min(7, total - len(seen))
            seen += [event.id or 0 for event in await take(stream, wanted)]
    await asyncio.gather(*writers)
    assert seen == list(range(1, total + 1))


async def test_more_history_than_memory_holds_is_read_in_pages(scene: Scene) -> None:
    scene.set_pace(Pace(recent_events=5))
    await scene.record(20)
    async with scene.stream() as stream:
        seen = [event.id for event in await take(stream, scene.room.event_seq)]
    assert seen == list(range(1, scene.room.event_seq + 1))


async def test_ephemeral_events_have_no_id(scene: Scene) -> None:
    async with scene.stream(after=scene.room.event_seq) as stream:
        await until(lambda: scene.hub.streams == 1)
        async with scene.database.transaction() as session:
            await announce(session, scene.room.id, "speaking", {"participant_ids": []})
        [event] = await take(stream, 1, "ephemeral")
    assert event == Sent("ephemeral", {"kind": "speaking", "data": {"participant_ids": []}})


async def test_the_audience_is_counted_over_all_streams(scene: Scene) -> None:
    scene.set_pace(Pace(audience_s=0.1))
    after = scene.room.event_seq
    async with scene.stream(after=after) as first, scene.stream(after=after):
        async for event in first:
            if event.data == {"kind": "audience", "data": {"count": 2}}:
                break


async def test_an_ended_room_says_bye_and_refuses_to_be_resumed(scene: Scene) -> None:
    scene.set_pace(Pace(linger_s=0.05))
    async with scene.stream(after=scene.room.event_seq) as stream:
        await until(lambda: scene.hub.streams == 1)
        async with scene.database.transaction() as session:
            await lifecycle.end_room(session, principal=scene.host, room_id=scene.room.id)
        rest = [event async for event in stream if event.type != "ephemeral"]
    assert [event.type for event in rest] == ["durable", "bye"]
    assert rest[0].data["kind"] == "room.ended"
    resumed = await scene.client.get(
        f"/rooms/{scene.room.id}/events",
        headers=scene.bearer | {"Last-Event-ID": str(rest[0].id)},
    )
    assert resumed.status_code == 204


async def test_who_loses_access_is_sent_away(scene: Scene) -> None:
    async with scene.database.transaction() as session:
        house = scene.house.on(session)
        guest = await make_user(session, house.platform)
        bearer = {"Authorization": f"Bearer {await sign_in(session, guest)}"}
    async with scene.stream(headers=bearer, after=scene.room.event_seq) as stream:
        await until(lambda: scene.hub.streams == 1)
        async with scene.database.transaction() as session:
            group = await groups.create_group(session, principal=scene.host, name="Friends")
            await lifecycle.update_room(
                session,
                principal=scene.host,
                room_id=scene.room.id,
                changes={"visibility": Visibility.GROUP, "group_id": group.id},
            )
        rest = [event async for event in stream if event.type != "ephemeral"]
    assert [event.data.get("kind") or event.data for event in rest] == [
        "room.updated",
        {"reason": "access"},
    ]


async def test_who_may_not_listen_is_not_told_what_is_said(scene: Scene) -> None:
    """Who was removed from a group's room still sees it, as a member."""
    async with scene.database.transaction() as session:
        house = scene.house.on(session)
        room = await house.group_room()
        assert room.group_id is not None
        guest = await make_user(session, house.platform)
        await groups.add_member(
            session, principal=house.hosting, group_id=room.group_id, user_id=guest.id
        )
        member = as_user(guest)
        sight = Sight(scene.database, room.id)
    assert await sight.hears(member), "once it is live"
    async with scene.database.transaction() as session:
        await lifecycle.go_live(session, principal=scene.host, room_id=room.id)
        _, place = await join_room(session, principal=member, room_id=room.id)
    assert await sight.hears(member)
    async with scene.database.transaction() as session:
        await remove_participant(
            session, principal=scene.host, room_id=room.id, participant_id=place.id
        )
    assert await sight.see(member)
    assert not await sight.hears(member)


@pytest.mark.parametrize(
    ("scope", "told"), [(Scope.ROOMS_READ, False), (Scope.RECORDINGS_READ, True)]
)
async def test_a_key_is_told_what_is_said_with_the_scope_of_transcripts(
    scene: Scene, scope: Scope, told: bool
) -> None:
    key = Principal(Kind.API_KEY, scene.house.platform.id, scopes=frozenset({scope}))
    assert await Sight(scene.database, scene.room.id).hears(key) is told


async def test_captions_go_to_streams_that_may_hear_them(scene: Scene) -> None:
    scene.set_pace(Pace())
    hub, room = scene.hub, scene.room
    async with (
        hub.open(room.id, stranger(room)) as hearing,
        hub.open(room.id, stranger(room), hears=False) as deaf,
    ):
        hearing.attach(heard := Tape())
        deaf.attach(seen := Tape())
        async with scene.database.transaction() as session:
            await announce(session, room.id, CAPTION, {"text": "hello"})
            await announce(session, room.id, "speaking", {})
        await heard.shows("hello")
        texts = [await seen.next()]
        while "speaking" not in texts[-1]:
            texts.append(await seen.next())
    assert "hello" not in "".join(texts)


async def test_what_is_written_with_tips_too(scene: Scene) -> None:
    """By what comes now and by what is missed; that there was a tip is told, and its number."""
    scene.set_pace(Pace())
    hub, room = scene.hub, scene.room
    async with (
        hub.open(room.id, stranger(room)) as hearing,
        hub.open(room.id, stranger(room), hears=False) as deaf,
    ):
        hearing.attach(heard := Tape())
        deaf.attach(seen := Tape())
        async with scene.database.transaction() as session:
            who, data = uuid7(), {"message": "hello"}
            sent = await record_event(session, room, TIP_SENT, actor_id=who, data=data)
        await heard.shows("hello")
        while not (now := await seen.next()).startswith("id:"):
            pass
        async with hub.open(room.id, stranger(room), hears=False) as late:
            missed_text = b"".join([text async for text in missed(hub, room.id, late)]).decode()
    page = History.of([sent], hears=False, more=False).model_dump_json()
    assert f'"seq":{sent.seq},' in page
    for told in (now, missed_text, page):
        assert str(sent.seq) in told
        assert "tip.sent" in told
        assert "hello" not in told
        assert str(who) not in told


async def by_session(scene: Scene) -> tuple[str, Callable[[], Awaitable[None]]]:
    async with scene.database.transaction() as session:
        guest = await make_user(session, scene.house.platform)
        token = await sign_in(session, guest)

    async def sign_out() -> None:
        async with scene.database.transaction() as session:
            await close_session(session, token)

    return token, sign_out


async def by_key(scene: Scene) -> tuple[str, Callable[[], Awaitable[None]]]:
    async with scene.database.transaction() as session:
        key, secret = await make_api_key(session, scene.house.platform)

    async def revoke() -> None:
        scopes = frozenset({Scope.KEYS_WRITE})
        platform = Principal(Kind.API_KEY, scene.house.platform.id, scopes=scopes)
        async with scene.database.transaction() as session:
            await revoke_api_key(session, platform, key_id=key.id)

    return secret, revoke


@pytest.mark.parametrize("way", [by_session, by_key])
async def test_a_credential_that_ends_takes_its_streams_with_it(
    scene: Scene,
    way: Callable[[Scene], Awaitable[tuple[str, Callable[[], Awaitable[None]]]]],
) -> None:
    scene.set_pace(Pace(recheck_s=0.05))
    token, end = await way(scene)
    bearer = {"Authorization": f"Bearer {token}"}
    async with scene.stream(headers=bearer, after=scene.room.event_seq) as stream:
        await until(lambda: scene.hub.streams == 1)
        await scene.record()
        await take(stream, 1)
        await end()
        rest = [event async for event in stream if event.type != "ephemeral"]
    assert rest == [Sent("bye", {"reason": "credential"})]
    again = await scene.client.get(f"/rooms/{scene.room.id}/events", headers=bearer)
    assert again.status_code == 401


@pytest.mark.parametrize("age_s", [0, 60 + LEEWAY_SECONDS + 1])
async def test_an_expired_room_token_ends_its_stream(scene: Scene, age_s: int) -> None:
    principal = scene.host
    assert principal.platform_id is not None
    assert principal.user_id is not None
    claims = RoomClaims(principal.platform_id, principal.user_id, scene.room.id, "Ada", "listener")
    then = datetime.now(UTC) - timedelta(seconds=age_s)
    issued = issue_room_token(SECRET, claims, ttl=timedelta(seconds=60), issued_at=then)
    again = caller_again(principal, Credential(Source.HEADER, issued.token), SECRET)
    services = scene.app.state.services
    hub = FeedHub(services.database, services.listener, Pace(recheck_s=0.02, heartbeat_s=0.01))
    async with hub.open(scene.room.id, again) as stream:
        stream.sent = stream.head
        stream.attach(tape := Tape())
        if age_s:
            await tape.shows('{"reason": "credential"}')
        else:
            for _ in range(6):
                assert await tape.next() == ": still here\n\n"
        assert tape.ended == bool(age_s)


async def test_an_idle_stream_beats_and_rechecks(scene: Scene) -> None:
    scene.set_pace(Pace(heartbeat_s=0.02, recheck_s=0.05))
    url = f"/rooms/{scene.room.id}/events?after={scene.room.event_seq}"
    beats = 0
    async with scene.client.stream("GET", url, headers=scene.bearer) as response:
        async for line in response.aiter_lines():
            beats += line.startswith(":")
            if beats == 5:
                break


async def test_an_idle_stream_holds_no_connection(scene: Scene) -> None:
    async with scene.stream(after=scene.room.event_seq):
        await until(lambda: scene.hub.streams == 1)
        await until(lambda: scene.database.engine.pool.checkedout() == 0)  # type: ignore[attr-defined]


async def test_the_last_stream_takes_the_feed_with_it(scene: Scene) -> None:
    before = asyncio.all_tasks()
    async with scene.stream():
        await until(lambda: scene.hub.streams == 1)
    await until(lambda: asyncio.all_tasks() <= before)


async def test_an_unknown_room_has_no_stream(scene: Scene) -> None:
    answer = await scene.client.get(f"/rooms/{UUID(int=0)}/events", headers=scene.bearer)
    assert answer.status_code == 404
