"""Star packs: what they cost their buyer, and what they leave the platform."""

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from core.errors import NotFound, Problem
from core.money_settings import MoneySettings, StarPack
from payouts.amounts import charge_step

BASIS_POINTS: Final = 10_000


class PackUnknown(NotFound):
    code = "star_pack_unknown"
    title = "There is no such pack of Stars"


class PackLoses(Problem):
    status = 503
    code = "star_pack_loses_money"
    title = "A pack of Stars costs more than it brings in"


class PackNamedTwice(Problem):
    status = 503
    code = "star_pack_named_twice"
    title = "Each pack of Stars has a key of its own"


class PackNotCharged(Problem):
    status = 503
    code = "star_pack_not_charged"
    title = "A pack has a price that Stripe does not charge"


class RateMissing(Problem):
    status = 503
    code = "fx_rate_missing"
    title = "A pack is sold in a currency without a rate in ENCORE_FX_RATES"


def find_pack(settings: MoneySettings, key: str) -> StarPack:
    """Raises PackUnknown."""
    for pack in settings.star_packs:
        if pack.key == key:
            return pack
    raise PackUnknown(f"there is no pack {key!r}; GET /v1/stars/packs lists them", pack=key)


def tax_within(gross_minor: int, tax_bps: int) -> int:
    """The tax that a price holds: what is left is the net price, rounded down.

    Rounding favors the tax office by less than one minor unit.
    """
    return gross_minor - gross_minor * BASIS_POINTS // (BASIS_POINTS + tax_bps)


def margin_minor(settings: MoneySettings, pack: StarPack) -> int:
    """What a pack leaves in settlement currency once all its Stars are tipped; below 0: a loss.

    Cautious: income is rounded down, fee and tax up. Raises RateMissing.
    """
    gross = _floor(_rate(settings, pack.currency) * pack.price_minor)
    fee = -(-gross * settings.stripe_fee_bps // BASIS_POINTS) + settings.stripe_fee_fixed_minor
    owed = pack.total_stars * settings.star_value_minor
    return gross - tax_within(gross, settings.tax_bps) - fee - owed


def check_packs(settings: MoneySettings) -> None:
    """What start-up asks. Raises PackLoses, RateMissing, PackNamedTwice, PackNotCharged."""
    packs = settings.star_packs
    keys = [pack.key for pack in packs]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise PackNamedTwice(f"ENCORE_STAR_PACKS names {', '.join(twice)} more than once")
    if odd := [pack.key for pack in packs if pack.price_minor % charge_step(pack.currency)]:
        raise PackNotCharged(f"ENCORE_STAR_PACKS: the last digits of {', '.join(odd)} must be 0")
    margins = [(pack, margin_minor(settings, pack)) for pack in packs]
    if losing := [(pack, -margin) for pack, margin in margins if margin < 0]:
        raise PackLoses(_losses(settings, losing))


def _losses(settings: MoneySettings, losing: Sequence[tuple[StarPack, int]]) -> str:
    each = ", ".join(f"{pack.key} loses {loss}" for pack, loss in losing)
    return (
        f"ENCORE_STAR_PACKS, in minor units of {settings.settlement_currency} at the configured "
        f"fees and tax: {each}"
    )


def _rate(settings: MoneySettings, currency: str) -> Decimal:
    if currency == settings.settlement_currency:
        return Decimal(1)
    if currency not in settings.fx_rates:
        raise RateMissing(f"ENCORE_FX_RATES has no rate for {currency}", currency=currency)
    return settings.fx_rates[currency]


def _floor(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_FLOOR))
