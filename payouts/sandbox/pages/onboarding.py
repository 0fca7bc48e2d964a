"""Hosted onboarding, and the page that stands for the Express dashboard."""

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from payouts.sandbox.pages.rendering import SEE_OTHER, call_of, form_of, page
from payouts.sandbox.refusal import Refusal
from payouts.sandbox.resources.account_shapes import new_bank
from payouts.sandbox.resources.accounts import living, onboard
from payouts.sandbox.resources.balance import totals
from payouts.sandbox.resources.banks import BANKS
from payouts.sandbox.resources.payouts import schedule_payout
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call

ROUTING = "110000000"
LATER = "later"


async def show(request: Request) -> Response:
    call, link = _link(request)
    if link is None:
        return page("gone.html", status=404, what="link")
    if link["used"] or link["expires_at"] <= call.now:
        return RedirectResponse(link["refresh_url"], SEE_OTHER)
    return _form(call, link, None, {})


async def submit(request: Request) -> Response:
    """`later`: the person leaves before the end, and comes back to the platform all the same."""
    form = await form_of(request)
    call, link = _link(request)
    if link is None:
        return page("gone.html", status=404, what="link")
    if link["used"] or link["expires_at"] <= call.now:
        return RedirectResponse(link["refresh_url"], SEE_OTHER)
    if form.get("answer") != LATER and (problem := _problem(form)):
        return _form(call, link, problem, form)
    with call.store.transaction():
        call.save(link, used=True)
        if form.get("answer") != LATER:
            _onboard(call, link, form)
    return RedirectResponse(link["return_url"], SEE_OTHER)


async def dashboard(request: Request) -> Response:
    """What a connected account may see of itself."""
    call = call_of(request)
    try:
        account = living(call, request.path_params["account"])
    except Refusal:
        return page("gone.html", status=404, what="account")
    owner = call.on(account["id"])
    return page(
        "dashboard.html",
        account=account,
        available=totals(owner, pending=False),
        payouts=call.store.select("payout", account["id"], limit=20),
    )


def _link(request: Request) -> tuple[Call, Object | None]:
    call = call_of(request)
    found = call.store.find(request.path_params["link"])
    if found is None or found["object"] != "account_link":
        return call, None
    account = call.store.find(found["account"])
    return call, None if account is None or account.get("deleted") else found


def _form(call: Call, link: Object, problem: str | None, form: dict[str, str]) -> Response:
    account = living(call, link["account"])
    return page(
        "onboarding.html",
        account=account,
        problem=problem,
        banks=BANKS,
        form={"first_name": "", "last_name": "", "email": account["email"] or "", **form},
    )


def _problem(form: dict[str, str]) -> str | None:
    if not form.get("first_name") or not form.get("last_name"):
        return "Tell us the first and the last name."
    number = re.sub(r"[ -]", "", form.get("bank", ""))
    if number not in BANKS:
        return "The bank account is not one of the test accounts; no real one is taken here."
    return None


def _onboard(call: Call, link: Object, form: dict[str, str]) -> None:
    account = living(call, link["account"])
    number = re.sub(r"[ -]", "", form["bank"])
    holder = f"{form['first_name']} {form['last_name']}"
    account["_bank_number"] = number
    account["email"] = form.get("email") or account["email"]
    account["business_type"] = account["business_type"] or "individual"
    had_another = bool(account["external_accounts"]["data"])
    onboard(call, account, new_bank(call, account, number, ROUTING, holder))
    if had_another:
        schedule_payout(call, account)  # of what the former bank returned
