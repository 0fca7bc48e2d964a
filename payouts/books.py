"""Keeps the books to one mode (test or live) and one settlement currency, for good."""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Problem
from core.settings import Settings
from payouts.gateway_models import ConnectedAccount, StarOrder, StripeBooks
from payouts.modes import WrongMode, livemode_of
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


async def open_books(session: AsyncSession, settings: Settings) -> None:
    """Stores mode and currency at the first start with a Stripe key, and checks them at every later
    one. Does nothing without a key. Raises WrongMode, WrongCurrency.
    """
    if settings.stripe_key is None:
        return
    livemode = livemode_of(settings.stripe_key.get_secret_value())
    await _refuse_others(session, livemode)
    row = {"id": 1, "livemode": livemode, "currency": settings.settlement_currency}
    await session.execute(insert(StripeBooks).values(row).on_conflict_do_nothing())
    books = await session.get_one(StripeBooks, 1)
    if books.livemode != livemode:
        raise _wrong_mode(livemode)
    if books.currency != settings.settlement_currency:
        raise WrongCurrency(
            f"These books are in {books.currency}: set ENCORE_SETTLEMENT_CURRENCY to it."
        )


async def _refuse_others(session: AsyncSession, livemode: bool) -> None:
    """Checks orders and accounts too: a database that was copied or repaired by hand may have some
    although the books' own row is missing."""
    for kept in (StarOrder.livemode, ConnectedAccount.livemode):
        if await session.scalar(sa.select(sa.exists().where(kept.is_not(livemode)))):
            raise _wrong_mode(livemode)


def _wrong_mode(livemode: bool) -> WrongMode:
    kept, given = ("test", "live") if livemode else ("live", "test")
    return WrongMode(f"These books hold {kept} money: ENCORE_STRIPE_KEY is of {given} mode.")
