"""Test bank accounts (docs.stripe.com/connect/testing#account-numbers)."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Bank:
    does: str
    failure_code: str | None = None
    failure_message: str | None = None


BANKS: Final = {
    "000123456789": Bank("is paid"),
    "000111111116": Bank(
        "payouts fail: no such account",
        "no_account",
        "Your bank account details on file are probably incorrect. No bank account could be "
        "located with those details.",
    ),
    "000111111113": Bank(
        "payouts fail: the account was closed",
        "account_closed",
        "The bank account has been closed.",
    ),
    "000222222227": Bank(
        "payouts fail: insufficient funds",
        "insufficient_funds",
        "Your Stripe account has insufficient funds to cover the payout.",
    ),
}
