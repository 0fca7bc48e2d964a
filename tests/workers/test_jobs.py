import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Kind, Principal
from core.ids import uuid7
from core.mail import MailRefused, MailUnavailable, send_mail
from core.queue import enqueue
from core.webhooks.models import DeliveryState, WebhookDelivery
from core.webhooks.service import create_endpoint
from ingest.models import IngestWorker, Recording, RecordingStatus
from ingest.rows import RECORDING_FINISHED
from rooms.models import Room, RoomEvent, RoomState, Visibility
from tests import factories
from tests.core.webhooks.receiver import Receiver
from tests.polling import eventually
from tests.workers.conftest import Mailbox
from workers.jobs import recording_finished
from workers.kinds import JobKind, Tools
from workers.run import drain


async def statuses(queue: asyncpg.Connection) -> list[str]:
    return [row["status"] for row in await queue.fetch("select status::text from pgqueuer")]


async def post(session: AsyncSession, secret: bytes) -> None:
    await send_mail(session, secret=secret, to="ada@example.org", subject="Hello", text="World")


async def test_a_letter_leaves_after_the_commit(
    tools: Tools, mailbox: Mailbox, queue: asyncpg.Connection
) -> None:
    async with tools.database.transaction() as session:
        await post(session, tools.secret)
    await drain(tools)
    (letter,) = mailbox.letters
    assert (letter.to, letter.subject, letter.text) == ("ada@example.org", "Hello", "World")
    assert await statuses(queue) == []


async def test_a_letter_waits_for_a_server_that_is_away(
    tools: Tools, mailbox: Mailbox, queue: asyncpg.Connection
) -> None:
    mailbox.fail = [MailUnavailable("away")]
    async with tools.database.transaction() as session:
        await post(session, tools.secret)
    # `drain` waits for the second attempt, which would be due in five seconds.
    hastening = asyncio.create_task(hasten(queue))
    await drain(tools)
    await hastening
    assert len(mailbox.letters) == 1
    assert await statuses(queue) == []


async def hasten(queue: asyncpg.Connection) -> None:
    """Makes the first job that failed once due at once."""
    due = "update pgqueuer set execute_after = now() where attempts = 1 returning id"
    await eventually(lambda: queue.fetchval(due))


async def test_a_refused_letter_is_dropped_with_its_address(
    tools: Tools, mailbox: Mailbox, queue: asyncpg.Connection
) -> None:
    mailbox.fail = [MailRefused("The mail server answered 550")]
    async with tools.database.transaction() as session:
        await post(session, tools.secret)
    await drain(tools)
    assert mailbox.letters == []
    assert await statuses(queue) == []


async def test_a_letter_of_another_secret_is_held(
    tools: Tools, mailbox: Mailbox, queue: asyncpg.Connection
) -> None:
    """For a person, who may put the secret back and requeue it."""
    async with tools.database.transaction() as session:
        await post(session, b"the secret of another installation, long enough")
    await drain(tools)
    assert mailbox.letters == []
    assert await statuses(queue) == ["failed"]


async def test_a_bug_holds_its_job(tools: Tools, queue: asyncpg.Connection) -> None:
    async def broken(_tools: Tools, _payload: dict[str, Any]) -> None:
        raise KeyError("ada@example.org")

    async with tools.database.transaction() as session:
        await enqueue(session, "test.broken", {"n": 1})
    await drain(tools, kinds=[JobKind("test.broken", broken, at_once=1)])
    (job,) = await queue.fetch("select status::text, payload from pgqueuer")
    assert job["status"] == "failed"
    assert json.loads(job["payload"]) == {"n": 1}
    stored = await queue.fetchval(
        "select traceback::text from pgqueuer_log where status = 'failed'"
    )
    assert "KeyError: '<email>'" in stored
    assert "in broken" in stored
    assert "ada@" not in stored


async def finished_recording(tools: Tools, hook: str) -> tuple[Room, Recording]:
    """A room that ended, with its recording stored, on a platform that listens at `hook`."""
    now = datetime.now(UTC)
    async with tools.database.transaction() as session:
        host = await factories.make_user(session)
        room = Room(
            platform_id=host.platform_id,
            host_id=host.id,
            title="A room",
            visibility=Visibility.PUBLIC,
            state=RoomState.ENDED,
            live_at=now - timedelta(minutes=1),
            ended_at=now,
            recording_id=uuid7(),
        )
        worker = IngestWorker(whip_url="http://test", started_at=now, heartbeat_at=now)
        session.add_all([room, worker])
        await session.flush()
        assert room.recording_id is not None
        recording = Recording(
            id=room.recording_id,
            room_id=room.id,
            platform_id=room.platform_id,
            worker_id=worker.id,
            epoch=1,
            status=RecordingStatus.STORED,
            live_at=room.live_at,
            media_samples=48_000 * 59,
            packets_received=100,
            packets_lost=2,
        )
        session.add(recording)
        principal = Principal(
            kind=Kind.API_KEY, platform_id=room.platform_id, scopes=frozenset({"webhooks:write"})
        )
        await create_endpoint(
            session,
            principal,
            settings=tools.settings,
            installation_secret=tools.secret,
            url=hook,
            kinds=[],
        )
    return room, recording


async def test_a_finished_recording_is_told_once_to_room_and_platform(tools: Tools) -> None:
    async with Receiver() as receiver:
        room, recording = await finished_recording(tools, receiver.url)
        payload = {"recording_id": str(recording.id)}
        async with tools.database.transaction() as session:
            await enqueue(session, RECORDING_FINISHED, payload)
        await drain(tools)
        await recording_finished(tools, payload)
        await drain(tools)
    (message,) = (m for m in receiver.received if m.json["type"] == RECORDING_FINISHED)
    assert message.json["data"] == {
        "room_id": str(room.id),
        "recording_id": str(recording.id),
        "media_ms": 59_000,
        "packets_received": 100,
        "packets_lost": 2,
    }
    async with tools.database.transaction() as session:
        events = (
            await session.scalars(sa.select(RoomEvent).where(RoomEvent.room_id == room.id))
        ).all()
        states = (await session.scalars(sa.select(WebhookDelivery.state))).all()
    assert [event.kind for event in events] == [RECORDING_FINISHED, "transcript.published"]
    assert set(states) == {DeliveryState.ACCEPTED}


async def test_a_recording_that_is_gone_is_no_error(tools: Tools) -> None:
    await recording_finished(tools, {"recording_id": str(uuid7())})
