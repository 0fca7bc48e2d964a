"""The chart of accounts. Debit is positive, every account has one currency, amounts are `int`.

A liability is negative: what is owed to a creator, Stars that may still be spent.
"""

from enum import StrEnum
from typing import Final, NamedTuple

STARS: Final = "XST"
"""Stars as a currency of their own; ISO 4217 leaves codes in X to what is no state's money."""


class AccountKind(StrEnum):
    """What an account is for. Only kinds whose comment names an owner have one."""

    STRIPE = "stripe"
    BANK = "bank"
    STARS_LIABILITY = "stars_liability"
    CREATOR = "creator"
    """Owner: the user's id."""
    CREATOR_HOLD = "creator_hold"
    """Owner: the user's id. Never above zero."""
    TRANSFER_INFLIGHT = "transfer_inflight"
    DISPUTE_RECEIVABLE = "dispute_recv"
    REFUND_CLEARING = "refund_clearing"
    TAX_PAYABLE = "tax_payable"
    UNCLAIMED = "unclaimed"
    FEE_REVENUE = "rev:fee"
    STRIPE_EXPENSE = "exp:stripe"
    DISPUTE_EXPENSE = "exp:dispute"
    CONNECT_EXPENSE = "exp:connect"
    PROMOTION_EXPENSE = "exp:promo"
    LOSS_EXPENSE = "exp:loss"
    EXCHANGE = "fx"
    """Owner: the currency that was converted from; the amounts are in the settlement currency."""
    CONNECTED = "connected"
    """A memo account, as its contra: money in a connected account. Owner: `acct_...`."""
    CONNECTED_CONTRA = "connected_contra"
    CREATOR_BANK = "creator_bank"
    """A memo account, as its contra: money paid out of a connected account. Owner: `acct_...`."""
    CREATOR_BANK_CONTRA = "creator_bank_contra"
    WALLET = "wallet"
    """XST. Owner: the user's id. Never below zero."""
    WALLET_HOLD = "wallet_hold"
    """XST. Owner: the user's id. Never below zero."""
    STARS_ISSUED = "xst_issued"
    """XST."""


class Account(NamedTuple):
    """One account of a platform by name; its row is made when something is first booked on it."""

    kind: AccountKind
    currency: str
    owner: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.owner}" if self.owner else str(self.kind)


class Entry(NamedTuple):
    account: Account
    amount: int
    """Minor units, or Stars; a debit is positive."""
