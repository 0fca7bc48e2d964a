"""Test cards (docs.stripe.com/testing): what each does. No other number is taken."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Behavior(StrEnum):
    PAYS = "pays"
    DECLINED = "declined"
    NEEDS_3DS = "needs_3ds"
    DECLINED_AFTER_3DS = "declined_after_3ds"
    DISPUTED = "disputed"
    REFUND_FAILS = "refund_fails"
    REFUND_PENDS = "refund_pends"
    AVAILABLE_AT_ONCE = "available_at_once"


@dataclass(frozen=True, slots=True)
class TestCard:
    number: str
    behavior: Behavior = Behavior.PAYS
    brand: str = "visa"
    code: str = "card_declined"
    decline_code: str | None = None
    message: str = "Your card was declined."


CARDS: Final = (
    TestCard("4242424242424242"),
    TestCard("5555555555554444", brand="mastercard"),
    TestCard("4000000000000002", Behavior.DECLINED, decline_code="generic_decline"),
    TestCard(
        "4000000000009995",
        Behavior.DECLINED,
        decline_code="insufficient_funds",
        message="Your card has insufficient funds.",
    ),
    TestCard(
        "4000000000000069",
        Behavior.DECLINED,
        code="expired_card",
        message="Your card has expired.",
    ),
    TestCard(
        "4000000000000127",
        Behavior.DECLINED,
        code="incorrect_cvc",
        message="Your card's security code is incorrect.",
    ),
    TestCard(
        "4000000000000119",
        Behavior.DECLINED,
        code="processing_error",
        message="An error occurred while processing your card. Try again in a little bit.",
    ),
    TestCard("4000002500003155", Behavior.NEEDS_3DS),
    TestCard("4000008400001629", Behavior.DECLINED_AFTER_3DS, decline_code="generic_decline"),
    TestCard("4000000000000259", Behavior.DISPUTED),
    TestCard("4000000000005126", Behavior.REFUND_FAILS),
    TestCard("4000000000007726", Behavior.REFUND_PENDS),
    TestCard("4000000000000077", Behavior.AVAILABLE_AT_ONCE),
)

BY_NUMBER: Final = {card.number: card for card in CARDS}

TOKENS: Final = {
    "visa": "4242424242424242",
    "mastercard": "5555555555554444",
    "chargeDeclined": "4000000000000002",
    "visa_chargeDeclined": "4000000000000002",
    "visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "authenticationRequired": "4000002500003155",
    "threeDSecure2Required": "4000002500003155",
    "threeDSecureRequiredChargeDeclined": "4000008400001629",
    "createDispute": "4000000000000259",
    "refundFail": "4000000000005126",
    "pendingRefund": "4000000000007726",
    "bypassPending": "4000000000000077",
}
"""What follows `pm_card_` and `tok_`."""


def card_of_token(token: str) -> TestCard | None:
    name = token.removeprefix("pm_card_").removeprefix("tok_")
    return BY_NUMBER.get(TOKENS.get(name, ""))
