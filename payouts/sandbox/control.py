"""The control API below /_control: makes happen, on demand, what else happens to a platform.

It speaks JSON, takes the API key as a bearer token, and answers 422 to what it does not understand.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from payouts.sandbox.events import record
from payouts.sandbox.faults import RequestFault, WebhookFault, add_fault, clear_faults
from payouts.sandbox.refusal import Refusal, missing
from payouts.sandbox.rendering import rendered
from payouts.sandbox.resources import accounts, balance, disputes, payouts, refunds
from payouts.sandbox.resources.webhook_endpoints import register
from payouts.sandbox.store import Object
from payouts.sandbox.timers import advance
from payouts.sandbox.webhooks import hurry, queue_again, release
from payouts.sandbox.wire import key_matches
from payouts.sandbox.world import API_VERSION, Call, World

Body = TypeVar("Body", bound=BaseModel)
Control = Callable[[World, Any], Object]
LONGEST_ADVANCE_SECONDS = 10 * 366 * 24 * 3600


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Clock(Asked):
    advance_seconds: Annotated[int, Field(ge=0, le=LONGEST_ADVANCE_SECONDS)] = 0


class Release(Asked):
    order: Literal["oldest_first", "newest_first"] = "oldest_first"


class Resend(Asked):
    event: str
    as_new: bool = False
    """With a new id, since Stripe may tell of one thing by two events."""


class NewEvent(Asked):
    type: str
    object: dict[str, Any]
    account: str | None = None
    api_version: str = API_VERSION


class NewDispute(Asked):
    charge: str
    amount: int | None = None
    reason: str = "fraudulent"


class Settlement(Asked):
    dispute: str
    won: bool


class Subject(Asked):
    id: str


class Adjustment(Asked):
    """A movement of money that nobody asked for."""

    amount: int
    currency: str
    type: str = "adjustment"
    description: str = "Made by the control API"
    account: str | None = None


class Restriction(Asked):
    account: str
    reason: str = "requirements.past_due"
    due: tuple[str, ...] = ("individual.verification.document",)


class Endpoint(Asked):
    url: str
    secret: Annotated[str, Field(min_length=16)]
    connect: bool = False
    replace: bool = False
    """Instead of every endpoint of this kind that is there."""


class Latest(Asked):
    kind: Literal["account", "charge", "dispute", "event", "payout", "refund", "transfer"]
    limit: Annotated[int, Field(ge=1, le=100)] = 10


class Nothing(Asked):
    pass


def state(world: World, asked: Nothing) -> Object:
    count = "select state, count(*) as n from deliveries group by 1"
    return {
        "now": world.now(),
        "platform": world.platform,
        "deliveries": {row["state"]: row["n"] for row in world.store.sql.execute(count)},
        "faults": [dict(row) for row in world.store.sql.execute("select * from faults")],
    }


def latest(world: World, asked: Latest) -> Object:
    """Objects of all accounts, newest first: to find the id of what is to go wrong."""
    return {"data": [rendered(world, o) for o in world.store.latest(asked.kind, asked.limit)]}


def move_clock(world: World, asked: Clock) -> Object:
    advance(world, world.now() + asked.advance_seconds)
    return {"now": world.now()}


def fault_request(world: World, asked: RequestFault) -> Object:
    add_fault(world.store, asked)
    return {}


def fault_webhook(world: World, asked: WebhookFault) -> Object:
    add_fault(world.store, asked)
    return {}


def clear(world: World, asked: Nothing) -> Object:
    """Removes all faults; webhooks that are held or wait for a retry are sent now."""
    clear_faults(world.store)
    hurry(world)
    return {"released": release(world, newest_first=False)}


def release_webhooks(world: World, asked: Release) -> Object:
    return {"released": release(world, newest_first=asked.order == "newest_first")}


def resend(world: World, asked: Resend) -> Object:
    event = world.store.find(asked.event)
    if event is None or event["object"] != "event":
        raise missing("event", asked.event)
    call = world.call(world.store.owner(asked.event))
    if asked.as_new:
        return record(call, event["type"], event["data"])
    queue_again(call, event)
    return event


def make_event(world: World, asked: NewEvent) -> Object:
    call = world.call(asked.account)
    return record(call, asked.type, {"object": asked.object}, version=asked.api_version)


def open_dispute(world: World, asked: NewDispute) -> Object:
    call = world.call()
    charge = call.get("charge", asked.charge, "charge")
    left = charge["amount"] - charge["amount_refunded"]
    return disputes.open_dispute(call, charge, asked.amount or left, asked.reason)


def settle_dispute(world: World, asked: Settlement) -> Object:
    call = world.call()
    return disputes.settle(call, call.get("dispute", asked.dispute), won=asked.won)


def fail_refund(world: World, asked: Subject) -> Object:
    call = world.call()
    refunds.fail(call, asked.id)
    return call.get("refund", asked.id)


def fail_payout(world: World, asked: Subject) -> Object:
    call, payout = _payout(world, asked.id)
    payouts.fail(call, payout)
    return payout


def pay_payout(world: World, asked: Subject) -> Object:
    call, payout = _payout(world, asked.id)
    payouts.arrive(call, asked.id)
    return call.get("payout", payout["id"])


def adjust(world: World, asked: Adjustment) -> Object:
    currency = balance.known_currency(asked.currency)
    call = world.call(asked.account)
    moved = balance.move(
        call,
        asked.type,
        asked.amount,
        currency,
        None,
        description=asked.description,
    )
    return call.save(moved, reporting_category="other_adjustment")


def restrict_account(world: World, asked: Restriction) -> Object:
    call = world.call()
    account = accounts.living(call, asked.account)
    accounts.restrict(call, account, asked.reason, list(asked.due))
    return account


def enable_account(world: World, asked: Subject) -> Object:
    """Onboarded and unrestricted, whatever was missing."""
    call = world.call()
    account = accounts.living(call, asked.id)
    account["details_submitted"] = True
    accounts.enable(call, account)
    return account


def add_endpoint(world: World, asked: Endpoint) -> Object:
    """With a secret that the caller knows, as the dashboard would show it."""
    call = world.call()
    if asked.replace:
        for known in call.store.select("webhook_endpoint", call.account):
            if known["_connect"] == asked.connect:
                call.store.delete(known["id"])
    return register(call, asked.url, asked.secret, connect=asked.connect)


def routes() -> list[Route]:
    """All are POST, but the state."""
    posts: dict[str, tuple[type[BaseModel], Control]] = {
        "/clock": (Clock, move_clock),
        "/latest": (Latest, latest),
        "/faults/requests": (RequestFault, fault_request),
        "/faults/webhooks": (WebhookFault, fault_webhook),
        "/faults/clear": (Nothing, clear),
        "/webhooks/release": (Release, release_webhooks),
        "/webhooks/endpoints": (Endpoint, add_endpoint),
        "/events/resend": (Resend, resend),
        "/events": (NewEvent, make_event),
        "/disputes": (NewDispute, open_dispute),
        "/disputes/settle": (Settlement, settle_dispute),
        "/refunds/fail": (Subject, fail_refund),
        "/payouts/fail": (Subject, fail_payout),
        "/payouts/pay": (Subject, pay_payout),
        "/balance/adjust": (Adjustment, adjust),
        "/accounts/restrict": (Restriction, restrict_account),
        "/accounts/enable": (Subject, enable_account),
    }
    made = [Route(path, _answering(*each), methods=["POST"]) for path, each in posts.items()]
    return [*made, Route("/state", _answering(Nothing, state), methods=["GET"])]


def _answering(takes: type[BaseModel], act: Control) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        world: World = request.app.state.world
        try:
            if not key_matches(world, request.headers.get("authorization", "")):
                raise Refusal("Invalid API Key provided.", status=401)
            asked = takes.model_validate_json(await request.body() or b"{}")
            with world.store.transaction():
                done = act(world, asked)
                shown = rendered(world, done)
        except ValidationError as error:
            said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            return JSONResponse({"error": {"message": said}}, 422)
        except Refusal as refusal:
            return JSONResponse(refusal.body(), refusal.status)
        world.pulse.set()
        return JSONResponse(shown)

    return answer


def _payout(world: World, id: str) -> tuple[Call, Object]:
    found = world.store.find(id)
    if found is None or found["object"] != "payout":
        raise missing("payout", id)
    return world.call(world.store.owner(id)), found
