"""Payment methods: cards alone. The number is not kept, what it does is."""

from typing import Annotated, Literal

from pydantic import Field

from payouts.sandbox.endpoints import Nothing, endpoint
from payouts.sandbox.events import emit
from payouts.sandbox.listing import ListParams, page_of
from payouts.sandbox.params import Metadata, NewMetadata, Params, Part, Text, merged
from payouts.sandbox.refusal import Refusal, invalid
from payouts.sandbox.resources.cards import BY_NUMBER, TestCard, card_of_token
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call

PASSED = {
    "address_line1_check": None,
    "address_postal_code_check": None,
    "cvc_check": "pass",
}


class Address(Part):
    city: Text = None
    country: Text = None
    line1: Text = None
    line2: Text = None
    postal_code: Text = None
    state: Text = None


class BillingDetails(Part):
    address: Address | None = None
    email: Text = None
    name: Text = None
    phone: Text = None
    tax_id: Text = None


class CardDetails(Part):
    number: str | None = None
    exp_month: Annotated[int, Field(ge=1, le=12)] = 12
    exp_year: int = 2034
    cvc: str | None = None
    token: str | None = None


class CreatePaymentMethod(Params):
    type: Literal["card"]
    card: CardDetails
    billing_details: BillingDetails = BillingDetails()
    metadata: NewMetadata
    allow_redisplay: Literal["always", "limited", "unspecified"] = "unspecified"


class UpdatePaymentMethod(Params):
    billing_details: BillingDetails | None = None
    metadata: Metadata | None = None
    allow_redisplay: Literal["always", "limited", "unspecified"] | None = None


class AttachPaymentMethod(Params):
    customer: str


class ListPaymentMethods(ListParams):
    customer: str | None = None
    type: Literal["card"] | None = None


@endpoint("POST", "/v1/payment_methods")
def create_payment_method(call: Call, params: CreatePaymentMethod) -> Object:
    card = _card_of(params.card)
    return make_payment_method(
        call,
        card,
        params.card,
        billing=params.billing_details,
        metadata=params.metadata,
    )


@endpoint("GET", "/v1/payment_methods/{payment_method}")
def retrieve_payment_method(call: Call, params: Nothing, payment_method: str) -> Object:
    return call.get("payment_method", payment_method, "payment_method")


@endpoint("POST", "/v1/payment_methods/{payment_method}")
def update_payment_method(call: Call, params: UpdatePaymentMethod, payment_method: str) -> Object:
    found = call.get("payment_method", payment_method, "payment_method")
    found["metadata"] = merged(found["metadata"], params.metadata)
    if params.billing_details is not None:
        found["billing_details"] |= params.billing_details.model_dump(exclude_unset=True)
    if params.allow_redisplay is not None:
        found["allow_redisplay"] = params.allow_redisplay
    return call.save(found)


@endpoint("GET", "/v1/payment_methods")
def list_payment_methods(call: Call, params: ListPaymentMethods) -> Object:
    if params.customer:
        call.get("customer", params.customer, "customer")
    return page_of(call, "payment_method", "/v1/payment_methods", params, customer=params.customer)


@endpoint("GET", "/v1/customers/{customer}/payment_methods")
def list_of_customer(call: Call, params: ListPaymentMethods, customer: str) -> Object:
    call.get("customer", customer, "customer")
    url = f"/v1/customers/{customer}/payment_methods"
    return page_of(call, "payment_method", url, params, customer=customer)


@endpoint("POST", "/v1/payment_methods/{payment_method}/attach")
def attach(call: Call, params: AttachPaymentMethod, payment_method: str) -> Object:
    found = usable(call, payment_method)
    call.get("customer", params.customer, "customer")
    if found["customer"] not in (None, params.customer):
        raise invalid("The payment method belongs to another customer.", "customer")
    emit(call, "payment_method.attached", call.save(found, customer=params.customer))
    return found


@endpoint("POST", "/v1/payment_methods/{payment_method}/detach")
def detach(call: Call, params: Nothing, payment_method: str) -> Object:
    found = call.get("payment_method", payment_method, "payment_method")
    if found["customer"] is None:
        raise invalid("The payment method is not attached to a customer.", "payment_method")
    emit(call, "payment_method.detached", call.save(found, customer=None))
    return found


def usable(call: Call, id: str) -> Object:
    """The payment method, or a new one for `pm_card_visa` and the like."""
    card = card_of_token(id)
    if card is None:
        return call.get("payment_method", id, "payment_method")
    return make_payment_method(call, card, CardDetails())


def make_payment_method(
    call: Call,
    card: TestCard,
    details: CardDetails,
    *,
    billing: BillingDetails | None = None,
    metadata: dict[str, str] | None = None,
) -> Object:
    return call.make(
        "payment_method",
        "pm",
        allow_redisplay="unspecified",
        billing_details=billing_of(billing or BillingDetails()),
        card=_shown_card(card, details),
        customer=None,
        metadata=metadata or {},
        type="card",
        _number=card.number,
    )


def billing_of(details: BillingDetails) -> Object:
    shown: Object = details.model_dump()
    shown["address"] = shown["address"] or Address().model_dump()
    return shown


def _card_of(details: CardDetails) -> TestCard:
    if details.token is not None:
        found = card_of_token(details.token)
    else:
        found = BY_NUMBER.get((details.number or "").replace(" ", ""))
    if found is None:
        raise Refusal(
            "Your card number is incorrect: the sandbox takes test cards alone.",
            status=402,
            type="card_error",
            code="incorrect_number",
            param="card[number]",
        )
    return found


def _shown_card(card: TestCard, details: CardDetails) -> Object:
    return {
        "brand": card.brand,
        "checks": PASSED,
        "country": "US",
        "display_brand": card.brand,
        "exp_month": details.exp_month,
        "exp_year": details.exp_year,
        "fingerprint": f"test{card.number[-4:]}",
        "funding": "credit",
        "generated_from": None,
        "last4": card.number[-4:],
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
