"""One attempt to deliver one message; what follows from it is decided in one transaction."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.webhooks.models import DeliveryState, DisabledReason, WebhookDelivery, WebhookEndpoint
from core.webhooks.sender import AttemptError, Sender
from core.webhooks.service import enqueue_attempt
from core.webhooks.signing import signed_headers, unseal

RETRY_AFTER: Final = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
    timedelta(hours=8),
)
"""Wait after each failure: eleven attempts over 23 h 43 min."""

GONE: Final = 410


@dataclass(frozen=True, slots=True)
class _Message:
    url: str
    headers: dict[str, str]
    body: bytes
    attempts: int


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int | None
    failure: str | None = None

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


async def deliver(
    database: Database, sender: Sender, *, installation_secret: bytes, delivery_id: UUID
) -> None:
    """Sends a pending message once. Attempts may repeat after a crash; the `webhook-id` tells."""
    async with database.transaction() as session:
        message = await _prepare(session, installation_secret, delivery_id)
    if message is None:
        return
    try:
        answer = _Answer(await sender.post(message.url, message.headers, message.body))
    except AttemptError as failed:
        answer = _Answer(None, failed.reason)
    async with database.transaction() as session:
        await _settle(session, delivery_id, message.attempts, answer)


async def _prepare(
    session: AsyncSession, installation_secret: bytes, delivery_id: UUID
) -> _Message | None:
    """None when there is nothing to send (any more)."""
    delivery = await session.get(WebhookDelivery, delivery_id)
    if delivery is None or delivery.state is not DeliveryState.PENDING:
        return None
    endpoint = await session.get_one(WebhookEndpoint, delivery.endpoint_id)
    if endpoint.disabled_at is not None:
        delivery.state = DeliveryState.DROPPED
        return None
    secrets = [unseal(installation_secret, endpoint.id, s) for s in _sealed_secrets(endpoint)]
    body = body_of(delivery)
    headers = signed_headers(
        secrets, message_id=message_id(delivery.id), timestamp=int(time.time()), body=body
    )
    return _Message(endpoint.url, headers, body, delivery.attempts)


def message_id(delivery_id: UUID) -> str:
    """The `webhook-id`: the same for every attempt."""
    return f"msg_{delivery_id.hex}"


def body_of(delivery: WebhookDelivery) -> bytes:
    """`{"type", "timestamp", "data"}`, the same bytes for every attempt."""
    body = {
        "type": delivery.kind,
        "timestamp": delivery.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": delivery.data,
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _sealed_secrets(endpoint: WebhookEndpoint) -> list[bytes]:
    until = endpoint.previous_secret_until
    if endpoint.previous_secret is None or until is None or until < datetime.now(UTC):
        return [endpoint.secret]
    return [endpoint.secret, endpoint.previous_secret]


async def _settle(session: AsyncSession, delivery_id: UUID, attempts: int, answer: _Answer) -> None:
    """Guarded by the number of attempts: of two workers that sent, one settles."""
    endpoint = await session.scalar(
        sa.select(WebhookEndpoint)
        .join(WebhookDelivery, WebhookDelivery.endpoint_id == WebhookEndpoint.id)
        .where(WebhookDelivery.id == delivery_id)
        .with_for_update(key_share=True, of=WebhookEndpoint)
    )
    if endpoint is None:
        return
    delivery = await session.get_one(WebhookDelivery, delivery_id, with_for_update=True)
    if delivery.state is not DeliveryState.PENDING or delivery.attempts != attempts:
        return
    delivery.attempts += 1
    delivery.attempted_at = datetime.now(UTC)
    delivery.response_status, delivery.failure = answer.status, answer.failure
    if answer.accepted:
        delivery.state = DeliveryState.ACCEPTED
        endpoint.accepted_at = delivery.attempted_at
    elif answer.status == GONE:
        delivery.state = DeliveryState.DROPPED
        _disable(endpoint, DisabledReason.GONE)
    elif delivery.attempts > len(RETRY_AFTER):
        delivery.state = DeliveryState.DROPPED
        if endpoint.accepted_at is None or endpoint.accepted_at < delivery.created_at:
            _disable(endpoint, DisabledReason.FAILING)
    else:
        await enqueue_attempt(
            session,
            delivery.id,
            attempt=delivery.attempts + 1,
            delay=RETRY_AFTER[delivery.attempts - 1],
        )


def _disable(endpoint: WebhookEndpoint, reason: DisabledReason) -> None:
    endpoint.disabled_at = datetime.now(UTC)
    endpoint.disabled_reason = reason
