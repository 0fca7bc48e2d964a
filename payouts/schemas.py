"""Requests and responses of the API of Stars and payouts. Amounts are in minor units."""

from datetime import datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.http import RequestBody
from core.money_settings import StarPack
from payouts.gateway_models import OrderState, RefundState, StarOrder
from payouts.onboarding import Step

ClientKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{8,100}$")]
"""An idempotency key chosen by the caller: a request sent again with the same key is done once."""

_PACK: Final[dict[str, Any]] = {
    "key": "usd-500",
    "currency": "USD",
    "price_minor": 699,
    "stars": 500,
    "bonus": 0,
    "total_stars": 500,
}
ORDER: Final[dict[str, Any]] = {
    "id": "0197f3a0-0000-7000-8000-000000000001",
    "state": "open",
    "pack": "usd-500",
    "stars": 500,
    "price_minor": 699,
    "tax_minor": 0,
    "currency": "USD",
    "test_money": True,
    "checkout_url": "https://checkout.stripe.com/c/pay/cs_test_a1",
    "failure_code": None,
    "paid_with": None,
    "receipt_url": None,
    "created_at": "2026-11-22T10:00:00Z",
    "expires_at": "2026-11-23T10:00:00Z",
    "paid_at": None,
}


class PackOut(BaseModel):
    """`price_minor` includes tax."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_PACK]})

    key: str
    currency: str
    price_minor: int
    stars: int
    bonus: int
    total_stars: int = Field(description="stars and bonus: what comes into the wallet")


class PackList(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"packs": [_PACK], "star_value_minor": 1, "settlement_currency": "USD"}]
        }
    )

    packs: list[PackOut]
    star_value_minor: int = Field(description="what a creator earns for one Star")
    settlement_currency: str = Field(description="what creators are owed in")

    @classmethod
    def of(cls, packs: tuple[StarPack, ...], star_value_minor: int, currency: str) -> Self:
        shown = [PackOut.model_validate(pack) for pack in packs]
        return cls(packs=shown, star_value_minor=star_value_minor, settlement_currency=currency)


class NewOrder(RequestBody):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"client_key": "b6f1c2d0-buy-1", "pack": "usd-500"}]}
    )

    client_key: ClientKey = Field(description="your own key, a new one for each order")
    pack: str = Field(max_length=40)


class OrderOut(BaseModel):
    """`open`: send the buyer to `checkout_url`, where another card may be tried after a decline.
    `paid`: the Stars are in the wallet."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [ORDER]})

    id: UUID
    state: OrderState
    pack: str
    stars: int
    price_minor: int
    tax_minor: int = Field(description="within the price")
    currency: str
    test_money: bool
    checkout_url: str | None
    failure_code: str | None = Field(description="why the last attempt was declined")
    paid_with: str | None
    receipt_url: str | None
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None

    @classmethod
    def of(cls, order: StarOrder) -> Self:
        columns = {name: getattr(order, name) for name in cls.model_fields if name != "test_money"}
        return cls(**columns, test_money=not order.livemode)


class OrderPage(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [ORDER], "next": None}]})

    items: list[OrderOut]
    next: UUID | None = Field(description="pass as `before` for the next page; null at the end")


class WalletOut(BaseModel):
    """Stars don't expire and can't be transferred or cashed out; unused ones can be refunded."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"stars": 400, "held": 0, "frozen": False}]}
    )

    stars: int = Field(description="that can be spent")
    held: int = Field(description="being refunded")
    frozen: bool = Field(description="a payment is disputed: nothing can be spent until that ends")


REFUND: Final[dict[str, Any]] = {
    "id": "0197f3a0-0000-7000-8000-000000000002",
    "order_id": "0197f3a0-0000-7000-8000-000000000001",
    "stars": 400,
    "amount_minor": 560,
    "state": "open",
    "failure_code": None,
    "created_at": "2026-11-22T10:00:00Z",
    "settled_at": None,
}


class RefundOut(BaseModel):
    """`open`: the Stars are out of the wallet, the money is on its way. `failed`: they are back."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [REFUND]})

    id: UUID
    order_id: UUID
    stars: int
    amount_minor: int = Field(description="in the currency of the order")
    state: RefundState
    failure_code: str | None
    created_at: datetime
    settled_at: datetime | None


class OnboardingOut(BaseModel):
    """`step` is what happens next; `due` lists what Stripe requires, by its names
    (docs.stripe.com/api/accounts/object)."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "step": "fix",
                    "due": ["individual.verification.document"],
                    "pending": [],
                    "disabled_reason": "requirements.past_due",
                    "payouts_enabled": False,
                }
            ]
        },
    )

    step: Step = Field(
        description="begin: POST here; continue and fix: POST here and answer Stripe; wait: Stripe "
        "looks at it; ready: matured earnings are transferred by themselves"
    )
    due: list[str]
    pending: list[str] = Field(description="what Stripe is looking at")
    disabled_reason: str | None
    payouts_enabled: bool = Field(description="Stripe may pay out to their bank")


class LinkOut(BaseModel):
    """Works once and only for some minutes: send the person there at once."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "https://connect.stripe.com/setup/e/acct_1/x"}]}
    )

    url: str
