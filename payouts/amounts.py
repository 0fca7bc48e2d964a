"""Currencies' decimal places (ISO 4217), and amounts in minor units as text. Never a float."""

from typing import Final

_NO_DECIMALS: Final = {
    *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG"),
    *("RWF", "VND", "VUV", "XAF", "XOF", "XPF", "XST"),
}
_THREE_DECIMALS: Final = {"BHD", "JOD", "KWD", "OMR", "TND"}


def exponent(currency: str) -> int:
    """Decimal places of the currency's main unit, as Stripe counts: JPY 0, USD 2, KWD 3."""
    if currency in _NO_DECIMALS:
        return 0
    return 3 if currency in _THREE_DECIMALS else 2


def charge_step(currency: str) -> int:
    """Stripe charges and refunds multiples of this many minor units (docs.stripe.com/currencies):
    whole kronur and shillings, although it counts them in hundredths, and no single thousandths."""
    if currency in ("ISK", "UGX"):
        return 100
    return 10 if currency in _THREE_DECIMALS else 1


def decimal(minor: int, currency: str) -> str:
    """`-1234` cents as `-12.34`: for machines, without signs of currency or thousands."""
    places = exponent(currency)
    sign, digits = "-" if minor < 0 else "", str(abs(minor)).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def stars_said(stars: int) -> str:
    """In a sentence: `1 Star`, `1,000 Stars`."""
    return f"{stars:,} Star{'' if stars == 1 else 's'}"
