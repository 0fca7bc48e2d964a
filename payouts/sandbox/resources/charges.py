"""Charges (docs.stripe.com/api/charges): each is an attempt to pay an intent, made by `paying`."""

from payouts.sandbox.endpoints import Nothing, endpoint
from payouts.sandbox.events import emit
from payouts.sandbox.listing import CreatedParams, page_of
from payouts.sandbox.params import Metadata, Params, Text, merged
from payouts.sandbox.resources.balance import card_fee, move
from payouts.sandbox.resources.cards import BY_NUMBER, Behavior, TestCard
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call

COPIED = (
    "amount",
    "currency",
    "customer",
    "description",
    "metadata",
    "receipt_email",
    "shipping",
    "transfer_group",
)
"""From the payment intent."""


class ListCharges(CreatedParams):
    customer: str | None = None
    payment_intent: str | None = None
    transfer_group: str | None = None


class UpdateCharge(Params):
    description: Text = None
    metadata: Metadata | None = None
    transfer_group: Text = None


@endpoint("GET", "/v1/charges")
def list_charges(call: Call, params: ListCharges) -> Object:
    return page_of(
        call,
        "charge",
        "/v1/charges",
        params,
        customer=params.customer,
        payment_intent=params.payment_intent,
        transfer_group=params.transfer_group,
    )


@endpoint("GET", "/v1/charges/{charge}")
def retrieve_charge(call: Call, params: Nothing, charge: str) -> Object:
    return call.get("charge", charge, "charge")


@endpoint("POST", "/v1/charges/{charge}")
def update_charge(call: Call, params: UpdateCharge, charge: str) -> Object:
    found = call.get("charge", charge, "charge")
    found["metadata"] = merged(found["metadata"], params.metadata)
    if "description" in params.model_fields_set:
        found["description"] = params.description
    if params.transfer_group:
        found["transfer_group"] = params.transfer_group
    emit(call, "charge.updated", call.save(found))
    return found


def take(call: Call, intent: Object, method: Object) -> Object:
    """A charge that succeeded; its money enters the balance."""
    card = BY_NUMBER[method["_number"]]
    charge = _make(call, intent, method, status="succeeded", paid=True, captured=True)
    transaction = move(
        call,
        "charge",
        intent["amount"],
        intent["currency"],
        charge["id"],
        fee=card_fee(call, intent["amount"], intent["currency"]),
        description=intent["description"],
        pending=card.behavior != Behavior.AVAILABLE_AT_ONCE,
    )
    call.save(charge, balance_transaction=transaction["id"], amount_captured=intent["amount"])
    emit(call, "charge.succeeded", charge)
    return charge


def refuse(call: Call, intent: Object, method: Object, card: TestCard) -> Object:
    """A charge that the card's bank declined."""
    charge = _make(call, intent, method, status="failed", paid=False, captured=False)
    call.save(
        charge,
        failure_code=card.code,
        failure_message=card.message,
        outcome=_outcome(card),
    )
    emit(call, "charge.failed", charge)
    return charge


def _make(call: Call, intent: Object, method: Object, **state: object) -> Object:
    copied = {name: intent[name] for name in COPIED}
    return call.make(
        "charge",
        "ch",
        **copied,
        **state,
        amount_captured=0,
        amount_refunded=0,
        application=None,
        application_fee=None,
        application_fee_amount=None,
        balance_transaction=None,
        billing_details=method["billing_details"],
        calculated_statement_descriptor="ENCORE SANDBOX",
        disputed=False,
        failure_balance_transaction=None,
        failure_code=None,
        failure_message=None,
        fraud_details={},
        on_behalf_of=None,
        outcome=_outcome(None),
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details=_details(method, intent),
        radar_options={},
        receipt_number=None,
        receipt_url=None,
        refunded=False,
        review=None,
        source_transfer=None,
        statement_descriptor=intent["statement_descriptor"],
        statement_descriptor_suffix=None,
        transfer_data=None,
        _number=method["_number"],
    )


def _details(method: Object, intent: Object) -> Object:
    card = method["card"]
    copied = (
        "brand",
        "checks",
        "country",
        "exp_month",
        "exp_year",
        "fingerprint",
        "funding",
        "last4",
        "regulated_status",
        "wallet",
    )
    shown = {name: card[name] for name in copied}
    shown |= {
        "amount_authorized": intent["amount"],
        "authorization_code": None,
        "installments": None,
        "mandate": None,
        "network": card["brand"],
        "three_d_secure": None,
    }
    return {"type": "card", "card": shown}


def _outcome(declined: TestCard | None) -> Object:
    said = "Payment complete." if declined is None else declined.message
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network" if declined is None else "declined_by_network",
        "reason": None if declined is None else declined.decline_code,
        "risk_level": "normal",
        "seller_message": said,
        "type": "authorized" if declined is None else "issuer_declined",
    }
