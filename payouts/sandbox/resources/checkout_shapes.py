"""How a Checkout Session and its line items look when they are new."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payouts.sandbox.listing import whole
from payouts.sandbox.refusal import invalid
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call, new_id

if TYPE_CHECKING:
    from payouts.sandbox.resources.checkout import CreateSession, LineItem


def item_of(call: Call, given: LineItem) -> Object:
    price = _price_of(call, given)
    total = price["unit_amount"] * given.quantity
    return {
        "id": new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": price["currency"],
        "description": given.price_data.product_data.name,
        "metadata": given.metadata,
        "price": price,
        "quantity": given.quantity,
    }


def _price_of(call: Call, given: LineItem) -> Object:
    """An inline price with a product of its own, which nothing else can use."""
    data = given.price_data
    product = call.make(
        "product",
        "prod",
        active=False,
        default_price=None,
        description=data.product_data.description,
        images=data.product_data.images,
        marketing_features=[],
        metadata=data.product_data.metadata,
        name=data.product_data.name,
        package_dimensions=None,
        shippable=None,
        statement_descriptor=None,
        tax_code=data.product_data.tax_code,
        type="service",
        unit_label=None,
        updated=call.now,
        url=None,
    )
    return call.make(
        "price",
        "price",
        active=False,
        billing_scheme="per_unit",
        currency=data.currency,
        custom_unit_amount=None,
        lookup_key=None,
        metadata={},
        nickname=None,
        product=product["id"],
        recurring=None,
        tax_behavior=data.tax_behavior,
        tiers_mode=None,
        transform_quantity=None,
        type="one_time",
        unit_amount=data.unit_amount,
        unit_amount_decimal=str(data.unit_amount),
    )


def new_session(
    call: Call, params: CreateSession, items: list[Object], currency: str, expires_at: int
) -> Object:
    total = sum(item["amount_total"] for item in items)
    if not total:
        raise invalid("The total amount must be more than nothing.", "line_items")
    session = call.make(
        "checkout.session",
        "cs_test",
        **_asked_for(params),
        **_UNUSED,
        amount_subtotal=total,
        amount_total=total,
        currency=currency,
        customer_details=_payer(call, params),
        expires_at=expires_at,
        invoice_creation={"enabled": False, "invoice_data": _INVOICE},
        payment_intent=None,
        payment_status="unpaid",
        status="open",
        total_details={"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        url=None,
        _intent_data=params.payment_intent_data.model_dump(),
    )
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return call.save(session, _line_items=whole(items, url))


def _asked_for(params: CreateSession) -> Object:
    same = (
        "allow_promotion_codes billing_address_collection cancel_url client_reference_id customer "
        "customer_creation customer_email locale metadata mode payment_method_types submit_type "
        "success_url ui_mode"
    )
    asked: Object = params.model_dump(include=set(same.split()))
    adaptive = params.adaptive_pricing
    asked["adaptive_pricing"] = {"enabled": adaptive.enabled if adaptive else False}
    if params.customer is None and asked["customer_creation"] is None:
        asked["customer_creation"] = "if_required"
    return asked


def _payer(call: Call, params: CreateSession) -> Object | None:
    customer = call.store.find(params.customer) if params.customer else None
    email = customer["email"] if customer else params.customer_email
    if email is None and customer is None:
        return None
    return {
        "address": None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": customer["name"] if customer else None,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": None,
    }


_INVOICE: Object = {
    "account_tax_ids": None,
    "custom_fields": None,
    "description": None,
    "footer": None,
    "issuer": None,
    "metadata": {},
    "rendering_options": None,
}

_UNUSED: Object = {
    "after_expiration": None,
    "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
    "client_secret": None,
    "collected_information": None,
    "consent": None,
    "consent_collection": None,
    "currency_conversion": None,
    "custom_fields": [],
    "custom_text": {
        "after_submit": None,
        "shipping_address": None,
        "submit": None,
        "terms_of_service_acceptance": None,
    },
    "discounts": [],
    "invoice": None,
    "origin_context": None,
    "payment_link": None,
    "payment_method_collection": "if_required",
    "payment_method_configuration_details": None,
    "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
    "permissions": None,
    "phone_number_collection": {"enabled": False},
    "recovered_from": None,
    "saved_payment_method_options": None,
    "setup_intent": None,
    "shipping_address_collection": None,
    "shipping_cost": None,
    "shipping_options": [],
    "subscription": None,
    "wallet_options": None,
}
