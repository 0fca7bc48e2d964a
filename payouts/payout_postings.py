"""Pure functions from facts to entries: transfers, payouts, and Stripe's fees.

A *transfer* goes from our balance at Stripe to a connected account, a *payout* from an account at
Stripe to a bank. Money in connected accounts is not ours: pairs of memo accounts follow it.
"""

from uuid import UUID

from payouts.accounts import Account, AccountKind, Entry
from payouts.models import EventKind
from payouts.postings import BalanceTransaction, Books, Posting, at_stripe, entries_of


def transfer_intent(
    *, intent_id: UUID, creator_id: UUID, amount_minor: int, currency: str
) -> Posting:
    books = Books(currency)
    return Posting(
        EventKind.TRANSFER_INTENT,
        f"transfer:{intent_id}:intent",
        entries_of(
            [
                (books.of(AccountKind.CREATOR, creator_id), amount_minor),
                (books.of(AccountKind.TRANSFER_INFLIGHT), -amount_minor),
            ]
        ),
    )


def transfer_confirmed(
    *, intent_id: UUID, destination: str, amount_minor: int, line: BalanceTransaction
) -> Posting:
    books = Books(line.currency)
    return Posting(
        EventKind.TRANSFER_CONFIRMED,
        f"transfer:{intent_id}:confirmed",
        entries_of(
            [
                (books.of(AccountKind.TRANSFER_INFLIGHT), amount_minor),
                (books.of(AccountKind.STRIPE), line.net_minor),
                (books.of(AccountKind.CONNECT_EXPENSE), -amount_minor - line.net_minor),
                *_memo(books, AccountKind.CONNECTED, destination, amount_minor),
            ]
        ),
        balance_transaction=line.id,
        facts={"source": line.source},
    )


def transfer_refused(
    *, intent_id: UUID, creator_id: UUID, amount_minor: int, currency: str
) -> Posting:
    books = Books(currency)
    return Posting(
        EventKind.TRANSFER_REFUSED,
        f"transfer:{intent_id}:refused",
        entries_of(
            [
                (books.of(AccountKind.CREATOR, creator_id), -amount_minor),
                (books.of(AccountKind.TRANSFER_INFLIGHT), amount_minor),
            ]
        ),
    )


def transfer_reversed(
    *, reversal: str, creator_id: UUID, destination: str, line: BalanceTransaction
) -> Posting:
    """All or part of a transfer comes back, and is owed to the creator again."""
    books = Books(line.currency)
    return Posting(
        EventKind.TRANSFER_REVERSED,
        f"reversal:{reversal}",
        entries_of(
            [
                (books.of(AccountKind.STRIPE), line.net_minor),
                (books.of(AccountKind.CONNECT_EXPENSE), line.fee_minor),
                (books.of(AccountKind.CREATOR, creator_id), -line.amount_minor),
                *_memo(books, AccountKind.CONNECTED, destination, -line.amount_minor),
            ]
        ),
        balance_transaction=line.id,
        facts=at_stripe(line),
    )


def payout_paid(*, payout: str, account: str, amount_minor: int, currency: str) -> Posting:
    """From a connected account to its owner's bank: memo only."""
    return Posting(
        EventKind.PAYOUT_PAID,
        f"payout:{payout}:paid",
        _to_bank(Books(currency), account, amount_minor),
    )


def payout_failed(*, payout: str, account: str, amount_minor: int, currency: str) -> Posting:
    """It had been paid, and came back."""
    return Posting(
        EventKind.PAYOUT_FAILED,
        f"payout:{payout}:failed",
        _to_bank(Books(currency), account, -amount_minor),
    )


def platform_payout(line: BalanceTransaction) -> Posting:
    """From our balance at Stripe to our bank; `line` is negative, and positive if it came back."""
    books = Books(line.currency)
    return Posting(
        EventKind.PLATFORM_PAYOUT,
        f"balance:{line.id}",
        entries_of(
            [
                (books.of(AccountKind.STRIPE), line.net_minor),
                (books.of(AccountKind.STRIPE_EXPENSE), line.fee_minor),
                (books.of(AccountKind.BANK), -line.amount_minor),
            ]
        ),
        balance_transaction=line.id,
    )


def connect_fee(line: BalanceTransaction) -> Posting:
    """What Stripe takes for connected accounts."""
    return _line(EventKind.CONNECT_FEE, line, AccountKind.CONNECT_EXPENSE)


def stripe_fee(line: BalanceTransaction) -> Posting:
    """What Stripe takes for anything else."""
    return _line(EventKind.STRIPE_FEE, line, AccountKind.STRIPE_EXPENSE)


def tax_paid(*, key: str, amount_minor: int, currency: str) -> Posting:
    """Tax that was owed, paid from our bank; `key` identifies the tax return."""
    books = Books(currency)
    return Posting(
        EventKind.TAX_PAID,
        f"tax:{key}",
        entries_of(
            [
                (books.of(AccountKind.TAX_PAYABLE), amount_minor),
                (books.of(AccountKind.BANK), -amount_minor),
            ]
        ),
    )


def creator_deleted(*, key: str, creator_id: UUID, balance_minor: int, currency: str) -> Posting:
    """What is owed to somebody who has left becomes `unclaimed`, never income; what they owe is our
    loss. `balance_minor` is their account's: below zero when they are owed."""
    books = Books(currency)
    other = AccountKind.UNCLAIMED if balance_minor < 0 else AccountKind.LOSS_EXPENSE
    return Posting(
        EventKind.CREATOR_DELETED,
        key,
        entries_of(
            [
                (books.of(AccountKind.CREATOR, creator_id), -balance_minor),
                (books.of(other), balance_minor),
            ]
        ),
    )


def _line(kind: EventKind, line: BalanceTransaction, other: AccountKind) -> Posting:
    books = Books(line.currency)
    return Posting(
        kind,
        f"balance:{line.id}",
        entries_of(
            [(books.of(AccountKind.STRIPE), line.net_minor), (books.of(other), -line.net_minor)]
        ),
        balance_transaction=line.id,
    )


_CONTRA = {
    AccountKind.CONNECTED: AccountKind.CONNECTED_CONTRA,
    AccountKind.CREATOR_BANK: AccountKind.CREATOR_BANK_CONTRA,
}


def _memo(books: Books, kind: AccountKind, account: str, amount: int) -> list[tuple[Account, int]]:
    return [(books.of(kind, account), amount), (books.of(_CONTRA[kind], account), -amount)]


def _to_bank(books: Books, account: str, amount: int) -> tuple[Entry, ...]:
    return entries_of(
        [
            *_memo(books, AccountKind.CONNECTED, account, -amount),
            *_memo(books, AccountKind.CREATOR_BANK, account, amount),
        ]
    )
