"""Webhook endpoints (docs.stripe.com/api/webhook_endpoints), on this machine alone."""

import secrets
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from core.addresses import is_loopback
from payouts.sandbox.endpoints import Nothing, endpoint
from payouts.sandbox.listing import ListParams, page_of
from payouts.sandbox.params import Metadata, NewMetadata, Params, Text, merged
from payouts.sandbox.refusal import invalid
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call

Types = Annotated[list[str], Field(min_length=1)]


class CreateEndpoint(Params):
    enabled_events: Types
    url: str
    api_version: str | None = None
    connect: bool = False
    description: Text = None
    metadata: NewMetadata


class UpdateEndpoint(Params):
    description: Text = None
    disabled: bool | None = None
    enabled_events: Types | None = None
    metadata: Metadata | None = None
    url: str | None = None


@endpoint("POST", "/v1/webhook_endpoints")
def create_endpoint(call: Call, params: CreateEndpoint) -> Object:
    """As with Stripe, no later answer holds the secret."""
    made = register(
        call,
        params.url,
        f"whsec_{secrets.token_hex(16)}",
        connect=params.connect,
        enabled_events=params.enabled_events,
    )
    call.save(
        made,
        api_version=params.api_version,
        description=params.description,
        metadata=params.metadata,
    )
    return made | {"secret": made["_secret"]}


@endpoint("GET", "/v1/webhook_endpoints")
def list_endpoints(call: Call, params: ListParams) -> Object:
    return page_of(call, "webhook_endpoint", "/v1/webhook_endpoints", params)


@endpoint("GET", "/v1/webhook_endpoints/{id}")
def retrieve_endpoint(call: Call, params: Nothing, id: str) -> Object:
    return call.get("webhook_endpoint", id)


@endpoint("POST", "/v1/webhook_endpoints/{id}")
def update_endpoint(call: Call, params: UpdateEndpoint, id: str) -> Object:
    found = call.get("webhook_endpoint", id)
    if params.url is not None:
        found["url"] = local(params.url)
    if params.enabled_events is not None:
        found["enabled_events"] = params.enabled_events
    found["metadata"] = merged(found["metadata"], params.metadata)
    if params.disabled is not None:
        found["status"] = "disabled" if params.disabled else "enabled"
    if "description" in params.model_fields_set:
        found["description"] = params.description
    return call.save(found)


@endpoint("DELETE", "/v1/webhook_endpoints/{id}")
def delete_endpoint(call: Call, params: Nothing, id: str) -> Object:
    call.get("webhook_endpoint", id)
    call.store.delete(id)
    return {"id": id, "object": "webhook_endpoint", "deleted": True}


def register(
    call: Call,
    url: str,
    secret: str,
    *,
    connect: bool,
    enabled_events: list[str] | None = None,
) -> Object:
    """`connect`: hears of the connected accounts instead of the platform."""
    return call.make(
        "webhook_endpoint",
        "we",
        api_version=None,
        application=None,
        description=None,
        enabled_events=enabled_events or ["*"],
        metadata={},
        status="enabled",
        url=local(url),
        _connect=connect,
        _secret=secret,
    )


def local(url: str) -> str:
    """The URL. Raises Refusal unless it is on this machine, which test events must not leave."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not (name == "localhost" or is_loopback(name)):
        raise invalid("Invalid URL: the sandbox sends to this machine alone.", "url", "url_invalid")
    return url
