"""From facts to entries: every event of the books as a pure function.

Debits are positive. `minor` is the smallest unit of the settlement currency. A function returns a
`Posting`, which `payouts.ledger.book` writes once per key; entries that would be 0 are left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple
from uuid import UUID

from payouts.accounts import STARS, Account, AccountKind, Entry
from payouts.lots import Taken, split
from payouts.models import EventKind


@dataclass(frozen=True)
class Terms:
    """What a platform's money is counted in, and what a Star earns."""

    currency: str = "USD"
    """Settlement currency, ISO 4217. Kept for good."""

    star_value_minor: int = 1
    """What the creators of a tip earn for each Star of it."""

    maturity: timedelta = timedelta(days=14)


class Pin(NamedTuple):
    """Where on a room's clock something happened."""

    room_id: UUID
    room_ms: int


@dataclass(frozen=True)
class BalanceTransaction:
    """Stripe's own line for what moved its balance, in the settlement currency.

    https://docs.stripe.com/api/balance_transactions/object: net = amount - fee.
    """

    id: str
    kind: str
    """Stripe's `type`: charge, refund, adjustment, transfer, payout, stripe_fee ..."""

    amount_minor: int
    fee_minor: int
    currency: str
    at: datetime
    source: str = ""
    """What it is about: `ch_...`, `re_...`, `tr_...`, `po_...`."""

    category: str = ""
    """Stripe's `reporting_category`: tells an adjustment that is a fee from a dispute's."""

    is_of_connect: bool = False
    """Whether its description names Connect: nothing else tells which fees are for that."""

    @property
    def net_minor(self) -> int:
        return self.amount_minor - self.fee_minor


class Share(NamedTuple):
    """One of those who earn by a tip, and the weight of their share."""

    creator_id: UUID
    weight: int = 1


@dataclass(frozen=True)
class Posting:
    """What one event does to the books."""

    kind: EventKind
    key: str
    entries: tuple[Entry, ...]
    taken: tuple[Taken, ...] = ()
    balance_transaction: str | None = None
    matures_at: datetime | None = None
    pin: Pin | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Books:
    """The accounts of one settlement currency, by what people call them."""

    currency: str

    def of(self, kind: AccountKind, owner: object = "") -> Account:
        return Account(kind, self.currency, str(owner))


AT_STRIPE: Final = "at_stripe"


def at_stripe(line: BalanceTransaction) -> dict[str, Any]:
    """When Stripe did what moves creators' money. It is booked when we learn of it, so that a month
    that is over stays as it was."""
    return {AT_STRIPE: line.at.isoformat()}


def wallet(user_id: UUID) -> Account:
    return Account(AccountKind.WALLET, STARS, str(user_id))


def wallet_hold(user_id: UUID) -> Account:
    return Account(AccountKind.WALLET_HOLD, STARS, str(user_id))


ISSUED = Account(AccountKind.STARS_ISSUED, STARS)


def entries_of(amounts: Iterable[tuple[Account, int]]) -> tuple[Entry, ...]:
    """One entry for each account that moves."""
    sums: dict[Account, int] = {}
    for account, amount in amounts:
        sums[account] = sums.get(account, 0) + amount
    return tuple(Entry(account, amount) for account, amount in sums.items() if amount)


def purchase(
    *, key: str, user_id: UUID, stars: int, tax_minor: int, charge: BalanceTransaction
) -> Posting:
    """Money comes in, less Stripe's fee; tax and Stars are owed."""
    books = Books(charge.currency)
    return Posting(
        EventKind.PURCHASE,
        key,
        entries_of(
            [
                (books.of(AccountKind.STRIPE), charge.net_minor),
                (books.of(AccountKind.STRIPE_EXPENSE), charge.fee_minor),
                (books.of(AccountKind.TAX_PAYABLE), -tax_minor),
                (books.of(AccountKind.STARS_LIABILITY), tax_minor - charge.amount_minor),
                (wallet(user_id), stars),
                (ISSUED, -stars),
            ]
        ),
        balance_transaction=charge.id,
        facts={"tax_minor": tax_minor, "source": charge.source},
    )


def promotion(*, key: str, user_id: UUID, stars: int) -> Posting:
    """Stars for nothing: no cash is behind them until they are tipped."""
    return Posting(
        EventKind.PROMOTION, key, entries_of([(wallet(user_id), stars), (ISSUED, -stars)])
    )


def tip(
    *,
    key: str,
    payer_id: UUID,
    taken: Sequence[Taken],
    shares: Sequence[Share],
    terms: Terms,
    at: datetime,
    pin: Pin | None = None,
) -> Posting:
    """Stars leave the wallet; what they cost goes to the creators, the rest is ours.

    What promotional Stars earn is our expense. Who has the units that do not divide is drawn: else
    tips of few Stars would all be of one of those who share them. By the key and the time, since
    whoever tips chooses the key.
    """
    books = Books(terms.currency)
    stars = sum(t.stars for t in taken)
    promised = sum(t.stars for t in taken if t.promotional) * terms.star_value_minor
    released = sum(t.cash_minor for t in taken)
    earned = stars * terms.star_value_minor
    turn = int.from_bytes(sha256(f"{key} {at.isoformat()}".encode()).digest()[:8])
    amounts = split(earned, [share.weight for share in shares], turn=turn)
    return Posting(
        EventKind.TIP,
        key,
        entries_of(
            [
                (wallet(payer_id), -stars),
                (ISSUED, stars),
                (books.of(AccountKind.STARS_LIABILITY), released),
                (books.of(AccountKind.PROMOTION_EXPENSE), promised),
                *(
                    (books.of(AccountKind.CREATOR, share.creator_id), -amount)
                    for share, amount in zip(shares, amounts, strict=True)
                ),
                (books.of(AccountKind.FEE_REVENUE), earned - promised - released),
            ]
        ),
        taken=tuple(taken),
        matures_at=at + terms.maturity,
        pin=pin,
        facts={"payer_id": str(payer_id), "stars": stars},
    )
