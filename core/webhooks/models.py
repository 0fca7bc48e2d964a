"""Where a platform wants to be told, and every message that was owed to it."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, text_enum
from core.ids import uuid7


class DisabledReason(StrEnum):
    """`failing`: nothing was accepted for a day; `gone`: the receiver answered 410."""

    FAILING = "failing"
    GONE = "gone"


class WebhookEndpoint(Base):
    """A URL of a platform. Secrets are encrypted under a key of the installation."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        sa.CheckConstraint(
            "(disabled_at is null) = (disabled_reason is null)", name="disabled_with_reason"
        ),
        sa.CheckConstraint(
            "(previous_secret is null) = (previous_secret_until is null)", name="previous_secret"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    platform_id: Mapped[UUID] = mapped_column(sa.ForeignKey("platform.id"), index=True)
    url: Mapped[str] = mapped_column(sa.Text)
    kinds: Mapped[list[str]] = mapped_column(server_default="{}")
    """Event kinds that are wanted; empty for all."""

    secret: Mapped[bytes]
    previous_secret: Mapped[bytes | None]
    previous_secret_until: Mapped[datetime | None]
    """After a rotation messages carry both signatures until then."""

    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    accepted_at: Mapped[datetime | None]
    """When the receiver last answered 2xx."""

    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[DisabledReason | None] = mapped_column(
        text_enum(DisabledReason, "disabled_reason")
    )


class DeliveryState(StrEnum):
    """`dropped`: given up, or its endpoint was disabled before."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    DROPPED = "dropped"


class WebhookDelivery(Base):
    """One message to one endpoint: its id is the `webhook-id` of every attempt."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        sa.Index("ix_webhook_delivery_endpoint_id_id", "endpoint_id", "id"),
        sa.Index("ix_webhook_delivery_created_at", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    endpoint_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("webhook_endpoint.id", ondelete="CASCADE")
    )
    kind: Mapped[str] = mapped_column(sa.Text)
    data: Mapped[dict[str, Any]]
    state: Mapped[DeliveryState] = mapped_column(
        text_enum(DeliveryState, "delivery_state"), default=DeliveryState.PENDING
    )
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    attempted_at: Mapped[datetime | None]
    response_status: Mapped[int | None]
    failure: Mapped[str | None] = mapped_column(sa.Text)
    """Why the last attempt failed without a status: `timeout`, `refused_address`, ..."""
