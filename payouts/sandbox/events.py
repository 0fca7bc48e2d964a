"""Records events (docs.stripe.com/api/events) and queues them for the webhook endpoints."""

from payouts.sandbox.rendering import rendered
from payouts.sandbox.store import Object
from payouts.sandbox.webhooks import enqueue
from payouts.sandbox.world import API_VERSION, Call


def emit(call: Call, type: str, subject: Object, previous: Object | None = None) -> Object:
    """Records an event of the object as it is now; `previous`: old values of what changed."""
    data: Object = {"object": rendered(call.world, subject)}
    if previous is not None:
        data["previous_attributes"] = previous
    return record(call, type, data)


def record(call: Call, type: str, data: Object, *, version: str = API_VERSION) -> Object:
    """Records an event of any type and data, also one that the control API makes up."""
    owner = {} if call.on_platform else {"account": call.account}
    request = {"id": call.request_id, "idempotency_key": call.idempotency_key}
    event = call.make(
        "event",
        "evt",
        **owner,
        api_version=version,
        data=data,
        pending_webhooks=0,
        request=request,
        type=type,
    )
    return call.save(event, pending_webhooks=enqueue(call, event))
