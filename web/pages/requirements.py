"""What Stripe still wants to know of a creator, in words.

Their names: https://docs.stripe.com/api/accounts/object#account_object-requirements.
"""

from collections.abc import Iterable
from typing import Final

_WORDS: Final = {
    "address": "your address",
    "business_profile": "what you do",
    "business_type": "whether you are a person or a company",
    "company": "your company",
    "dob": "your date of birth",
    "email": "your email",
    "external_account": "the bank account to be paid to",
    "first_name": "your name",
    "id_number": "your tax number",
    "last_name": "your name",
    "owners": "who owns the company",
    "phone": "your phone number",
    "representative": "who acts for the company",
    "ssn_last_4": "the last digits of your tax number",
    "tos_acceptance": "your consent to Stripe’s terms",
    "verification": "a document that shows who you are",
}


def wanted(due: Iterable[str]) -> list[str]:
    """`individual.dob.day` as `your date of birth`; each thing once, what is unknown as it is."""
    return list(dict.fromkeys(_words(requirement) for requirement in due))


def _words(requirement: str) -> str:
    """The most telling part is mostly the second one: the first says whose it is."""
    parts = requirement.split(".")
    for part in (*parts[1:], parts[0]):
        if part in _WORDS:
            return _WORDS[part]
    return requirement.replace("_", " ").replace(".", ", ")
