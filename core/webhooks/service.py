"""Endpoints of a platform, and the messages that are owed to them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Kind, Principal, Scope
from core.auth.rights import require_scope
from core.errors import Conflict, NotFound
from core.ids import uuid7
from core.queue import enqueue
from core.settings import Environment, Settings
from core.webhooks.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from core.webhooks.sender import checked_url
from core.webhooks.signing import new_secret, seal

DELIVER_JOB = "webhook.deliver"
MAX_ENDPOINTS = 20
ROTATION_OVERLAP = timedelta(hours=24)
DELIVERY_LIFE = timedelta(days=30)
PAGE_SIZE = 50


class EndpointNotFound(NotFound):
    code = "webhook_endpoint_not_found"
    title = "This platform has no such webhook endpoint"


class TooManyEndpoints(Conflict):
    code = "too_many_webhook_endpoints"
    title = f"A platform has at most {MAX_ENDPOINTS} webhook endpoints"


def webhook_platform(principal: Principal) -> UUID:
    """The platform whose endpoints the caller may manage: its admin, or a key with the scope.

    Raises Unauthenticated or ScopeMissing for everybody else.
    """
    if principal.kind is Kind.USER and principal.admin and principal.platform_id is not None:
        return principal.platform_id
    return require_scope(principal, Scope.WEBHOOKS_WRITE)


async def emit(
    session: AsyncSession, *, platform_id: UUID, kind: str, data: dict[str, Any]
) -> None:
    """Owes a message (`noun.verbed`) to every endpoint that wants it, with the commit.

    `data` is JSON without personal data beyond what the platform gave us.
    """
    wanted = sa.select(WebhookEndpoint.id).where(
        WebhookEndpoint.platform_id == platform_id,
        WebhookEndpoint.disabled_at.is_(None),
        sa.or_(
            sa.func.cardinality(WebhookEndpoint.kinds) == 0,
            sa.literal(kind) == sa.func.any(WebhookEndpoint.kinds),
        ),
    )
    # The lock keeps an endpoint from being deleted before its message is written.
    locked = wanted.with_for_update(read=True, key_share=True)
    for endpoint_id in (await session.scalars(locked)).all():
        delivery = WebhookDelivery(id=uuid7(), endpoint_id=endpoint_id, kind=kind, data=data)
        session.add(delivery)
        await enqueue_attempt(session, delivery.id, attempt=1)
    await session.flush()


async def enqueue_attempt(
    session: AsyncSession, delivery_id: UUID, *, attempt: int, delay: timedelta | None = None
) -> None:
    await enqueue(
        session,
        DELIVER_JOB,
        {"delivery_id": str(delivery_id)},
        dedupe_key=f"{delivery_id}/{attempt}",
        delay=delay,
    )


async def create_endpoint(
    session: AsyncSession,
    principal: Principal,
    *,
    settings: Settings,
    installation_secret: bytes,
    url: str,
    kinds: Sequence[str],
) -> tuple[WebhookEndpoint, str]:
    """The endpoint and its secret, which is shown here and never again.

    Raises what `webhook_platform` does, WebhookUrlInvalid, TooManyEndpoints.
    """
    platform_id = webhook_platform(principal)
    checked_url(
        url,
        https_only=settings.environment is Environment.PRODUCTION,
        allow_private=settings.allow_private_webhooks,
    )
    mine = sa.select(sa.func.count()).where(WebhookEndpoint.platform_id == platform_id)
    if (await session.scalars(mine)).one() >= MAX_ENDPOINTS:
        raise TooManyEndpoints
    secret, endpoint_id = new_secret(), uuid7()
    endpoint = WebhookEndpoint(
        id=endpoint_id,
        platform_id=platform_id,
        url=url,
        kinds=sorted(set(kinds)),
        secret=seal(installation_secret, endpoint_id, secret),
    )
    session.add(endpoint)
    await session.flush()
    return endpoint, secret


async def list_endpoints(session: AsyncSession, principal: Principal) -> Sequence[WebhookEndpoint]:
    mine = WebhookEndpoint.platform_id == webhook_platform(principal)
    rows = await session.scalars(
        sa.select(WebhookEndpoint).where(mine).order_by(WebhookEndpoint.id)
    )
    return rows.all()


async def delete_endpoint(
    session: AsyncSession, principal: Principal, *, endpoint_id: UUID
) -> None:
    """Its deliveries go with it. Raises EndpointNotFound."""
    await session.delete(await _endpoint(session, principal, endpoint_id))
    await session.flush()


async def rotate_secret(
    session: AsyncSession, principal: Principal, *, installation_secret: bytes, endpoint_id: UUID
) -> tuple[WebhookEndpoint, str]:
    """The endpoint and its new secret; for 24 h messages carry the old one's signature too.

    Raises EndpointNotFound.
    """
    endpoint = await _endpoint(session, principal, endpoint_id)
    secret = new_secret()
    endpoint.previous_secret = endpoint.secret
    endpoint.previous_secret_until = datetime.now(UTC) + ROTATION_OVERLAP
    endpoint.secret = seal(installation_secret, endpoint.id, secret)
    await session.flush()
    return endpoint, secret


async def enable_endpoint(
    session: AsyncSession, principal: Principal, *, endpoint_id: UUID
) -> WebhookEndpoint:
    """Sends again to an endpoint that was disabled; what it missed is not sent.

    Raises EndpointNotFound.
    """
    endpoint = await _endpoint(session, principal, endpoint_id)
    endpoint.disabled_at = endpoint.disabled_reason = None
    await session.flush()
    return endpoint


async def list_deliveries(
    session: AsyncSession, principal: Principal, *, endpoint_id: UUID, before: UUID | None = None
) -> Sequence[WebhookDelivery]:
    """Newest first, 50 a page; `before` is the last id of the page before.

    Raises EndpointNotFound.
    """
    endpoint = await _endpoint(session, principal, endpoint_id)
    page = sa.select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint.id)
    if before is not None:
        page = page.where(WebhookDelivery.id < before)
    rows = await session.scalars(page.order_by(WebhookDelivery.id.desc()).limit(PAGE_SIZE))
    return rows.all()


async def forget_deliveries(session: AsyncSession) -> int:
    """Deletes settled messages after 30 days and returns how many."""
    old = sa.delete(WebhookDelivery).where(
        WebhookDelivery.created_at < sa.func.now() - DELIVERY_LIFE,
        WebhookDelivery.state != DeliveryState.PENDING,
    )
    gone = await session.scalars(old.returning(WebhookDelivery.id))
    return len(gone.all())


async def _endpoint(
    session: AsyncSession, principal: Principal, endpoint_id: UUID
) -> WebhookEndpoint:
    endpoint = await session.scalar(
        sa.select(WebhookEndpoint)
        .where(
            WebhookEndpoint.id == endpoint_id,
            WebhookEndpoint.platform_id == webhook_platform(principal),
        )
        .with_for_update(key_share=True)
    )
    if endpoint is None:
        raise EndpointNotFound
    return endpoint
