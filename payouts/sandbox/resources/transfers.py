"""Transfers and their reversals (docs.stripe.com/connect/separate-charges-and-transfers)."""

from payouts.sandbox.endpoints import Nothing, endpoint
from payouts.sandbox.events import emit
from payouts.sandbox.listing import CreatedParams, ListParams, page_of, whole
from payouts.sandbox.params import Currency, Metadata, NewMetadata, Params, Positive, Text, merged
from payouts.sandbox.refusal import Refusal, invalid, missing
from payouts.sandbox.resources.balance import available, known_currency, move
from payouts.sandbox.resources.payouts import schedule_payout
from payouts.sandbox.resources.transfer_shapes import new_payment
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call


class CreateTransfer(Params):
    currency: Currency
    destination: str
    amount: Positive | None = None
    description: Text = None
    metadata: NewMetadata
    source_transaction: str | None = None
    transfer_group: Text = None


class UpdateTransfer(Params):
    description: Text = None
    metadata: Metadata | None = None


class ListTransfers(CreatedParams):
    destination: str | None = None
    transfer_group: str | None = None


class CreateReversal(Params):
    amount: Positive | None = None
    description: Text = None
    metadata: NewMetadata
    refund_application_fee: bool = False


@endpoint("POST", "/v1/transfers")
def create_transfer(call: Call, params: CreateTransfer) -> Object:
    amount = _amount(call, params)
    account = _destination(call, params.destination)
    transfer = call.make(
        "transfer",
        "tr",
        amount=amount,
        amount_reversed=0,
        balance_transaction=None,
        currency=params.currency,
        description=params.description,
        destination=account["id"],
        destination_payment=None,
        metadata=params.metadata,
        reversed=False,
        source_transaction=params.source_transaction,
        source_type="card",
        transfer_group=params.transfer_group,
    )
    out = move(
        call, "transfer", -amount, params.currency, transfer["id"], description=params.description
    )
    payment = new_payment(call.on(account["id"]), transfer)
    call.save(
        transfer,
        balance_transaction=out["id"],
        destination_payment=payment["id"],
        reversals=whole([], f"/v1/transfers/{transfer['id']}/reversals"),
    )
    emit(call, "transfer.created", transfer)
    schedule_payout(call, account)
    return transfer


@endpoint("GET", "/v1/transfers")
def list_transfers(call: Call, params: ListTransfers) -> Object:
    return page_of(
        call,
        "transfer",
        "/v1/transfers",
        params,
        destination=params.destination,
        transfer_group=params.transfer_group,
    )


@endpoint("GET", "/v1/transfers/{transfer}")
def retrieve_transfer(call: Call, params: Nothing, transfer: str) -> Object:
    return call.get("transfer", transfer, "transfer")


@endpoint("POST", "/v1/transfers/{transfer}")
def update_transfer(call: Call, params: UpdateTransfer, transfer: str) -> Object:
    found = call.get("transfer", transfer, "transfer")
    found["metadata"] = merged(found["metadata"], params.metadata)
    if "description" in params.model_fields_set:
        found["description"] = params.description
    emit(call, "transfer.updated", call.save(found))
    return found


@endpoint("POST", "/v1/transfers/{id}/reversals")
def create_reversal(call: Call, params: CreateReversal, id: str) -> Object:
    transfer = call.get("transfer", id)
    left = transfer["amount"] - transfer["amount_reversed"]
    amount = params.amount or left
    if not left:
        raise invalid(f"Transfer {id} has already been fully reversed.", "id")
    if amount > left:
        said = f"Reversal amount ({amount}) is greater than unreversed amount ({left})"
        raise invalid(said, "amount")
    owner = call.on(transfer["destination"])
    if available(owner, call.world.currency) < amount:
        raise _insufficient()
    return _reverse(call, owner, transfer, amount, params)


@endpoint("GET", "/v1/transfers/{id}/reversals")
def list_reversals(call: Call, params: ListParams, id: str) -> Object:
    call.get("transfer", id)
    return page_of(call, "transfer_reversal", f"/v1/transfers/{id}/reversals", params, transfer=id)


@endpoint("GET", "/v1/transfers/{transfer}/reversals/{id}")
def retrieve_reversal(call: Call, params: Nothing, transfer: str, id: str) -> Object:
    found = call.get("transfer_reversal", id)
    if found["transfer"] != transfer:
        raise missing("transfer_reversal", id)
    return found


def _amount(call: Call, params: CreateTransfer) -> int:
    """What may leave now. Raises Refusal: balance_insufficient above all."""
    known_currency(params.currency)
    if params.currency != call.world.currency:
        said = f"The sandbox settles in {call.world.currency}; transfer in that."
        raise invalid(said, "currency")
    if params.source_transaction:
        charge = call.get("charge", params.source_transaction, "source_transaction")
        amount = params.amount or int(charge["amount"])
        if amount > charge["amount"] - charge["amount_refunded"]:
            raise invalid("More than what is left of the source transaction.", "amount")
        return amount
    if params.amount is None:
        raise invalid("Missing required param: amount.", "amount", "parameter_missing")
    if available(call, params.currency) < params.amount:
        raise _insufficient()
    return params.amount


def _destination(call: Call, id: str) -> Object:
    account = call.store.find(id, account=call.world.platform)
    if account is None or account["object"] != "account" or account.get("deleted"):
        raise Refusal(f"No such destination: '{id}'", code="resource_missing", param="destination")
    if account["capabilities"].get("transfers") != "active":
        raise invalid(
            "Your destination account needs to have at least one of the following capabilities "
            "enabled: transfers, crypto_transfers, legacy_payments",
            "destination",
            "insufficient_capabilities_for_transfer",
        )
    return account


def _insufficient() -> Refusal:
    return invalid(
        "You have insufficient available funds in your Stripe account. Try adding funds directly "
        "to your available balance by creating Charges using the 4000000000000077 test card.",
        code="balance_insufficient",
    )


def _reverse(
    call: Call, owner: Call, transfer: Object, amount: int, params: CreateReversal
) -> Object:
    reversal = call.make(
        "transfer_reversal",
        "trr",
        amount=amount,
        balance_transaction=None,
        currency=transfer["currency"],
        destination_payment_refund=None,
        metadata=params.metadata,
        source_refund=None,
        transfer=transfer["id"],
    )
    del reversal["livemode"]
    back = move(call, "transfer_refund", amount, transfer["currency"], reversal["id"])
    move(owner, "payment_refund", -amount, transfer["currency"], transfer["destination_payment"])
    call.save(reversal, balance_transaction=back["id"])
    taken = transfer["amount_reversed"] + amount
    listed = whole([reversal, *transfer["reversals"]["data"]], transfer["reversals"]["url"])
    call.save(
        transfer,
        amount_reversed=taken,
        reversed=taken == transfer["amount"],
        reversals=listed,
    )
    emit(call, "transfer.reversed", transfer)
    return reversal
