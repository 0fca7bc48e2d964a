"""Refunds (docs.stripe.com/api/refunds): at once, except with the cards that say otherwise."""

from typing import Literal

from payouts.sandbox.endpoints import Nothing, endpoint
from payouts.sandbox.events import emit
from payouts.sandbox.listing import CreatedParams, page_of
from payouts.sandbox.params import Metadata, NewMetadata, Params, Positive, merged
from payouts.sandbox.refusal import Refusal, invalid
from payouts.sandbox.resources.balance import move
from payouts.sandbox.resources.cards import BY_NUMBER, Behavior
from payouts.sandbox.store import Object
from payouts.sandbox.timers import timer
from payouts.sandbox.world import DAY, Call

LATE_SECONDS = 3 * DAY
"""When a bank refuses a refund, or takes one that was pending."""


class CreateRefund(Params):
    amount: Positive | None = None
    charge: str | None = None
    metadata: NewMetadata
    payment_intent: str | None = None
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] | None = None


class UpdateRefund(Params):
    metadata: Metadata | None = None


class ListRefunds(CreatedParams):
    charge: str | None = None
    payment_intent: str | None = None


@endpoint("POST", "/v1/refunds")
def create_refund(call: Call, params: CreateRefund) -> Object:
    charge = _charge_of(call, params)
    left = charge["amount"] - charge["amount_refunded"]
    amount = params.amount or left
    _check(charge, amount, left)
    behavior = BY_NUMBER[charge["_number"]].behavior
    pending = behavior == Behavior.REFUND_PENDS
    refund = _make(call, charge, amount, params, "pending" if pending else "succeeded")
    taken = charge["amount_refunded"] + amount
    call.save(charge, amount_refunded=taken, refunded=taken == charge["amount"])
    emit(call, "refund.created", refund)
    emit(call, "charge.refunded", charge)
    if pending:
        call.later(LATE_SECONDS, "refund_arrives", refund["id"])
    elif behavior == Behavior.REFUND_FAILS:
        call.later(LATE_SECONDS, "refund_fails", refund["id"])
    return refund


@endpoint("GET", "/v1/refunds")
def list_refunds(call: Call, params: ListRefunds) -> Object:
    return page_of(
        call,
        "refund",
        "/v1/refunds",
        params,
        charge=params.charge,
        payment_intent=params.payment_intent,
    )


@endpoint("GET", "/v1/refunds/{refund}")
def retrieve_refund(call: Call, params: Nothing, refund: str) -> Object:
    return call.get("refund", refund, "refund")


@endpoint("POST", "/v1/refunds/{refund}")
def update_refund(call: Call, params: UpdateRefund, refund: str) -> Object:
    found = call.get("refund", refund, "refund")
    found["metadata"] = merged(found["metadata"], params.metadata)
    emit(call, "refund.updated", call.save(found))
    return found


@timer("refund_arrives")
def succeed(call: Call, id: str) -> None:
    refund = call.get("refund", id)
    if refund["status"] == "pending":
        emit(call, "refund.updated", call.save(refund, status="succeeded"))


@timer("refund_fails")
def fail(call: Call, id: str) -> None:
    """The money comes back to the platform; the charge is refunded by that much less."""
    refund = call.get("refund", id)
    if refund["status"] == "failed":
        return
    charge = call.get("charge", refund["charge"])
    back = move(call, "refund_failure", refund["amount"], refund["currency"], refund["id"])
    call.save(
        refund,
        status="failed",
        failure_balance_transaction=back["id"],
        failure_reason="expired_or_canceled_card",
    )
    left = charge["amount_refunded"] - refund["amount"]
    call.save(charge, amount_refunded=left, refunded=False)
    emit(call, "refund.failed", refund)
    emit(call, "refund.updated", refund)
    emit(call, "charge.updated", charge)


def _charge_of(call: Call, params: CreateRefund) -> Object:
    if params.charge:
        return call.get("charge", params.charge, "charge")
    if not params.payment_intent:
        raise invalid("One of the following params should be provided: payment_intent or charge.")
    intent = call.get("payment_intent", params.payment_intent, "payment_intent")
    if intent["status"] != "succeeded":
        raise invalid("This PaymentIntent does not have a successful charge to refund.")
    return call.get("charge", intent["latest_charge"])


def _check(charge: Object, amount: int, left: int) -> None:
    if not charge["paid"]:
        raise invalid("This charge did not succeed, so there is nothing to refund.", "charge")
    if charge["disputed"]:
        said = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise Refusal(said, code="charge_disputed")
    if not left:
        said = f"Charge {charge['id']} has already been refunded."
        raise Refusal(said, code="charge_already_refunded")
    if amount > left:
        said = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise invalid(said, "amount")


def _make(call: Call, charge: Object, amount: int, params: CreateRefund, status: str) -> Object:
    refund = call.make(
        "refund",
        "re",
        amount=amount,
        balance_transaction=None,
        charge=charge["id"],
        currency=charge["currency"],
        customer=charge["customer"],
        destination_details={"type": "card", "card": {"type": "refund"}},
        metadata=params.metadata,
        payment_intent=charge["payment_intent"],
        payment_method=charge["payment_method"],
        reason=params.reason,
        receipt_number=None,
        source_transfer_reversal=None,
        status=status,
        transfer_reversal=None,
    )
    del refund["livemode"]
    out = move(
        call,
        "refund",
        -amount,
        charge["currency"],
        refund["id"],
        description=f"REFUND FOR CHARGE ({charge['id']})",
    )
    return call.save(refund, balance_transaction=out["id"])
