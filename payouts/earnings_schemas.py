"""What the API tells creators of their money. Amounts are in minor units of the `currency`."""

from datetime import date, datetime
from typing import Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from core.http import RequestBody
from payouts.models import EventKind
from payouts.statements import Statement

_ROOM_ID: Final = "0197f3a0-0000-7000-8000-000000000004"
_ROOM: Final[dict[str, Any]] = {
    "room_id": _ROOM_ID,
    "title": "What radio can still teach us",
    "live_at": "2026-11-22T10:00:00Z",
    "duration_ms": 3_600_000,
    "earned_minor": 1250,
    "tips": 12,
}


class MaturingOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    on: date
    amount_minor: int


class SumOut(BaseModel):
    currency: str
    amount_minor: int


class EarningsOut(BaseModel):
    """Each minor unit is in one state: pending, matured, on hold, in transfer or transferred."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "currency": "USD",
                    "pending_minor": 1200,
                    "matured_minor": 800,
                    "on_hold_minor": 0,
                    "in_transfer_minor": 0,
                    "transferred_minor": 2500,
                    "arrived": [{"currency": "USD", "amount_minor": 2500}],
                    "maturing": [{"on": "2026-12-06", "amount_minor": 1200}],
                    "minimum_minor": 2500,
                    "bank_refused_at": None,
                }
            ]
        }
    )

    currency: str
    pending_minor: int = Field(description="recent tips, which may still be lost to a dispute")
    matured_minor: int = Field(
        description="transferred next; below 0: deducted from what you earn next"
    )
    on_hold_minor: int = Field(description="a buyer's bank disputes the payment")
    in_transfer_minor: int
    transferred_minor: int = Field(
        description="to your account at Stripe, which pays it out to your bank"
    )
    arrived: list[SumOut] = Field(
        description="what has been paid out to your bank, in its currency"
    )
    maturing: list[MaturingOut] = Field(description="when what is pending matures, in UTC")
    minimum_minor: int = Field(description="least amount that is transferred at once")
    bank_refused_at: datetime | None = Field(
        description="when the last payout came back from your bank; null otherwise"
    )


class RoomEarnedOut(BaseModel):
    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_ROOM]})

    room_id: UUID
    title: str
    live_at: datetime | None
    duration_ms: int | None
    earned_minor: int = Field(description="before any dispute")
    tips: int


class RoomsEarned(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"currency": "USD", "items": [_ROOM], "next": None}]}
    )

    currency: str
    items: list[RoomEarnedOut]
    next: UUID | None = Field(description="pass as `before` for the next page; null at the end")


class MinuteOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    minute: int = Field(description="of the room, from 0; -1: tips that are pinned to no moment")
    earned_minor: int
    tips: int


class MinutesOut(BaseModel):
    """Minutes without tips are left out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "currency": "USD",
                    "room": _ROOM,
                    "minutes": [{"minute": 12, "earned_minor": 1250, "tips": 12}],
                }
            ]
        }
    )

    currency: str
    room: RoomEarnedOut
    minutes: list[MinuteOut]


class MonthsOut(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"months": ["2026-12", "2026-11"]}]})

    months: list[str] = Field(description="`YYYY-MM`, newest first")


class LineOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    kind: EventKind
    says: str
    count: int
    owed_minor: int
    held_minor: int


class RoomSum(BaseModel):
    room_id: UUID | None
    earned_minor: int


class StatementOut(BaseModel):
    """In both columns, owed and held, opening plus all lines is closing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "month": "2026-11",
                    "currency": "USD",
                    "final": True,
                    "opening_owed_minor": 0,
                    "opening_held_minor": 0,
                    "lines": [
                        {
                            "kind": "tip",
                            "says": "Tips",
                            "count": 12,
                            "owed_minor": 1250,
                            "held_minor": 0,
                        }
                    ],
                    "closing_owed_minor": 1250,
                    "closing_held_minor": 0,
                    "rooms": [{"room_id": _ROOM_ID, "earned_minor": 1250}],
                }
            ]
        }
    )

    month: str
    currency: str
    final: bool = Field(description="the month is over; otherwise these are the figures so far")
    opening_owed_minor: int
    opening_held_minor: int
    lines: list[LineOut]
    closing_owed_minor: int
    closing_held_minor: int
    rooms: list[RoomSum] = Field(description="what the tips of each room earned; null: no room")

    @classmethod
    def of(cls, found: Statement) -> Self:
        return cls(
            month=found.month,
            currency=found.currency,
            final=found.final,
            opening_owed_minor=found.opening_owed_minor,
            opening_held_minor=found.opening_held_minor,
            lines=[LineOut.model_validate(line) for line in found.lines],
            closing_owed_minor=found.closing_owed_minor,
            closing_held_minor=found.closing_held_minor,
            rooms=[RoomSum(room_id=room, earned_minor=sum_) for room, sum_ in found.rooms],
        )


class Farewell(RequestBody):
    model_config = ConfigDict(json_schema_extra={"examples": [{"give_up": False}]})

    give_up: bool = Field(
        False, description="give up unused Stars, and earnings that can't be paid to you"
    )
