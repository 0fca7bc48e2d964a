"""Responses about receipts and the history of a wallet. Amounts are in minor units."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from payouts.models import EventKind
from payouts.receipts import Receipt
from payouts.schemas import ORDER, REFUND, OrderOut, RefundOut

_MOVEMENT: Final[dict[str, Any]] = {
    "id": "0197f3a0-0000-7000-8000-000000000003",
    "kind": "tip",
    "at": "2026-11-22T10:05:00Z",
    "stars": -100,
    "room_id": "0197f3a0-0000-7000-8000-000000000004",
    "room_ms": 61_000,
}


class MovementOut(BaseModel):
    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_MOVEMENT]})

    id: UUID
    kind: EventKind
    at: datetime
    stars: int = Field(description="that came into the wallet; below zero: that left it")
    room_id: UUID | None
    room_ms: int | None = Field(description="when they were tipped, on the room's clock")


class MovementPage(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [_MOVEMENT], "next": None}]}
    )

    items: list[MovementOut]
    next: UUID | None = Field(description="pass as `before` for the next page; null at the end")


class ReceiptOut(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "order": ORDER,
                    "unused_stars": 0,
                    "refundable_minor": 0,
                    "refunds": [REFUND],
                    "seller": ["Acme Radio Ltd", "1 Sound Street, Dublin", "VAT IE1234567X"],
                }
            ]
        }
    )

    order: OrderOut
    unused_stars: int = Field(description="of this order, still in the wallet")
    refundable_minor: int = Field(description="what a refund of them would pay")
    refunds: list[RefundOut] = Field(description="oldest first")
    seller: list[str] = Field(description="name and address of the seller, line by line")

    @classmethod
    def of(cls, found: Receipt, seller: Sequence[str]) -> Self:
        return cls(
            order=OrderOut.of(found.order),
            unused_stars=found.unused,
            refundable_minor=found.refundable_minor,
            refunds=[RefundOut.model_validate(refund) for refund in found.refunds],
            seller=list(seller),
        )
