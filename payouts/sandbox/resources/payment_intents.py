"""Payment intents (docs.stripe.com/payments/paymentintents/lifecycle); cards, captured at once."""

from typing import Annotated, Literal

from pydantic import Field

from payouts.sandbox.endpoints import Nothing, endpoint
from payouts.sandbox.events import emit
from payouts.sandbox.listing import CreatedParams, page_of
from payouts.sandbox.params import (
    Currency,
    Metadata,
    NewMetadata,
    Params,
    Part,
    Positive,
    Text,
    merged,
)
from payouts.sandbox.refusal import Refusal, invalid
from payouts.sandbox.rendering import rendered
from payouts.sandbox.resources.balance import known_currency
from payouts.sandbox.resources.paying import PAYABLE, attempt
from payouts.sandbox.resources.payment_methods import usable
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call, new_id

LEAST = 50
"""Minor units; Stripe's least amounts differ by currency, this is that of US dollars."""


class AutomaticMethods(Part):
    enabled: bool
    allow_redirects: Literal["always", "never"] = "always"


class CreateIntent(Params):
    amount: Positive
    currency: Currency
    automatic_payment_methods: AutomaticMethods | None = None
    confirm: bool = False
    customer: str | None = None
    description: Text = None
    metadata: NewMetadata
    off_session: bool | None = None
    payment_method: str | None = None
    payment_method_types: tuple[Literal["card"], ...] = ("card",)
    receipt_email: Text = None
    return_url: Text = None
    statement_descriptor: Annotated[str | None, Field(max_length=22)] = None
    statement_descriptor_suffix: Annotated[str | None, Field(max_length=22)] = None
    transfer_group: Text = None


class UpdateIntent(Params):
    amount: Positive | None = None
    customer: str | None = None
    description: Text = None
    metadata: Metadata | None = None
    payment_method: str | None = None
    receipt_email: Text = None
    transfer_group: Text = None


class ConfirmIntent(Params):
    off_session: bool | None = None
    payment_method: str | None = None
    receipt_email: Text = None
    return_url: Text = None


class CancelIntent(Params):
    cancellation_reason: (
        Literal["abandoned", "duplicate", "fraudulent", "requested_by_customer"] | None
    ) = None


class ListIntents(CreatedParams):
    customer: str | None = None


@endpoint("POST", "/v1/payment_intents")
def create_intent(call: Call, params: CreateIntent) -> Object:
    if params.customer:
        call.get("customer", params.customer, "customer")
    method = usable(call, params.payment_method) if params.payment_method else None
    intent = make_intent(call, params, method)
    if not params.confirm:
        return intent
    if method is None:
        raise invalid("You must provide a payment method to confirm.", "payment_method")
    return _confirmed(call, intent, method, params.return_url)


@endpoint("GET", "/v1/payment_intents/{intent}")
def retrieve_intent(call: Call, params: Nothing, intent: str) -> Object:
    return call.get("payment_intent", intent, "intent")


@endpoint("GET", "/v1/payment_intents")
def list_intents(call: Call, params: ListIntents) -> Object:
    return page_of(call, "payment_intent", "/v1/payment_intents", params, customer=params.customer)


@endpoint("POST", "/v1/payment_intents/{intent}")
def update_intent(call: Call, params: UpdateIntent, intent: str) -> Object:
    found = call.get("payment_intent", intent, "intent")
    given = params.model_dump(exclude_unset=True, exclude={"expand", "metadata"})
    if given and found["status"] in ("succeeded", "canceled"):
        raise _unexpected(call, found, "updated")
    if params.metadata is not None:
        given["metadata"] = merged(found["metadata"], params.metadata)
    if params.payment_method:
        given |= {
            "payment_method": usable(call, params.payment_method)["id"],
            "status": "requires_confirmation",
        }
    return call.save(found, **given)


@endpoint("POST", "/v1/payment_intents/{intent}/confirm")
def confirm_intent(call: Call, params: ConfirmIntent, intent: str) -> Object:
    found = call.get("payment_intent", intent, "intent")
    if found["status"] not in PAYABLE:
        raise _unexpected(call, found, "confirmed")
    method_id = params.payment_method or found["payment_method"]
    if method_id is None:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            "payment_method",
            "payment_intent_unexpected_state",
        )
    return _confirmed(call, found, usable(call, method_id), params.return_url)


@endpoint("POST", "/v1/payment_intents/{intent}/cancel")
def cancel_intent(call: Call, params: CancelIntent, intent: str) -> Object:
    found = call.get("payment_intent", intent, "intent")
    if found["status"] not in PAYABLE:
        raise _unexpected(call, found, "canceled")
    return cancel(call, found, params.cancellation_reason)


def cancel(call: Call, intent: Object, reason: str | None) -> Object:
    call.save(
        intent,
        status="canceled",
        canceled_at=call.now,
        cancellation_reason=reason,
        next_action=None,
    )
    emit(call, "payment_intent.canceled", intent)
    return intent


def make_intent(call: Call, params: CreateIntent, method: Object | None) -> Object:
    known_currency(params.currency)
    if params.amount < LEAST:
        raise invalid(f"Amount must be at least {LEAST} minor units.", "amount", "amount_too_small")
    automatic = params.automatic_payment_methods
    intent = call.make(
        "payment_intent",
        "pi",
        amount=params.amount,
        amount_capturable=0,
        amount_details={"tip": {}},
        amount_received=0,
        application=None,
        application_fee_amount=None,
        automatic_payment_methods=automatic.model_dump() if automatic else None,
        canceled_at=None,
        cancellation_reason=None,
        capture_method="automatic_async",
        client_secret=None,
        confirmation_method="automatic",
        currency=params.currency,
        customer=params.customer,
        description=params.description,
        last_payment_error=None,
        latest_charge=None,
        metadata=params.metadata,
        next_action=None,
        on_behalf_of=None,
        payment_method=method and method["id"],
        payment_method_options={},
        payment_method_types=params.payment_method_types,
        processing=None,
        receipt_email=params.receipt_email,
        review=None,
        setup_future_usage=None,
        shipping=None,
        statement_descriptor=params.statement_descriptor,
        statement_descriptor_suffix=params.statement_descriptor_suffix,
        status="requires_confirmation" if method else "requires_payment_method",
        transfer_data=None,
        transfer_group=params.transfer_group,
    )
    call.save(intent, client_secret=new_id(f"{intent['id']}_secret"))
    emit(call, "payment_intent.created", intent)
    return intent


def _confirmed(call: Call, intent: Object, method: Object, return_url: str | None) -> Object:
    """Raises Refusal (402), which keeps what was done, when the card is declined."""
    attempt(call, intent, method, return_url)
    error = intent["last_payment_error"]
    if error is None:
        return intent
    more = {key: error[key] for key in ("decline_code", "charge") if key in error}
    raise Refusal(
        error["message"],
        status=402,
        type=error["type"],
        code=error["code"],
        keep=True,
        payment_intent=rendered(call.world, intent),
        payment_method=error["payment_method"],
        **more,
    )


def _unexpected(call: Call, intent: Object, done: str) -> Refusal:
    return Refusal(
        f"This PaymentIntent could not be {done} because it has a status of {intent['status']}.",
        code="payment_intent_unexpected_state",
        payment_intent=rendered(call.world, intent),
    )
