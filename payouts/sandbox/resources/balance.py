"""Balance and balance transactions: each account's money, as the sum of what moved it."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from payouts.sandbox.endpoints import Nothing, endpoint
from payouts.sandbox.listing import CreatedParams, page_of
from payouts.sandbox.params import Currency
from payouts.sandbox.refusal import invalid
from payouts.sandbox.store import Object
from payouts.sandbox.world import DAY, Call

PENDING_SECONDS: Final = 2 * DAY
"""From a charge until its money can be moved on."""

US_DOLLARS: Final = {
    "usd": Decimal(1),
    "eur": Decimal("1.08"),
    "gbp": Decimal("1.27"),
    "chf": Decimal("1.13"),
    "cad": Decimal("0.73"),
    "aud": Decimal("0.66"),
    "jpy": Decimal("0.0067"),
    "krw": Decimal("0.00073"),
    "kwd": Decimal("3.25"),
    "brl": Decimal("0.18"),
    "inr": Decimal("0.012"),
    "pln": Decimal("0.25"),
    "sek": Decimal("0.095"),
}
"""What one of each is worth; made up, and always the same."""

EXPONENTS: Final = {"jpy": 0, "krw": 0, "kwd": 3}
FEE_RATE: Final = Decimal("0.029")
FIXED_FEE: Final = 30
"""Of the settlement currency's minor units: 2.9 % + 30 c."""

CATEGORIES: Final = {"adjustment": "dispute", "payment": "charge", "payment_refund": "refund"}
"""Reporting categories that are not called as the type."""


class ListTransactions(CreatedParams):
    currency: Currency | None = None
    payout: str | None = None
    source: str | None = None
    type: str | None = None


@endpoint("GET", "/v1/balance")
def retrieve_balance(call: Call, params: Nothing) -> Object:
    sums = {
        pending: totals(call, pending=pending) or {call.world.currency: 0}
        for pending in (False, True)
    }
    return {
        "object": "balance",
        "available": _amounts(sums[False]),
        "livemode": False,
        "pending": _amounts(sums[True]),
    }


@endpoint("GET", "/v1/balance_transactions")
def list_transactions(call: Call, params: ListTransactions) -> Object:
    return page_of(
        call,
        "balance_transaction",
        "/v1/balance_transactions",
        params,
        types=[params.type] if params.type else None,
        currency=params.currency,
        source=params.source,
        _payout=params.payout,
    )


@endpoint("GET", "/v1/balance_transactions/{id}")
def retrieve_transaction(call: Call, params: Nothing, id: str) -> Object:
    return call.get("balance_transaction", id)


def totals(call: Call, *, pending: bool) -> dict[str, int]:
    """The sum per currency of what is available, or is not yet."""
    sign = ">" if pending else "<="  # the only part of the query that is not a parameter
    rows = call.store.sql.execute(
        "select json_extract(body, '$.currency') as currency, "  # noqa: S608
        "sum(json_extract(body, '$.net')) as net from objects "
        "where kind = 'balance_transaction' and account = ? "
        f"and json_extract(body, '$.available_on') {sign} ? group by 1",
        (call.account, call.now),
    )
    return {row["currency"]: row["net"] for row in rows}


def available(call: Call, currency: str) -> int:
    return totals(call, pending=False).get(currency, 0)


def move(
    call: Call,
    kind: str,
    amount: int,
    currency: str,
    source: str | None,
    *,
    fee: int = 0,
    description: str | None = None,
    pending: bool = False,
) -> Object:
    """A balance transaction of the account, in its own currency; negative amounts leave it."""
    settled, rate = _settled(call, amount, currency)
    return call.make(
        "balance_transaction",
        "txn",
        amount=settled,
        available_on=call.now + (PENDING_SECONDS if pending else 0),
        balance_type="payments",
        currency=call.world.currency,
        description=description,
        exchange_rate=rate,
        fee=fee,
        fee_details=[_fee(fee, call.world.currency)] if fee else [],
        net=settled - fee,
        reporting_category=CATEGORIES.get(kind, kind),
        source=source,
        status="pending" if pending else "available",
        type=kind,
    )


def card_fee(call: Call, amount: int, currency: str) -> int:
    """What Stripe keeps of a charge, in the settlement currency."""
    settled, _ = _settled(call, amount, currency)
    return int((settled * FEE_RATE).quantize(Decimal(1), ROUND_HALF_UP)) + FIXED_FEE


def dispute_fee(call: Call) -> int:
    """15.00."""
    return int(15 * Decimal(10) ** EXPONENTS.get(call.world.currency, 2))


def known_currency(currency: str, param: str = "currency") -> str:
    if currency not in US_DOLLARS:
        named = ", ".join(US_DOLLARS)
        raise invalid(f"Invalid currency: {currency}. The sandbox knows: {named}", param)
    return currency


def _settled(call: Call, amount: int, currency: str) -> tuple[int, float | None]:
    """The amount in the platform's currency, and the rate where it is another one."""
    own = call.world.currency
    if currency == own:
        return amount, None
    rate = (US_DOLLARS[currency] / US_DOLLARS[own]).quantize(Decimal("0.000001"))
    shift = EXPONENTS.get(own, 2) - EXPONENTS.get(currency, 2)
    minor = amount * rate * Decimal(10) ** shift
    return int(minor.quantize(Decimal(1), ROUND_HALF_UP)), float(rate)


def _fee(amount: int, currency: str) -> Object:
    said = "Stripe processing fees"
    return {
        "amount": amount,
        "application": None,
        "currency": currency,
        "description": said,
        "type": "stripe_fee",
    }


def _amounts(sums: dict[str, int]) -> list[Object]:
    return [
        {"amount": net, "currency": currency, "source_types": {"card": net}}
        for currency, net in sorted(sums.items())
    ]
