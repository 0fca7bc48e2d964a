"""No pack is sold at a loss, and the ones that are shipped are not."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money_settings import StarPack
from core.settings import Settings
from payouts.packs import (
    PackLoses,
    PackNamedTwice,
    PackNotCharged,
    PackUnknown,
    RateMissing,
    check_packs,
    find_pack,
    margin_minor,
    tax_within,
)

SMALL = StarPack(key="small", currency="USD", price_minor=99, stars=75)


def priced(*packs: StarPack, tax_bps: int = 0) -> Settings:
    return Settings(_env_file=None, star_packs=packs, tax_bps=tax_bps)


def test_the_shipped_packs_bring_money() -> None:
    settings = Settings(_env_file=None)
    check_packs(settings)
    assert min(margin_minor(settings, pack) for pack in settings.star_packs) > 0


def test_a_losing_pack_is_named_with_its_loss() -> None:
    """75 Stars for 0.99 at 2.9 % + 30 c: 75 + 33 - 99."""
    with pytest.raises(PackLoses, match=r"small loses 9$") as refused:
        check_packs(priced(SMALL))
    assert "\n" not in refused.value.detail


def test_tax_can_make_a_pack_lose() -> None:
    pack = SMALL.model_copy(update={"price_minor": 115})
    check_packs(priced(pack))
    with pytest.raises(PackLoses, match=r"small loses 14$"):
        check_packs(priced(pack, tax_bps=2000))


def test_a_currency_needs_a_rate_and_a_pack_a_key_of_its_own() -> None:
    with pytest.raises(RateMissing, match="SEK"):
        check_packs(priced(SMALL.model_copy(update={"currency": "SEK"})))
    with pytest.raises(PackNamedTwice, match="small"):
        check_packs(priced(SMALL, SMALL))


@pytest.mark.parametrize(("currency", "price"), [("KWD", 1_995), ("ISK", 99_050)])
def test_a_price_that_stripe_does_not_charge_is_refused(currency: str, price: int) -> None:
    pack = StarPack(key="odd", currency=currency, price_minor=price, stars=1)
    rates = {"KWD": Decimal("0.3"), "ISK": Decimal("0.7")}
    settings = priced(pack).model_copy(update={"fx_rates": rates})
    with pytest.raises(PackNotCharged, match="odd"):
        check_packs(settings)


def test_packs_are_found_by_key() -> None:
    assert find_pack(priced(SMALL), "small") == SMALL
    with pytest.raises(PackUnknown, match="large"):
        find_pack(priced(SMALL), "large")


@given(gross=st.integers(0, 10**8), bps=st.integers(0, 9_999))
def test_tax_is_that_of_the_net_price(gross: int, bps: int) -> None:
    net = gross - tax_within(gross, bps)
    assert net * (10_000 + bps) <= gross * 10_000 < (net + 1) * (10_000 + bps)
