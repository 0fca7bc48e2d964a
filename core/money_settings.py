"""Settings of what is sold, earned and paid out. Amounts are integers in minor units."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings

Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217")]


class StarPack(BaseModel):
    """What a listener buys: `price_minor` of `currency`, tax included, for `stars` and `bonus`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern="^[a-z0-9-]{1,40}$", description="names it for good, in orders")
    currency: Currency
    price_minor: int = Field(gt=0, le=99_999_999, description="Stripe takes at most eight digits")
    stars: int = Field(gt=0, le=10_000_000)
    bonus: int = Field(0, ge=0, le=10_000_000, description="Stars on top, shown as a present")

    @property
    def total_stars(self) -> int:
        return self.stars + self.bonus


_SHIPPED: Final = ((199, 100, 0), (699, 500, 0), (1299, 1000, 0), (2499, 2000, 50))
SHIPPED_PACKS: Final = tuple(
    StarPack(
        key=f"{currency.lower()}-{stars}",
        currency=currency,
        price_minor=price,
        stars=stars,
        bonus=more,
    )
    for currency in ("USD", "EUR", "GBP")
    for price, stars, more in _SHIPPED
)


class MoneySettings(BaseSettings):
    """Part of core.settings.Settings."""

    stripe_key: SecretStr | None = Field(
        None, description="secret key of Stripe (sk_test_..., sk_live_...); no sales when absent"
    )
    stripe_base: str | None = Field(
        None, pattern="^https?://", description="another address than Stripe's: the sandbox's"
    )
    stripe_webhook_secrets: SecretStr | None = Field(
        None,
        description="signing secrets of the webhook endpoints, platform and Connect, by commas; "
        "old and new ones while they are rotated",
    )
    sandbox: bool = Field(
        True, description="on or off: a Stripe stand-in with test money where no key is set"
    )
    sandbox_port: int = Field(
        8004,
        ge=0,
        le=65535,
        description="TCP, where `encore up` runs the Stripe stand-in",
    )
    sandbox_record: Path | None = Field(
        None,
        description="file, or folder with one of each process, for what it is asked and answers, "
        "JSON lines; for its examiners",
    )
    stripe_requests_per_second: int = Field(
        25, ge=1, le=1000, description="of one process; Stripe allows 100 in live mode, 25 in test"
    )

    settlement_currency: Currency = Field(
        "USD", description="what Stripe settles in, and creators are owed; for good"
    )
    star_value_minor: int = Field(1, ge=1, description="what a creator earns for one Star")
    star_packs: tuple[StarPack, ...] = Field(
        SHIPPED_PACKS,
        description="JSON list of {key, currency, price_minor, stars, bonus?}; prices include tax",
    )
    stripe_fee_bps: int = Field(
        290, ge=0, le=10_000, description="of a payment, in 1/100 of a percent"
    )
    stripe_fee_fixed_minor: int = Field(30, ge=0, description="of a payment, settlement currency")
    tax_bps: int = Field(
        0, ge=0, lt=10_000, description="added to net prices by law, in 1/100 of a percent"
    )
    fx_rates: dict[str, Decimal] = Field(
        {"EUR": Decimal("1.05"), "GBP": Decimal("1.22")},
        description="cautious minor units of settlement currency for one of each other "
        "currency, as JSON; only the check of prices uses them",
    )

    tips_per_hour_stars: int = Field(
        10_000, ge=1, description="most that one person spends within an hour; they may lower it"
    )
    tips_per_day_stars: int = Field(
        50_000, ge=1, description="most that one person spends within 24 hours; as above"
    )
    tips_per_minute: int = Field(
        60, ge=1, description="most calls of one credential at a web process, whatever they spend"
    )

    seller: str | None = Field(
        None,
        max_length=1000,
        description="who sells Stars and pays creators, as receipts and statements name them: "
        "name, address, tax number; lines by `;`",
        examples=["Acme Radio Ltd; 1 Sound Street, Dublin; VAT IE1234567X"],
    )

    maturity_days: int = Field(14, ge=0, le=365, description="before a tip may be paid out")
    sweep_minimum_minor: int = Field(2500, ge=1, description="least that is transferred at once")

    @property
    def seller_lines(self) -> tuple[str, ...]:
        lines = (self.seller or "").replace("\n", ";").split(";")
        return tuple(line.strip() for line in lines if line.strip())

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        given = self.stripe_webhook_secrets
        parts = given.get_secret_value().split(",") if given is not None else []
        return tuple(part.strip() for part in parts if part.strip())
