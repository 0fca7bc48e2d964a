"""Pure functions from facts to entries: refunds of unused Stars, and disputed payments."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from payouts.accounts import Account, AccountKind
from payouts.lots import Taken
from payouts.models import EventKind
from payouts.postings import (
    ISSUED,
    BalanceTransaction,
    Books,
    Posting,
    at_stripe,
    entries_of,
    wallet,
    wallet_hold,
)


@dataclass(frozen=True)
class Return:
    """All the Stars of a lot that were unused, and the money that was paid for them."""

    id: UUID
    user_id: UUID
    taken: Taken
    tax_minor: int
    currency: str
    charged_in: str

    @property
    def money_minor(self) -> int:
        return self.taken.cash_minor + self.tax_minor


def refund_requested(refund: Return) -> Posting:
    books = Books(refund.currency)
    return Posting(
        EventKind.REFUND_REQUESTED,
        f"refund:{refund.id}:requested",
        entries_of(
            [
                (wallet(refund.user_id), -refund.taken.stars),
                (wallet_hold(refund.user_id), refund.taken.stars),
                (books.of(AccountKind.STARS_LIABILITY), refund.taken.cash_minor),
                (books.of(AccountKind.TAX_PAYABLE), refund.tax_minor),
                (books.of(AccountKind.REFUND_CLEARING), -refund.money_minor),
            ]
        ),
        taken=(refund.taken,),
    )


def refund_succeeded(refund: Return, paid: BalanceTransaction) -> Posting:
    """Stripe keeps its fee. If the rate has changed since the purchase, the difference is booked as
    exchange."""
    books = Books(refund.currency)
    return Posting(
        EventKind.REFUND_SUCCEEDED,
        f"refund:{refund.id}:succeeded",
        entries_of(
            [
                (books.of(AccountKind.REFUND_CLEARING), refund.money_minor),
                *moved(books, paid, refund.charged_in, -refund.money_minor),
                (wallet_hold(refund.user_id), -refund.taken.stars),
                (ISSUED, refund.taken.stars),
            ]
        ),
        balance_transaction=paid.id,
    )


def refund_paid(refund: Return) -> Posting:
    """Paid from our bank instead of by Stripe."""
    books = Books(refund.currency)
    return Posting(
        EventKind.REFUND_SUCCEEDED,
        f"refund:{refund.id}:succeeded",
        entries_of(
            [
                (books.of(AccountKind.REFUND_CLEARING), refund.money_minor),
                (books.of(AccountKind.BANK), -refund.money_minor),
                (wallet_hold(refund.user_id), -refund.taken.stars),
                (ISSUED, refund.taken.stars),
            ]
        ),
    )


def refund_failed(refund: Return, returned: BalanceTransaction | None) -> Posting:
    """Reverses the refund; `returned` brought the money back to our balance, if Stripe had paid."""
    books = Books(refund.currency)
    stars = refund.taken.stars
    before: list[tuple[Account, int]]
    if returned is None:
        before = [
            (books.of(AccountKind.REFUND_CLEARING), refund.money_minor),
            (wallet_hold(refund.user_id), -stars),
        ]
    else:
        before = [*moved(books, returned, refund.charged_in, refund.money_minor), (ISSUED, -stars)]
    return Posting(
        EventKind.REFUND_FAILED,
        f"refund:{refund.id}:failed",
        entries_of(
            [
                *before,
                (books.of(AccountKind.STARS_LIABILITY), -refund.taken.cash_minor),
                (books.of(AccountKind.TAX_PAYABLE), -refund.tax_minor),
                (wallet(refund.user_id), stars),
            ]
        ),
        taken=(refund.taken.undone(),),
        balance_transaction=None if returned is None else returned.id,
    )


def moved(
    books: Books, line: BalanceTransaction, charged_in: str, expected_minor: int
) -> list[tuple[Account, int]]:
    """Entries for a line of Stripe's: balance, fee, and any difference from what was expected."""
    return [
        (books.of(AccountKind.STRIPE), line.net_minor),
        (books.of(AccountKind.STRIPE_EXPENSE), line.fee_minor),
        (books.of(AccountKind.EXCHANGE, charged_in), expected_minor - line.amount_minor),
    ]


@dataclass(frozen=True)
class Held:
    """A creator's part in what a dispute claims."""

    creator_id: UUID
    amount_minor: int
    held: bool
    """False: it had matured, so the loss would be ours."""


@dataclass(frozen=True)
class Claims:
    """What a dispute claims of the cash that tips released, and each creator's part in it."""

    cash_minor: int
    holds: tuple[Held, ...]

    @property
    def creators_minor(self) -> int:
        return sum(hold.amount_minor for hold in self.holds)


@dataclass(frozen=True)
class Disputed:
    stripe_dispute: str
    user_id: UUID
    amount_minor: int
    tax_minor: int
    """Within the amount."""

    currency: str
    charged_in: str
    claims: Claims

    @property
    def received(self) -> Account:
        return Books(self.currency).of(AccountKind.DISPUTE_RECEIVABLE)


