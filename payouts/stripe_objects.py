"""Stripe's objects, frozen and with only the fields that we use, made from their JSON.

The fields are described at docs.stripe.com/api. Here currencies are ISO 4217 in capitals, amounts
are in minor units, and times in UTC. `movement` is an object's balance transaction, if expanded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from payouts.postings import BalanceTransaction

Json = Mapping[str, Any]


def id_of(value: Any) -> str | None:
    """The id of what is either an expanded object or its id."""
    found: str | None = value["id"] if isinstance(value, Mapping) else value
    return found


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _metadata(data: Json) -> dict[str, str]:
    return dict(data.get("metadata") or {})


@dataclass(frozen=True, slots=True)
class CheckoutSession:
    id: str
    url: str | None
    """The page where the buyer pays; None once it is complete or has expired."""
    status: str
    """`open`, `complete` or `expired`."""
    payment_status: str
    """`paid`, `unpaid` or `no_payment_required`."""
    payment_intent: str | None
    amount_minor: int
    currency: str
    order: str | None
    """Our `client_reference_id`."""
    expires_at: datetime

    @classmethod
    def of(cls, data: Json) -> Self:
        return cls(
            id=data["id"],
            url=data.get("url"),
            status=data["status"],
            payment_status=data["payment_status"],
            payment_intent=id_of(data.get("payment_intent")),
            amount_minor=data["amount_total"] or 0,
            currency=(data["currency"] or "").upper(),
            order=data.get("client_reference_id"),
            expires_at=moment(data["expires_at"]),
        )


@dataclass(frozen=True, slots=True)
class PaymentIntent:
    id: str
    status: str
    latest_charge: str | None
    failure_code: str | None
    """Why the last attempt was declined."""
    metadata: Mapping[str, str]

    @classmethod
    def of(cls, data: Json) -> Self:
        error = data.get("last_payment_error") or {}
        return cls(
            id=data["id"],
            status=data["status"],
            latest_charge=id_of(data.get("latest_charge")),
            failure_code=error.get("decline_code") or error.get("code"),
            metadata=_metadata(data),
        )


def balance_transaction(data: Json) -> BalanceTransaction:
    return BalanceTransaction(
        id=data["id"],
        kind=data["type"],
        amount_minor=data["amount"],
        fee_minor=data["fee"],
        currency=data["currency"].upper(),
        at=moment(data["created"]),
        source=id_of(data.get("source")) or "",
        category=data["reporting_category"],
        is_of_connect=(data.get("description") or "").startswith("Connect"),
    )


def movement_of(value: Any) -> BalanceTransaction | None:
    return balance_transaction(value) if isinstance(value, Mapping) else None


@dataclass(frozen=True, slots=True)
class Charge:
    id: str
    status: str
    """`succeeded`, `pending` or `failed`."""
    amount_minor: int
    currency: str
    payment_intent: str | None
    movement: BalanceTransaction | None
    """None while the charge is pending, or if it failed."""
    disputed: bool
    metadata: Mapping[str, str]
    receipt_url: str | None
    paid_with: str | None
    """Brand and last digits of the card, such as `visa 4242`."""

    @classmethod
    def of(cls, data: Json) -> Self:
        return cls(
            id=data["id"],
            status=data["status"],
            amount_minor=data["amount"],
            currency=data["currency"].upper(),
            payment_intent=id_of(data.get("payment_intent")),
            movement=movement_of(data.get("balance_transaction")),
            disputed=bool(data.get("disputed")),
            metadata=_metadata(data),
            receipt_url=data.get("receipt_url"),
            paid_with=_card((data.get("payment_method_details") or {}).get("card")),
        )


def _card(card: Json | None) -> str | None:
    return f"{card['brand']} {card['last4']}" if card else None


@dataclass(frozen=True, slots=True)
class Refund:
    id: str
    status: str
    """`pending`, `requires_action`, `succeeded`, `failed` or `canceled`."""
    amount_minor: int
    charge: str | None
    movement: BalanceTransaction | None
    failure_movement: BalanceTransaction | None
    """What returned the money to our balance after the refund failed."""
    failure_code: str | None
    metadata: Mapping[str, str]

    @classmethod
    def of(cls, data: Json) -> Self:
        return cls(
            id=data["id"],
            status=data["status"] or "pending",
            amount_minor=data["amount"],
            charge=id_of(data.get("charge")),
            movement=movement_of(data.get("balance_transaction")),
            failure_movement=movement_of(data.get("failure_balance_transaction")),
            failure_code=data.get("failure_reason"),
            metadata=_metadata(data),
        )


@dataclass(frozen=True, slots=True)
class Dispute:
    id: str
    status: str
    reason: str
    charge: str | None
    amount_minor: int
    currency: str
    movements: tuple[BalanceTransaction, ...]
    """At most two: the withdrawal, and what came back when the dispute was won."""

    @classmethod
    def of(cls, data: Json) -> Self:
        return cls(
            id=data["id"],
            status=data["status"],
            reason=data["reason"],
            charge=id_of(data.get("charge")),
            amount_minor=data["amount"],
            currency=data["currency"].upper(),
            movements=tuple(balance_transaction(m) for m in data.get("balance_transactions") or ()),
        )


@dataclass(frozen=True, slots=True)
class ConnectedState:
    """A creator's connected account, and what Stripe still requires for it."""

    id: str
    transfers: str
    """The capability: `active`, `pending`, `inactive`."""
    payouts_enabled: bool
    details_submitted: bool
    due: tuple[str, ...]
    """Names of requirements that are missing now (`past_due` and `currently_due`)."""
    pending: tuple[str, ...]
    """Names of requirements that Stripe is checking."""
    disabled_reason: str | None
    country: str | None
    metadata: Mapping[str, str]

    @classmethod
    def of(cls, data: Json) -> Self:
        asked = data.get("requirements") or {}
        due = [*(asked.get("past_due") or ()), *(asked.get("currently_due") or ())]
        return cls(
            id=data["id"],
            transfers=(data.get("capabilities") or {}).get("transfers", "inactive"),
            payouts_enabled=bool(data.get("payouts_enabled")),
            details_submitted=bool(data.get("details_submitted")),
            due=tuple(dict.fromkeys(due)),
            pending=tuple(asked.get("pending_verification") or ()),
            disabled_reason=asked.get("disabled_reason"),
            country=data.get("country"),
            metadata=_metadata(data),
        )


