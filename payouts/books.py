"""Whose books these are: one mode, one settlement currency, for good."""

from datetime import timedelta

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Problem
from core.settings import Settings
from payouts.gateway import WrongMode
from payouts.gateway_models import StripeBooks
from payouts.postings import Terms


class WrongCurrency(Problem):
    status = 503
    code = "wrong_settlement_currency"
    title = "These books are in another settlement currency"


def terms_of(settings: Settings) -> Terms:
    return Terms(
        currency=settings.settlement_currency,
        star_value_minor=settings.star_value_minor,
        maturity=timedelta(days=settings.maturity_days),
    )


async def open_books(session: AsyncSession, settings: Settings, *, livemode: bool) -> None:
    """Writes mode and currency at the first start with a key, and holds later ones to them.

    Raises WrongMode, WrongCurrency.
    """
    row = {"id": 1, "livemode": livemode, "currency": settings.settlement_currency}
    await session.execute(insert(StripeBooks).values(row).on_conflict_do_nothing())
    books = await session.get_one(StripeBooks, 1)
    if books.livemode != livemode:
        kept, given = ("live", "test") if books.livemode else ("test", "live")
        raise WrongMode(f"These books hold {kept} money: ENCORE_STRIPE_KEY is of {given} mode.")
    if books.currency != settings.settlement_currency:
        raise WrongCurrency(
            f"These books are in {books.currency}: set ENCORE_SETTLEMENT_CURRENCY to it."
        )