def dispute_opened(dispute: Disputed, line: BalanceTransaction) -> Posting:
    """Stripe takes the sum and its fee; what creators may lose is put on hold."""
    books = Books(dispute.currency)
    return Posting(
        EventKind.DISPUTE_OPENED,
        f"dispute:{dispute.stripe_dispute}:opened",
        entries_of(
            [
                (dispute.received, -line.amount_minor),
                (books.of(AccountKind.DISPUTE_EXPENSE), line.fee_minor),
                (books.of(AccountKind.STRIPE), line.net_minor),
                *_holds(books, dispute.claims.holds, 1),
            ]
        ),
        balance_transaction=line.id,
        facts=at_stripe(line),
    )


def dispute_won(dispute: Disputed, line: BalanceTransaction) -> Posting:
    """The money comes back, sometimes with the fee; so do the holds."""
    books = Books(dispute.currency)
    difference = dispute.amount_minor - line.amount_minor
    return Posting(
        EventKind.DISPUTE_WON,
        f"dispute:{dispute.stripe_dispute}:won",
        entries_of(
            [
                (books.of(AccountKind.STRIPE), line.net_minor),
                (books.of(AccountKind.DISPUTE_EXPENSE), line.fee_minor),
                (books.of(AccountKind.EXCHANGE, dispute.charged_in), difference),
                (dispute.received, -dispute.amount_minor),
                *_holds(books, dispute.claims.holds, -1),
            ]
        ),
        balance_transaction=line.id,
        facts=at_stripe(line),
    )


def returned_revoked(dispute: Disputed, revoked: Taken, return_id: UUID) -> Posting:
    """Revokes Stars that a failed refund returned after their dispute was lost.

    They cover a part of it that had been booked as our loss, or as exchange.
    """
    books = Books(dispute.currency)
    return Posting(
        EventKind.DISPUTE_LOST,
        f"dispute:{dispute.stripe_dispute}:lost:{return_id}",
        entries_of(
            [
                (wallet(dispute.user_id), -revoked.stars),
                (ISSUED, revoked.stars),
                (books.of(AccountKind.STARS_LIABILITY), revoked.cash_minor),
                (_rest_of(dispute), -revoked.cash_minor),
            ]
        ),
        taken=(revoked,),
    )


def _rest_of(dispute: Disputed) -> Account:
    """The account for the part of a lost dispute that neither Stars nor tips cover."""
    books = Books(dispute.currency)
    if dispute.charged_in == dispute.currency:
        return books.of(AccountKind.LOSS_EXPENSE)
    return books.of(AccountKind.EXCHANGE, dispute.charged_in)


def dispute_lost(dispute: Disputed, revoked: Taken | None) -> Posting:
    """Unspent Stars are revoked, then what tips earned is taken back; the rest is our loss.

    What matured tips had earned is our loss too. If the buyer paid in another currency, the rest is
    booked as exchange.
    """
    books = Books(dispute.currency)
    claims = dispute.claims
    stars, cash = (revoked.stars, revoked.cash_minor) if revoked else (0, 0)
    matured = sum(hold.amount_minor for hold in claims.holds if not hold.held)
    rest = dispute.amount_minor - dispute.tax_minor - cash - claims.cash_minor
    return Posting(
        EventKind.DISPUTE_LOST,
        f"dispute:{dispute.stripe_dispute}:lost",
        entries_of(
            [
                (wallet(dispute.user_id), -stars),
                (ISSUED, stars),
                (books.of(AccountKind.STARS_LIABILITY), cash),
                (books.of(AccountKind.TAX_PAYABLE), dispute.tax_minor),
                *_kept(books, claims.holds),
                (books.of(AccountKind.FEE_REVENUE), claims.cash_minor - claims.creators_minor),
                (books.of(AccountKind.LOSS_EXPENSE), matured),
                (_rest_of(dispute), rest),
                (dispute.received, -dispute.amount_minor),
            ]
        ),
        taken=(revoked,) if revoked else (),
    )


def _holds(books: Books, holds: Sequence[Held], sign: int) -> list[tuple[Account, int]]:
    """Moves each creator's earnings to their hold; back if `sign` is -1."""
    sums = _by_creator(holds)
    return [
        (books.of(kind, creator), direction * sign * amount)
        for creator, amount in sums.items()
        for kind, direction in ((AccountKind.CREATOR, 1), (AccountKind.CREATOR_HOLD, -1))
    ]


def _kept(books: Books, holds: Sequence[Held]) -> list[tuple[Account, int]]:
    sums = _by_creator(holds)
    return [(books.of(AccountKind.CREATOR_HOLD, who), amount) for who, amount in sums.items()]


def _by_creator(holds: Sequence[Held]) -> dict[UUID, int]:
    sums: dict[UUID, int] = {}
    for hold in holds:
        if hold.held:
            sums[hold.creator_id] = sums.get(hold.creator_id, 0) + hold.amount_minor
    return sums
