"""Reading events (docs.stripe.com/api/events): of this account alone."""

from typing import Annotated

from pydantic import Field

from payouts.sandbox.endpoints import Nothing, endpoint
from payouts.sandbox.listing import CreatedParams, page_of
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call


class ListEvents(CreatedParams):
    type: str | None = None
    types: Annotated[tuple[str, ...], Field(max_length=20)] = ()


@endpoint("GET", "/v1/events")
def list_events(call: Call, params: ListEvents) -> Object:
    types = [params.type] if params.type else list(params.types)
    return page_of(call, "event", "/v1/events", params, types=types)


@endpoint("GET", "/v1/events/{id}")
def retrieve_event(call: Call, params: Nothing, id: str) -> Object:
    return call.get("event", id)
