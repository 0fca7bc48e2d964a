"""Events (docs.stripe.com/api/events): what happened, kept for the list and sent to endpoints."""

from payouts.sandbox.rendering import rendered
from payouts.sandbox.store import Object
from payouts.sandbox.webhooks import enqueue
from payouts.sandbox.world import API_VERSION, Call


def emit(call: Call, type: str, subject: Object, previous: Object | None = None) -> Object:
    """Keeps `type` of the object as it is now; `previous`: the attributes that changed."""
    data: Object = {"object": rendered(call.world, subject)}
    if previous is not None:
        data["previous_attributes"] = previous
    return record(call, type, data)


def record(call: Call, type: str, data: Object, *, version: str = API_VERSION) -> Object:
    """An event of any type and shape, as the control API may want one."""
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
