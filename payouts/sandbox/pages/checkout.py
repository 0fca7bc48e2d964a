"""The hosted Checkout page and the 3D Secure step."""

import re
from datetime import UTC, datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from payouts.sandbox.pages.rendering import SEE_OTHER, call_of, form_of, page
from payouts.sandbox.resources.cards import BY_NUMBER, CARDS, TestCard
from payouts.sandbox.resources.checkout import complete
from payouts.sandbox.resources.paying import PAYABLE, attempt, authenticated
from payouts.sandbox.resources.payment_intents import CreateIntent, make_intent
from payouts.sandbox.resources.payment_methods import (
    BillingDetails,
    CardDetails,
    make_payment_method,
)
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call

EXPIRY = re.compile(r"(0[1-9]|1[0-2]) ?/ ?(?:20)?(\d{2})")
SHOWN_CARDS = {
    "4242424242424242": "is paid",
    "4000000000000002": "is declined",
    "4000000000009995": "is declined: insufficient funds",
    "4000002500003155": "asks for 3D Secure, then is paid",
    "4000008400001629": "asks for 3D Secure, then is declined",
    "4000000000000259": "is paid, then disputed",
    "4000000000005126": "is paid; its refund fails later",
}


async def show(request: Request) -> Response:
    call, session = _session(request)
    if session is None:
        return page("gone.html", status=404, what="payment page")
    return _shown(session, _failed_before(call, session), {})


async def pay(request: Request) -> Response:
    form = await form_of(request)
    call, session = _session(request)  # after the wait: it may have been paid meanwhile
    if session is None:
        return page("gone.html", status=404, what="payment page")
    if session["status"] != "open":
        return _shown(session, None, form)
    card, problem = _card(form, call.now)
    if card is None:
        return _shown(session, problem, form)
    with call.store.transaction():
        intent = _attempt(call, session, card, form)
    if intent["status"] == "requires_action":
        return RedirectResponse(intent["next_action"]["redirect_to_url"]["url"], SEE_OTHER)
    if intent["status"] == "succeeded":
        return RedirectResponse(success_url(session), SEE_OTHER)
    return _shown(session, intent["last_payment_error"]["message"], form)


async def show_3ds(request: Request) -> Response:
    call, intent = _intent(request)
    if intent is None:
        return page("gone.html", status=404, what="authentication")
    if intent["status"] != "requires_action":
        return RedirectResponse(_way_back(call, intent), SEE_OTHER)
    return page("three_d_secure.html", intent=intent)


async def answer_3ds(request: Request) -> Response:
    form = await form_of(request)
    call, intent = _intent(request)
    if intent is None:
        return page("gone.html", status=404, what="authentication")
    with call.store.transaction():
        was = intent["status"]
        authenticated(call, intent, passed=form.get("answer") == "complete")
        session = _session_of(call, intent)
        if was == "requires_action" and intent["status"] == "succeeded" and session:
            complete(call, session, intent, session["_payer"])
    return RedirectResponse(_way_back(call, intent), SEE_OTHER)


def success_url(session: Object) -> str:
    """Where the payer goes on, with the session's id where the platform asked for it."""
    template: str = session["success_url"]
    return template.replace("{CHECKOUT_SESSION_ID}", quote(session["id"]))


def _session(request: Request) -> tuple[Call, Object | None]:
    call = call_of(request)
    found = call.store.find(request.path_params["session"])
    known = found is not None and found["object"] == "checkout.session"
    return call, found if known else None


def _intent(request: Request) -> tuple[Call, Object | None]:
    call = call_of(request)
    found = call.store.find(request.path_params["intent"])
    known = found is not None and found["object"] == "payment_intent"
    return call, found if known else None


def _shown(session: Object, problem: str | None, form: dict[str, str]) -> Response:
    if session["status"] == "complete":
        return RedirectResponse(success_url(session), SEE_OTHER)
    if session["status"] == "expired":
        return page("gone.html", status=410, what="payment page", back=session["cancel_url"])
    details = session["customer_details"] or {}
    return page(
        "checkout.html",
        session=session,
        items=session["_line_items"]["data"],
        problem=problem,
        email=form.get("email", details.get("email") or ""),
        name=form.get("name", details.get("name") or ""),
        cards=[(card, SHOWN_CARDS[card.number]) for card in CARDS if card.number in SHOWN_CARDS],
    )


def _card(form: dict[str, str], now: int) -> tuple[TestCard | None, str]:
    """The card of the form, or what is wrong with it."""
    number = re.sub(r"[ -]", "", form.get("number", ""))
    if (expiry := _expiry(form)) is None:
        return None, "Your card's expiration date is incomplete: write it as 12 / 34."
    today = datetime.fromtimestamp(now, UTC)
    if expiry < (today.year, today.month):
        return None, "Your card's expiration date is in the past."
    if not re.fullmatch(r"\d{3,4}", form.get("cvc", "")):
        return None, "Your card's security code is incomplete."
    said = "Your card number is not one of the test cards; no real card is taken here."
    return BY_NUMBER.get(number), said


def _expiry(form: dict[str, str]) -> tuple[int, int] | None:
    """Year and month."""
    found = EXPIRY.fullmatch(form.get("expiry", ""))
    return (2000 + int(found[2]), int(found[1])) if found else None


def _attempt(call: Call, session: Object, card: TestCard, form: dict[str, str]) -> Object:
    """One payment intent for all attempts at a session."""
    payer = {"email": form.get("email") or None, "name": form.get("name") or None}
    year, month = _expiry(form) or (2034, 12)
    method = make_payment_method(
        call,
        card,
        CardDetails(exp_month=month, exp_year=year),
        billing=BillingDetails(**payer),
    )
    intent = _intent_of(call, session)
    call.save(session, payment_intent=intent["id"], _payer=payer)
    attempt(call, intent, method, session["url"])
    if intent["status"] == "succeeded":
        complete(call, session, intent, payer)
    return intent


def _intent_of(call: Call, session: Object) -> Object:
    known = session["payment_intent"] and call.store.find(session["payment_intent"])
    if known and known["status"] in PAYABLE:
        return known
    data = session["_intent_data"]
    wanted = CreateIntent(
        amount=session["amount_total"],
        currency=session["currency"],
        customer=session["customer"],
        **data,
    )
    intent = make_intent(call, wanted, None)
    return call.save(intent, _session=session["id"])


def _session_of(call: Call, intent: Object) -> Object | None:
    return call.store.find(intent["_session"]) if "_session" in intent else None


def _way_back(call: Call, intent: Object) -> str:
    """From 3D Secure: to the platform when it is paid, else to where it can be tried again."""
    session = _session_of(call, intent)
    if session is None:
        return intent.get("_return_url") or call.world.base_url
    if intent["status"] == "succeeded":
        return success_url(session)
    return f"{call.world.base_url}/c/pay/{session['id']}"


def _failed_before(call: Call, session: Object) -> str | None:
    """Why the last attempt at the session came to nothing."""
    intent = session["payment_intent"] and call.store.find(session["payment_intent"])
    error = intent and intent["last_payment_error"]
    return error["message"] if error else None