@dataclass(frozen=True, slots=True)
class Reversal:
    id: str
    amount_minor: int
    movement: BalanceTransaction | None
    created_at: datetime

    @classmethod
    def of(cls, data: Json) -> Self:
        return cls(
            id=data["id"],
            amount_minor=data["amount"],
            movement=movement_of(data.get("balance_transaction")),
            created_at=moment(data["created"]),
        )


@dataclass(frozen=True, slots=True)
class Transfer:
    id: str
    amount_minor: int
    reversed_minor: int
    currency: str
    destination: str | None
    transfer_group: str | None
    movement: BalanceTransaction | None
    metadata: Mapping[str, str]
    created_at: datetime

    @classmethod
    def of(cls, data: Json) -> Self:
        return cls(
            id=data["id"],
            amount_minor=data["amount"],
            reversed_minor=data["amount_reversed"],
            currency=data["currency"].upper(),
            destination=id_of(data.get("destination")),
            transfer_group=data.get("transfer_group"),
            movement=movement_of(data.get("balance_transaction")),
            metadata=_metadata(data),
            created_at=moment(data["created"]),
        )


@dataclass(frozen=True, slots=True)
class Payout:
    id: str
    status: str
    """`pending`, `in_transit`, `paid`, `failed` or `canceled`."""
    amount_minor: int
    currency: str
    failure_code: str | None
    movement: BalanceTransaction | None
    arrival_at: datetime

    @classmethod
    def of(cls, data: Json) -> Self:
        return cls(
            id=data["id"],
            status=data["status"],
            amount_minor=data["amount"],
            currency=data["currency"].upper(),
            failure_code=data.get("failure_code"),
            movement=movement_of(data.get("balance_transaction")),
            arrival_at=moment(data["arrival_date"]),
        )


@dataclass(frozen=True, slots=True)
class StripeEvent:
    """Only its ids are used: the object it is about is fetched, and may have changed since."""

    id: str
    kind: str
    api_version: str | None
    livemode: bool
    account: str | None
    """The connected account that it is about; None for our own."""
    subject: str
    """The id of the object that it is about."""
    created_at: datetime

    @classmethod
    def of(cls, data: Json, *, account: str | None = None) -> Self:
        """`account`: in whose list it was found, since events of a list need not name it."""
        return cls(
            id=str(data["id"]),
            kind=str(data["type"]),
            api_version=data.get("api_version"),
            livemode=bool(data["livemode"]),
            account=data.get("account") or account,
            subject=str(data["data"]["object"].get("id", "")),
            created_at=moment(data["created"]),
        )
