"""What a transfer is on the other side: a payment to the connected account."""

from payouts.sandbox.resources.balance import move
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call

NOTHING = (
    "application",
    "application_fee",
    "application_fee_amount",
    "balance_transaction",
    "calculated_statement_descriptor",
    "customer",
    "description",
    "failure_balance_transaction",
    "failure_code",
    "failure_message",
    "invoice",
    "on_behalf_of",
    "outcome",
    "payment_intent",
    "payment_method",
    "receipt_email",
    "receipt_number",
    "receipt_url",
    "review",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_data",
    "transfer_group",
)
"""Keys of a charge by card that such a payment has no value for."""


def new_payment(owner: Call, transfer: Object) -> Object:
    """A charge `py_...` in the name of the connected account, its money there at once."""
    payment = owner.make(
        "charge",
        "py",
        **dict.fromkeys(NOTHING),
        amount=transfer["amount"],
        amount_captured=transfer["amount"],
        amount_refunded=0,
        billing_details={
            "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
            "email": None,
            "name": None,
            "phone": None,
            "tax_id": None,
        },
        captured=True,
        currency=transfer["currency"],
        disputed=False,
        fraud_details={},
        metadata={},
        paid=True,
        payment_method_details={
            "stripe_account": {},
            "type": "stripe_account",
        },
        radar_options={},
        refunded=False,
        source_transfer=transfer["id"],
        status="succeeded",
    )
    arrived = move(owner, "payment", transfer["amount"], transfer["currency"], payment["id"])
    return owner.save(payment, balance_transaction=arrived["id"])
