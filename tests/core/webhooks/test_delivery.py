import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
import sqlalchemy as sa

from core.auth.principal import Kind, Principal
from core.db import Database
from core.settings import Settings
from core.webhooks.delivery import RETRY_AFTER, deliver
from core.webhooks.models import DeliveryState, DisabledReason, WebhookDelivery, WebhookEndpoint
from core.webhooks.sender import Sender
from core.webhooks.service import (
    DELIVER_JOB,
    create_endpoint,
    emit,
    enable_endpoint,
    forget_deliveries,
    rotate_secret,
)
from core.webhooks.signing import signature
from tests import factories
from tests.core.webhooks.conftest import SECRET
from tests.core.webhooks.receiver import Received, Receiver


class Platform:
    """One platform with one endpoint, and the steps of a delivery to it."""

    def __init__(self, database: Database, principal: Principal, endpoint_id: UUID) -> None:
        self.database = database
        self.principal = principal
        self.endpoint_id = endpoint_id
        self.secret = ""

    async def emit(self, kind: str = "room.ended", **data: object) -> None:
        assert self.principal.platform_id is not None
        async with self.database.transaction() as session:
            await emit(session, platform_id=self.principal.platform_id, kind=kind, data=data)

    async def deliveries(self) -> list[WebhookDelivery]:
        async with self.database.transaction() as session:
            mine = WebhookDelivery.endpoint_id == self.endpoint_id
            rows = await session.scalars(
                sa.select(WebhookDelivery).where(mine).order_by(WebhookDelivery.id)
            )
            return list(rows)

    async def endpoint(self) -> WebhookEndpoint:
        async with self.database.transaction() as session:
            return await session.get_one(WebhookEndpoint, self.endpoint_id)

    async def attempt(self, delivery: WebhookDelivery) -> None:
        await deliver(
            self.database,
            Sender(allow_private=True),
            installation_secret=SECRET,
            delivery_id=delivery.id,
        )

    async def change(self, delivery: WebhookDelivery, **values: object) -> None:
        async with self.database.transaction() as session:
            where = WebhookDelivery.id == delivery.id
            await session.execute(sa.update(WebhookDelivery).where(where).values(values))


async def make(
    database: Database, settings: Settings, url: str, kinds: tuple[str, ...] = ()
) -> Platform:
    async with database.transaction() as session:
        owner = await factories.make_platform(session)
        principal = Principal(
            kind=Kind.API_KEY, platform_id=owner.id, scopes=frozenset({"webhooks:write"})
        )
        endpoint, secret = await create_endpoint(
            session,
            principal,
            settings=settings,
            installation_secret=SECRET,
            url=url,
            kinds=kinds,
        )
    platform = Platform(database, principal, endpoint.id)
    platform.secret = secret
    return platform


def verified(got: Received, secret: str) -> bool:
    """As a receiver's library does it."""
    expected = signature(
        secret,
        message_id=got.headers["webhook-id"],
        timestamp=int(got.headers["webhook-timestamp"]),
        body=got.body,
    )
    return expected in got.headers["webhook-signature"].split(" ")


async def jobs_of(raw: asyncpg.Connection, delivery: WebhookDelivery) -> list[timedelta]:
    """Delays of the jobs that wait for it."""
    rows = await raw.fetch(
        "select payload, execute_after - created as delay from pgqueuer where entrypoint = $1",
        DELIVER_JOB,
    )
    wanted = str(delivery.id)
    return [r["delay"] for r in rows if json.loads(r["payload"])["delivery_id"] == wanted]


