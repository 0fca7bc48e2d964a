"""How an account and its bank look when they are new."""

from typing import Final

from payouts.sandbox.listing import whole
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call, new_id

DUE: Final = (
    "business_profile.url",
    "business_type",
    "external_account",
    "individual.dob.day",
    "individual.dob.month",
    "individual.dob.year",
    "individual.email",
    "individual.first_name",
    "individual.last_name",
    "tos_acceptance.date",
    "tos_acceptance.ip",
)
"""What a new account has yet to give."""

PROFILE: Final = (
    "annual_revenue",
    "estimated_worker_count",
    "mcc",
    "minority_owned_business_designation",
    "name",
    "product_description",
    "support_address",
    "support_email",
    "support_phone",
    "support_url",
    "url",
)

CURRENCIES: Final = {"US": "usd", "GB": "gbp", "CH": "chf", "CA": "cad", "AU": "aud", "JP": "jpy"}
"""Of countries; the others' is the euro."""


def new_account(
    call: Call, *, country: str, email: str | None, controller: Object, connected: bool = True
) -> Object:
    account_id = new_id("acct", 16)
    made = {
        "id": account_id,
        "object": "account",
        "business_profile": _profile(),
        "business_type": None,
        "capabilities": {},
        "charges_enabled": False,
        "controller": controller,
        "country": country,
        "created": call.now,
        "default_currency": CURRENCIES.get(country, "eur"),
        "details_submitted": False,
        "email": email,
        "external_accounts": whole([], f"/v1/accounts/{account_id}/external_accounts"),
        "future_requirements": _requirements(()),
        "metadata": {},
        "payouts_enabled": False,
        "requirements": _requirements(DUE) | {"disabled_reason": "requirements.past_due"},
        "settings": _settings(),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": "none" if connected else "standard",
        "_connected": int(connected),
    }
    return call.store.insert(made, account=call.world.platform)


def new_bank(call: Call, account: Object, number: str, routing: str, holder: str) -> Object:
    """The bank account that the payouts go to; the number is kept to know how it behaves."""
    return {
        "id": new_id("ba"),
        "object": "bank_account",
        "account": account["id"],
        "account_holder_name": holder,
        "account_holder_type": "individual",
        "account_type": None,
        "available_payout_methods": ["standard"],
        "bank_name": "SANDBOX TEST BANK",
        "country": account["country"],
        "currency": CURRENCIES.get(account["country"], "eur"),
        "default_for_currency": True,
        "fingerprint": f"test{number[-4:]}",
        "future_requirements": _bank_requirements(),
        "last4": number[-4:],
        "metadata": {},
        "requirements": _bank_requirements(),
        "routing_number": routing,
        "status": "new",
    }


def _profile() -> Object:
    return dict.fromkeys(PROFILE)


def _requirements(due: tuple[str, ...]) -> Object:
    return {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": list(due),
        "disabled_reason": None,
        "errors": [],
        "eventually_due": list(due),
        "past_due": list(due),
        "pending_verification": [],
    }


def _bank_requirements() -> Object:
    return {
        "currently_due": [],
        "errors": [],
        "past_due": [],
        "pending_verification": [],
    }


def _settings() -> Object:
    return {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": {
            "icon": None,
            "logo": None,
            "primary_color": None,
            "secondary_color": None,
        },
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": False},
            "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": None, "timezone": "Etc/UTC"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": None},
        "payments": {
            "statement_descriptor": None,
            "statement_descriptor_kana": None,
            "statement_descriptor_kanji": None,
        },
        "payouts": {
            "debit_negative_balances": True,
            "schedule": {"delay_days": 2, "interval": "daily"},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    }
