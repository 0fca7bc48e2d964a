"""Disputes (docs.stripe.com/disputes): opened by a card or the control API, settled by either
side; the money leaves when one is opened and comes back when it is won, without the fee."""

from payouts.sandbox.endpoints import Nothing, endpoint
from payouts.sandbox.events import emit
from payouts.sandbox.listing import CreatedParams, page_of
from payouts.sandbox.params import Metadata, Params, Part, Text, merged
from payouts.sandbox.refusal import invalid
from payouts.sandbox.rendering import rendered
from payouts.sandbox.resources.balance import dispute_fee, move
from payouts.sandbox.store import Object
from payouts.sandbox.timers import timer
from payouts.sandbox.world import DAY, Call

EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)
ANSWER_SECONDS = 9 * DAY
OPEN = ("needs_response", "under_review")


class Evidence(Part):
    """Evidence as text; the sandbox keeps no files."""

    access_activity_log: Text = None
    customer_email_address: Text = None
    customer_name: Text = None
    customer_purchase_ip: Text = None
    product_description: Text = None
    refund_policy_disclosure: Text = None
    refund_refusal_explanation: Text = None
    service_date: Text = None
    uncategorized_text: Text = None


class UpdateDispute(Params):
    evidence: Evidence = Evidence()
    metadata: Metadata | None = None
    submit: bool = True


class ListDisputes(CreatedParams):
    charge: str | None = None
    payment_intent: str | None = None


@endpoint("GET", "/v1/disputes")
def list_disputes(call: Call, params: ListDisputes) -> Object:
    return page_of(
        call,
        "dispute",
        "/v1/disputes",
        params,
        charge=params.charge,
        payment_intent=params.payment_intent,
    )


@endpoint("GET", "/v1/disputes/{dispute}")
def retrieve_dispute(call: Call, params: Nothing, dispute: str) -> Object:
    return call.get("dispute", dispute, "dispute")


@endpoint("POST", "/v1/disputes/{dispute}")
def update_dispute(call: Call, params: UpdateDispute, dispute: str) -> Object:
    """`winning_evidence` and `losing_evidence` as uncategorized_text settle it, as with Stripe."""
    found = call.get("dispute", dispute, "dispute")
    given = params.evidence.model_dump(exclude_unset=True)
    if given and found["status"] not in OPEN:
        raise invalid("This dispute is already closed.", "dispute")
    found["evidence"] |= given
    found["metadata"] = merged(found["metadata"], params.metadata)
    if given and params.submit:
        _submitted(found)
    emit(call, "charge.dispute.updated", call.save(found))
    said = given.get("uncategorized_text")
    if params.submit and said in ("winning_evidence", "losing_evidence"):
        settle(call, found, won=said == "winning_evidence")
    return found


@endpoint("POST", "/v1/disputes/{dispute}/close")
def close_dispute(call: Call, params: Nothing, dispute: str) -> Object:
    """The platform gives in."""
    found = call.get("dispute", dispute, "dispute")
    if found["status"] not in OPEN:
        raise invalid("This dispute is already closed.", "dispute")
    return settle(call, found, won=False)


def open_dispute(call: Call, charge: Object, amount: int, reason: str) -> Object:
    """Disputes a charge, or `amount` of it (in minor units). Raises Refusal."""
    if not charge["paid"] or charge["disputed"]:
        raise invalid("This charge cannot be disputed.", "charge")
    if amount > charge["amount"] - charge["amount_refunded"]:
        raise invalid("More than what is left of the charge.", "amount")
    dispute = call.make(
        "dispute",
        "du",
        amount=amount,
        balance_transactions=[],
        charge=charge["id"],
        currency=charge["currency"],
        enhanced_eligibility_types=[],
        evidence=dict.fromkeys(EVIDENCE) | {"enhanced_evidence": {}},
        evidence_details={
            "due_by": call.now + ANSWER_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        is_charge_refundable=False,
        metadata={},
        payment_intent=charge["payment_intent"],
        payment_method_details={
            "card": {
                "brand": "visa",
                "case_type": "chargeback",
                "network": "visa",
                "network_reason_code": "83",
            },
            "type": "card",
        },
        reason=reason,
        status="needs_response",
    )
    call.save(charge, disputed=True)
    _money(call, dispute, -amount, fee=dispute_fee(call))
    emit(call, "charge.dispute.created", dispute)
    emit(call, "charge.dispute.funds_withdrawn", dispute)
    call.later(ANSWER_SECONDS, "dispute_unanswered", dispute["id"])
    return dispute


def settle(call: Call, dispute: Object, *, won: bool) -> Object:
    if dispute["status"] not in OPEN:
        raise invalid("This dispute is already closed.", "dispute")
    call.save(dispute, status="won" if won else "lost")
    if won:
        _money(call, dispute, dispute["amount"], fee=0)
    emit(call, "charge.dispute.closed", dispute)
    if won:
        emit(call, "charge.dispute.funds_reinstated", dispute)
    return dispute


@timer("dispute_unanswered")
def give_up_unanswered(call: Call, id: str) -> None:
    dispute = call.get("dispute", id)
    if dispute["status"] == "needs_response":
        settle(call, dispute, won=False)


def _submitted(dispute: Object) -> None:
    dispute["status"] = "under_review"
    details = dispute["evidence_details"]
    details["has_evidence"] = True
    details["submission_count"] += 1
    details["submission_method"] = "manual"


def _money(call: Call, dispute: Object, amount: int, *, fee: int) -> None:
    category = "dispute" if amount < 0 else "dispute_reversal"
    said = f"Chargeback {'withdrawal' if amount < 0 else 'reversal'} for {dispute['charge']}"
    transaction = move(
        call,
        "adjustment",
        amount,
        dispute["currency"],
        dispute["id"],
        fee=fee,
        description=said,
    )
    call.save(transaction, reporting_category=category)
    shown = rendered(call.world, transaction)
    call.save(dispute, balance_transactions=[*dispute["balance_transactions"], shown])
