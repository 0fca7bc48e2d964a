"""Pure functions from facts to entries: purchases, promotions, tips; and what all postings share.

Debits are positive, `minor` is the smallest unit of the settlement currency, and entries that would
be 0 are left out. `payouts.ledger.book` writes a posting once per key.
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
    """The currency of the books, what a Star earns, and when it matures."""

    currency: str = "USD"
    """The settlement currency, ISO 4217; it never changes."""

    star_value_minor: int = 1
    """What the creators who share a tip earn for each of its Stars."""

    maturity: timedelta = timedelta(days=14)


class Pin(NamedTuple):
    """Where on a room's clock something happened."""

    room_id: UUID
    room_ms: int


@dataclass(frozen=True)
class BalanceTransaction:
    """A line of our balance at Stripe, in the settlement currency; net = amount - fee
    (docs.stripe.com/api/balance_transactions/object)."""

    id: str
    kind: str
    """Stripe's `type`: charge, refund, adjustment, transfer, payout, stripe_fee ..."""

    amount_minor: int
    fee_minor: int
    currency: str
    at: datetime
    source: str = ""
    """The object that made it: `ch_...`, `re_...`, `tr_...`, `po_...`."""

    category: str = ""
    """Stripe's `reporting_category`; tells an adjustment for a fee from one for a dispute."""

    is_of_connect: bool = False
    """Whether its description names Connect: nothing else tells which fees are for Connect."""

    @property
    def net_minor(self) -> int:
        return self.amount_minor - self.fee_minor


class Share(NamedTuple):
    """One of those who share a tip, and the weight of their share."""

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
    """Names the accounts of one settlement currency."""

    currency: str

    def of(self, kind: AccountKind, owner: object = "") -> Account:
        return Account(kind, self.currency, str(owner))


AT_STRIPE: Final = "at_stripe"


def at_stripe(line: BalanceTransaction) -> dict[str, Any]:
    """When it happened at Stripe. What moves creators' money is booked when we learn of it, so that
    a month that is over never changes."""
    return {AT_STRIPE: line.at.isoformat()}


def wallet(user_id: UUID) -> Account:
    return Account(AccountKind.WALLET, STARS, str(user_id))


def wallet_hold(user_id: UUID) -> Account:
    return Account(AccountKind.WALLET_HOLD, STARS, str(user_id))


ISSUED = Account(AccountKind.STARS_ISSUED, STARS)


def entries_of(amounts: Iterable[tuple[Account, int]]) -> tuple[Entry, ...]:
    """One entry for each account: amounts on the same one are summed, and zeros left out."""
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
    """Stars leave the wallet and release their cash: the creators earn a fixed value for each Star,
    the rest is our revenue. What promotional Stars earn is our expense."""
    books = Books(terms.currency)
    stars = sum(t.stars for t in taken)
    promised = sum(t.stars for t in taken if t.promotional) * terms.star_value_minor
    released = sum(t.cash_minor for t in taken)
    earned = stars * terms.star_value_minor
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
                    (books.of(AccountKind.CREATOR, creator_id), -amount)
                    for creator_id, amount in _shared(
                        earned, shares, draw=f"{key} {at.isoformat()}"
                    )
                ),
                (books.of(AccountKind.FEE_REVENUE), earned - promised - released),
            ]
        ),
        taken=tuple(taken),
        matures_at=at + terms.maturity,
        pin=pin,
        facts={"payer_id": str(payer_id), "stars": stars},
    )


def _shared(earned: int, shares: Sequence[Share], *, draw: str) -> Iterable[tuple[UUID, int]]:
    """What each creator earns of a tip. Units that do not divide are drawn by the hash of `draw`.

    Otherwise tips of few Stars would all go to the same one of those who share them. The draw takes
    the time of the tip besides its key, because whoever tips chooses the key.
    """
    turn = int.from_bytes(sha256(draw.encode()).digest()[:8])
    amounts = split(earned, [share.weight for share in shares], turn=turn)
    return zip((share.creator_id for share in shares), amounts, strict=True)
