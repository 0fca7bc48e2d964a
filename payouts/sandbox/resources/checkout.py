"""Checkout sessions (docs.stripe.com/api/checkout/sessions): hosted pages, single payments."""

from typing import Annotated, Literal

from pydantic import Field

from payouts.sandbox.endpoints import Nothing, endpoint
from payouts.sandbox.events import emit
from payouts.sandbox.listing import CreatedParams, ListParams, page_of, whole
from payouts.sandbox.params import Currency, Metadata, NewMetadata, Params, Part, Text, merged
from payouts.sandbox.refusal import invalid
from payouts.sandbox.resources.balance import known_currency
from payouts.sandbox.resources.checkout_shapes import item_of, new_session
from payouts.sandbox.resources.customers import living
from payouts.sandbox.resources.paying import PAYABLE
from payouts.sandbox.resources.payment_intents import cancel
from payouts.sandbox.store import Object
from payouts.sandbox.timers import timer
from payouts.sandbox.world import DAY, Call

SHORTEST_SECONDS = 30 * 60
LOCALES = 10


class ProductData(Part):
    name: Annotated[str, Field(min_length=1)]
    description: Text = None
    images: tuple[str, ...] = ()
    metadata: NewMetadata
    tax_code: Text = None


class PriceData(Part):
    currency: Currency
    product_data: ProductData
    unit_amount: Annotated[int, Field(ge=0, le=99_999_999)]
    tax_behavior: Literal["exclusive", "inclusive", "unspecified"] = "unspecified"


class LineItem(Part):
    price_data: PriceData
    quantity: Annotated[int, Field(ge=1)] = 1
    metadata: NewMetadata


class IntentData(Part):
    description: Text = None
    metadata: NewMetadata
    receipt_email: Text = None
    statement_descriptor: Annotated[str | None, Field(max_length=22)] = None
    statement_descriptor_suffix: Annotated[str | None, Field(max_length=22)] = None
    transfer_group: Text = None


def _no_intent_data() -> IntentData:
    return IntentData(metadata={})


class Switch(Part):
    enabled: bool


class CreateSession(Params):
    mode: Literal["payment"]
    line_items: Annotated[list[LineItem], Field(min_length=1, max_length=100)]
    success_url: Annotated[str, Field(min_length=1)]
    cancel_url: Text = None
    adaptive_pricing: Switch | None = None
    allow_promotion_codes: bool | None = None
    automatic_tax: Switch = Switch(enabled=False)
    billing_address_collection: Literal["auto", "required"] | None = None
    client_reference_id: Annotated[str | None, Field(max_length=200)] = None
    currency: Currency | None = None
    customer: str | None = None
    customer_creation: Literal["always", "if_required"] | None = None
    customer_email: Text = None
    expires_at: int | None = None
    invoice_creation: Switch | None = None
    locale: Annotated[str | None, Field(max_length=LOCALES)] = None
    metadata: NewMetadata
    payment_intent_data: Annotated[IntentData, Field(default_factory=_no_intent_data)]
    payment_method_types: tuple[Literal["card"], ...] = ("card",)
    submit_type: Literal["auto", "book", "donate", "pay"] | None = None
    ui_mode: Literal["hosted_page"] = "hosted_page"


class UpdateSession(Params):
    metadata: Metadata | None = None


class ListSessions(CreatedParams):
    customer: str | None = None
    payment_intent: str | None = None
    status: Literal["complete", "expired", "open"] | None = None


@endpoint("POST", "/v1/checkout/sessions")
def create_session(call: Call, params: CreateSession) -> Object:
    expires_at = _expiry(call, params.expires_at)
    customer = living(call, params.customer) if params.customer else None
    if customer and params.customer_email:
        raise invalid("You may only specify one of customer and customer_email.", "customer_email")
    if params.automatic_tax.enabled:
        raise invalid("The sandbox does not compute tax.", "automatic_tax[enabled]")
    currency = _currency(params)
    items = [item_of(call, each) for each in params.line_items]
    session = new_session(call, params, items, currency, expires_at)
    call.save(session, url=f"{call.world.base_url}/c/pay/{session['id']}")
    call.later(expires_at - call.now, "session_expires", session["id"])
    return session


@endpoint("GET", "/v1/checkout/sessions")
def list_sessions(call: Call, params: ListSessions) -> Object:
    return page_of(
        call,
        "checkout.session",
        "/v1/checkout/sessions",
        params,
        customer=params.customer,
        payment_intent=params.payment_intent,
        status=params.status,
    )


@endpoint("GET", "/v1/checkout/sessions/{session}")
def retrieve_session(call: Call, params: Nothing, session: str) -> Object:
    return call.get("checkout.session", session, "session")


@endpoint("POST", "/v1/checkout/sessions/{session}")
def update_session(call: Call, params: UpdateSession, session: str) -> Object:
    found = call.get("checkout.session", session, "session")
    return call.save(found, metadata=merged(found["metadata"], params.metadata))


@endpoint("GET", "/v1/checkout/sessions/{session}/line_items")
def list_line_items(call: Call, params: ListParams, session: str) -> Object:
    found = call.get("checkout.session", session, "session")
    items = found["_line_items"]["data"]
    shown = whole(items[: params.limit], found["_line_items"]["url"])
    return shown | {"has_more": len(items) > params.limit}


@endpoint("POST", "/v1/checkout/sessions/{session}/expire")
def expire_session(call: Call, params: Nothing, session: str) -> Object:
    found = call.get("checkout.session", session, "session")
    if found["status"] != "open":
        raise invalid('Only Checkout Sessions with a status in ["open"] can be expired.')
    return expire(call, found)


@timer("session_expires")
def expire_if_open(call: Call, id: str) -> None:
    session = call.get("checkout.session", id)
    if session["status"] == "open":
        expire(call, session)


def expire(call: Call, session: Object) -> Object:
    """Nobody can pay it any more, not by a 3D Secure step that was begun before either."""
    emit(call, "checkout.session.expired", call.save(session, status="expired", url=None))
    intent = session["payment_intent"] and call.get("payment_intent", session["payment_intent"])
    if intent and intent["status"] in PAYABLE:
        cancel(call, intent, "automatic")
    return session


def complete(call: Call, session: Object, intent: Object, payer: Object) -> Object:
    """The intent was paid. `payer`: email and name, as the page asked for them."""
    details = session["customer_details"] or {}
    call.save(
        session,
        customer_details=details | payer,
        payment_intent=intent["id"],
        payment_status="paid",
        status="complete",
        url=None,
    )
    emit(call, "checkout.session.completed", session)
    return session


def _expiry(call: Call, asked: int | None) -> int:
    if asked is None:
        return call.now + DAY
    if not call.now + SHORTEST_SECONDS - 60 <= asked <= call.now + DAY + 60:
        said = "The `expires_at` timestamp must be between 30 minutes and 24 hours from now."
        raise invalid(said, "expires_at")
    return asked


def _currency(params: CreateSession) -> str:
    currencies = {each.price_data.currency for each in params.line_items}
    if len(currencies) != 1:
        raise invalid("All line items must have the same currency.", "line_items")
    return known_currency(currencies.pop(), "line_items[0][price_data][currency]")