async def test_a_message_is_signed_sent_and_accepted(
    database: Database, settings: Settings, raw: asyncpg.Connection
) -> None:
    async with Receiver() as receiver:
        platform = await make(database, settings, receiver.url)
        await platform.emit(room_id="1", title="è")
        (delivery,) = await platform.deliveries()
        assert await jobs_of(raw, delivery) == [timedelta(0)]
        await platform.attempt(delivery)
    (got,) = receiver.received
    assert verified(got, platform.secret)
    assert abs(int(got.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60
    assert got.headers["webhook-id"] == f"msg_{delivery.id.hex}"
    assert got.json["type"] == "room.ended"
    assert got.json["data"] == {"room_id": "1", "title": "è"}
    assert datetime.fromisoformat(got.json["timestamp"]) == delivery.created_at
    (settled,) = await platform.deliveries()
    assert (settled.state, settled.attempts) == (DeliveryState.ACCEPTED, 1)
    assert settled.response_status == 204
    assert (await platform.endpoint()).accepted_at is not None


async def test_an_endpoint_gets_the_kinds_it_wants(database: Database, settings: Settings) -> None:
    platform = await make(database, settings, "https://app.example", ("room.ended",))
    await platform.emit("room.ended")
    await platform.emit("room.went_live")
    assert [d.kind for d in await platform.deliveries()] == ["room.ended"]


async def test_another_platforms_events_are_not_sent(
    database: Database, settings: Settings
) -> None:
    platform = await make(database, settings, "https://app.example")
    other = await make(database, settings, "https://app.example")
    await other.emit()
    assert await platform.deliveries() == []


async def test_a_rolled_back_event_owes_nothing(database: Database, settings: Settings) -> None:
    platform = await make(database, settings, "https://app.example")

    async def fail() -> None:
        async with database.transaction() as session:
            assert platform.principal.platform_id is not None
            await emit(
                session, platform_id=platform.principal.platform_id, kind="room.ended", data={}
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await platform.deliveries() == []


async def test_a_failed_attempt_is_repeated_later_with_the_same_id(
    database: Database, settings: Settings, raw: asyncpg.Connection
) -> None:
    async with Receiver() as receiver:
        receiver.status(500)
        platform = await make(database, settings, receiver.url)
        await platform.emit()
        (delivery,) = await platform.deliveries()
        await platform.attempt(delivery)
        (failed,) = await platform.deliveries()
        assert (failed.state, failed.attempts) == (DeliveryState.PENDING, 1)
        assert failed.response_status == 500
        assert RETRY_AFTER[0] in await jobs_of(raw, delivery)
        receiver.status(200)
        await platform.attempt(delivery)
    (settled,) = await platform.deliveries()
    assert (settled.state, settled.attempts) == (DeliveryState.ACCEPTED, 2)
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


async def test_an_attempt_without_an_answer_tells_why(
    database: Database, settings: Settings
) -> None:
    async with Receiver() as receiver:
        platform = await make(database, settings, receiver.url)
    await platform.emit()
    (delivery,) = await platform.deliveries()
    await platform.attempt(delivery)
    (failed,) = await platform.deliveries()
    assert (failed.failure, failed.response_status) == ("connection_refused", None)


def test_attempts_are_spread_over_about_a_day() -> None:
    assert timedelta(hours=23) < sum(RETRY_AFTER, timedelta()) < timedelta(hours=25)
    assert list(RETRY_AFTER) == sorted(RETRY_AFTER)


async def last_attempt(platform: Platform) -> WebhookDelivery:
    """Fails the only delivery for the last time."""
    (delivery,) = await platform.deliveries()
    await platform.change(delivery, attempts=len(RETRY_AFTER))
    await platform.attempt(delivery)
    (settled,) = await platform.deliveries()
    return settled


async def test_an_endpoint_that_failed_for_a_day_is_disabled_until_enabled(
    database: Database, settings: Settings
) -> None:
    async with Receiver() as receiver:
        receiver.status(503)
        platform = await make(database, settings, receiver.url)
        await platform.emit()
        assert (await last_attempt(platform)).state is DeliveryState.DROPPED
        assert (await platform.endpoint()).disabled_reason is DisabledReason.FAILING
        await platform.emit()
        assert len(await platform.deliveries()) == 1
    async with database.transaction() as session:
        await enable_endpoint(session, platform.principal, endpoint_id=platform.endpoint_id)
    await platform.emit()
    assert len(await platform.deliveries()) == 2


async def test_one_message_that_is_never_taken_does_not_disable_an_endpoint_that_works(
    database: Database, settings: Settings
) -> None:
    async with Receiver() as receiver:
        receiver.status(400)
        platform = await make(database, settings, receiver.url)
        await platform.emit()
        async with database.transaction() as session:
            endpoint = await session.get_one(WebhookEndpoint, platform.endpoint_id)
            endpoint.accepted_at = datetime.now(UTC) + timedelta(seconds=1)
        assert (await last_attempt(platform)).state is DeliveryState.DROPPED
    assert (await platform.endpoint()).disabled_at is None


async def test_a_receiver_that_is_gone_is_not_asked_again(
    database: Database, settings: Settings
) -> None:
    async with Receiver() as receiver:
        receiver.status(410)
        platform = await make(database, settings, receiver.url)
        await platform.emit()
        await platform.emit()
        first, second = await platform.deliveries()
        await platform.attempt(first)
        await platform.attempt(second)
    assert (await platform.endpoint()).disabled_reason is DisabledReason.GONE
    assert len(receiver.received) == 1
    assert {d.state for d in await platform.deliveries()} == {DeliveryState.DROPPED}


async def test_after_a_rotation_both_secrets_verify_for_a_while(
    database: Database, settings: Settings
) -> None:
    async with Receiver() as receiver:
        platform = await make(database, settings, receiver.url)
        async with database.transaction() as session:
            _, new = await rotate_secret(
                session,
                platform.principal,
                installation_secret=SECRET,
                endpoint_id=platform.endpoint_id,
            )
        await platform.emit()
        await platform.attempt((await platform.deliveries())[-1])
        async with database.transaction() as session:
            endpoint = await session.get_one(WebhookEndpoint, platform.endpoint_id)
            endpoint.previous_secret_until = datetime.now(UTC) - timedelta(seconds=1)
        await platform.emit()
        await platform.attempt((await platform.deliveries())[-1])
    during, after = receiver.received
    assert verified(during, platform.secret)
    assert verified(during, new)
    assert not verified(after, platform.secret)
    assert verified(after, new)


async def test_of_two_workers_that_sent_one_settles(database: Database, settings: Settings) -> None:
    async with Receiver() as receiver:
        receiver.status(500)
        platform = await make(database, settings, receiver.url)
        await platform.emit()
        (delivery,) = await platform.deliveries()
        await asyncio.gather(platform.attempt(delivery), platform.attempt(delivery))
    (settled,) = await platform.deliveries()
    assert settled.attempts == len(receiver.received) or settled.attempts == 1


@pytest.mark.parametrize("age", [timedelta(days=29), timedelta(days=31)], ids=["younger", "older"])
async def test_settled_messages_are_forgotten_after_a_month(
    database: Database, settings: Settings, age: timedelta
) -> None:
    platform = await make(database, settings, "https://app.example")
    await platform.emit()
    await platform.emit()
    settled, pending = await platform.deliveries()
    long_ago = datetime.now(UTC) - age
    await platform.change(settled, state=DeliveryState.ACCEPTED, created_at=long_ago)
    await platform.change(pending, created_at=long_ago)
    async with database.transaction() as session:
        await forget_deliveries(session)
    left = [d.id for d in await platform.deliveries()]
    assert left == ([pending.id] if age > timedelta(days=30) else [settled.id, pending.id])


async def test_a_delivery_that_is_gone_is_no_error(database: Database, settings: Settings) -> None:
    platform = await make(database, settings, "https://app.example")
    await platform.attempt(WebhookDelivery(id=platform.endpoint_id))
