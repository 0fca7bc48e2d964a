"""Payouts (docs.stripe.com/api/payouts): from a balance to a bank, by request or by schedule."""

from typing import Literal

from payouts.sandbox.endpoints import Nothing, endpoint
from payouts.sandbox.events import emit
from payouts.sandbox.listing import CreatedParams, page_of
from payouts.sandbox.params import Currency, Metadata, NewMetadata, Params, Positive, Text, merged
from payouts.sandbox.refusal import invalid
from payouts.sandbox.resources.accounts import changed, living
from payouts.sandbox.resources.balance import available, known_currency, move
from payouts.sandbox.resources.banks import BANKS, Bank
from payouts.sandbox.store import Object
from payouts.sandbox.timers import timer
from payouts.sandbox.world import DAY, Call

ON_THE_WAY_SECONDS = 2 * DAY
REFUSED = Bank("", "could_not_process", "The bank could not process this payout.")


class CreatePayout(Params):
    amount: Positive
    currency: Currency
    description: Text = None
    destination: str | None = None
    metadata: NewMetadata
    method: Literal["standard"] = "standard"
    source_type: Literal["card"] = "card"
    statement_descriptor: Text = None


class UpdatePayout(Params):
    metadata: Metadata | None = None


class ListPayouts(CreatedParams):
    destination: str | None = None
    status: Literal["pending", "paid", "failed", "canceled"] | None = None


@endpoint("POST", "/v1/payouts")
def create_payout(call: Call, params: CreatePayout) -> Object:
    known_currency(params.currency)
    if available(call, params.currency) < params.amount:
        raise invalid(
            "You have insufficient funds in your Stripe account for this transfer.",
            "amount",
            "balance_insufficient",
        )
    if not call.on_platform and not living(call, call.account)["payouts_enabled"]:
        raise invalid("Payouts are not enabled for this account.", code="payouts_not_allowed")
    made = _make(call, params.amount, automatic=False)
    return call.save(
        made,
        description=params.description,
        metadata=params.metadata,
        statement_descriptor=params.statement_descriptor,
    )


@endpoint("GET", "/v1/payouts")
def list_payouts(call: Call, params: ListPayouts) -> Object:
    return page_of(
        call,
        "payout",
        "/v1/payouts",
        params,
        destination=params.destination,
        status=params.status,
    )


@endpoint("GET", "/v1/payouts/{payout}")
def retrieve_payout(call: Call, params: Nothing, payout: str) -> Object:
    return call.get("payout", payout, "payout")


@endpoint("POST", "/v1/payouts/{payout}")
def update_payout(call: Call, params: UpdatePayout, payout: str) -> Object:
    found = call.get("payout", payout, "payout")
    found["metadata"] = merged(found["metadata"], params.metadata)
    emit(call, "payout.updated", call.save(found))
    return found


@endpoint("POST", "/v1/payouts/{payout}/cancel")
def cancel_payout(call: Call, params: Nothing, payout: str) -> Object:
    found = call.get("payout", payout, "payout")
    if found["status"] != "pending":
        raise invalid("Payouts can only be canceled while they are pending.", "payout")
    back = move(call, "payout_cancel", found["amount"], found["currency"], found["id"])
    call.save(found, status="canceled", failure_balance_transaction=back["id"])
    emit(call, "payout.canceled", found)
    return found


def schedule_payout(call: Call, account: Object) -> None:
    """Schedules the account's daily payout, unless it is paid out manually."""
    schedule = account["settings"]["payouts"]["schedule"]
    if schedule["interval"] != "manual":
        call.on(account["id"]).later(DAY, "account_pays_out", account["id"])


@timer("account_pays_out")
def pay_out(call: Call, id: str) -> None:
    account = call.store.find(id)
    amount = available(call, call.world.currency)
    if account and account.get("payouts_enabled") and amount > 0:
        _make(call, amount, automatic=True)


@timer("payout_leaves")
def leave(call: Call, id: str) -> None:
    payout = call.get("payout", id)
    if payout["status"] == "pending":
        emit(call, "payout.updated", call.save(payout, status="in_transit"))


@timer("payout_arrives")
def arrive(call: Call, id: str) -> None:
    """The payout is paid, or fails if the test bank account is one that refuses."""
    payout = call.get("payout", id)
    if payout["status"] not in ("pending", "in_transit"):
        return
    bank = _bank_of(call)
    if bank.failure_code:
        fail(call, payout, bank)
        return
    emit(call, "payout.paid", call.save(payout, status="paid"))


def fail(call: Call, payout: Object, bank: Bank = REFUSED) -> None:
    """The money comes back, perhaps days after the payout was `paid`. Raises Refusal."""
    if payout["status"] in ("failed", "canceled"):
        raise invalid("This payout has come to its end.", "payout")
    back = move(call, "payout_failure", payout["amount"], payout["currency"], payout["id"])
    call.save(
        payout,
        status="failed",
        failure_balance_transaction=back["id"],
        failure_code=bank.failure_code,
        failure_message=bank.failure_message,
    )
    emit(call, "payout.failed", payout)
    if not call.on_platform:
        _stop_payouts(call)


def _stop_payouts(call: Call) -> None:
    """After a failure nothing is paid out until the account names another bank account."""
    account = living(call, call.account)
    for bank in account["external_accounts"]["data"]:
        bank["status"] = "errored"
    account["payouts_enabled"] = False
    account["requirements"] |= {
        "currently_due": ["external_account"],
        "past_due": ["external_account"],
    }
    changed(call, account)


def _bank_of(call: Call) -> Bank:
    account = call.store.find(call.account) or {}
    return BANKS[account.get("_bank_number", "000123456789")]


def _make(call: Call, amount: int, *, automatic: bool) -> Object:
    payout = call.make(
        "payout",
        "po",
        amount=amount,
        application_fee=None,
        application_fee_amount=None,
        arrival_date=call.now + ON_THE_WAY_SECONDS,
        automatic=automatic,
        balance_transaction=None,
        currency=call.world.currency,
        description="STRIPE PAYOUT" if automatic else None,
        destination=_destination(call),
        failure_balance_transaction=None,
        failure_code=None,
        failure_message=None,
        metadata={},
        method="standard",
        original_payout=None,
        payout_method=None,
        reconciliation_status="not_applicable",
        reversed_by=None,
        source_type="card",
        statement_descriptor=None,
        status="pending",
        trace_id=None,
        type="bank_account",
    )
    out = move(call, "payout", -amount, call.world.currency, payout["id"])
    call.save(payout, balance_transaction=out["id"])
    emit(call, "payout.created", payout)
    call.later(DAY, "payout_leaves", payout["id"])
    call.later(ON_THE_WAY_SECONDS, "payout_arrives", payout["id"])
    return payout


def _destination(call: Call) -> str | None:
    account = call.store.find(call.account) or {}
    banks = account.get("external_accounts", {}).get("data", [])
    return banks[0]["id"] if banks else None
