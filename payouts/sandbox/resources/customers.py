"""Customers (docs.stripe.com/api/customers)."""

from payouts.sandbox.endpoints import Nothing, endpoint
from payouts.sandbox.events import emit
from payouts.sandbox.listing import CreatedParams, page_of
from payouts.sandbox.params import NewMetadata, Params, Text, merged
from payouts.sandbox.refusal import missing
from payouts.sandbox.resources.payment_methods import Address
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call


class CustomerFields(Params):
    address: Address | None = None
    description: Text = None
    email: Text = None
    metadata: NewMetadata
    name: Text = None
    phone: Text = None
    preferred_locales: tuple[str, ...] = ()


class ListCustomers(CreatedParams):
    email: str | None = None


@endpoint("POST", "/v1/customers")
def create_customer(call: Call, params: CustomerFields) -> Object:
    customer = call.make(
        "customer",
        "cus",
        **params.model_dump(exclude={"expand"}),
        balance=0,
        currency=None,
        default_source=None,
        delinquent=False,
        discount=None,
        invoice_prefix=None,
        invoice_settings={
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        shipping=None,
        tax_exempt="none",
        test_clock=None,
    )
    emit(call, "customer.created", customer)
    return customer


@endpoint("GET", "/v1/customers")
def list_customers(call: Call, params: ListCustomers) -> Object:
    return page_of(call, "customer", "/v1/customers", params, email=params.email)


@endpoint("GET", "/v1/customers/{customer}")
def retrieve_customer(call: Call, params: Nothing, customer: str) -> Object:
    found = call.store.find(customer, account=call.account)
    if found is None or found["object"] != "customer":
        raise missing("customer", customer, "customer")
    return found


@endpoint("POST", "/v1/customers/{customer}")
def update_customer(call: Call, params: CustomerFields, customer: str) -> Object:
    found = living(call, customer)
    given = params.model_dump(exclude_unset=True, exclude={"expand"})
    if "metadata" in given:
        given["metadata"] = merged(found["metadata"], given["metadata"])
    previous = {name: found[name] for name in given}
    emit(call, "customer.updated", call.save(found, **given), previous)
    return found


@endpoint("DELETE", "/v1/customers/{customer}")
def delete_customer(call: Call, params: Nothing, customer: str) -> Object:
    found = living(call, customer)
    emit(call, "customer.deleted", found)
    return call.store.put({"id": customer, "object": "customer", "deleted": True})


def living(call: Call, id: str) -> Object:
    found = call.get("customer", id, "customer")
    if found.get("deleted"):
        raise missing("customer", id, "customer")
    return found
