"""Lines of Stripe's that belong to no sale: payouts from Stripe to our bank, and fees.

All platforms of a site share one account at Stripe, so a payout takes money of each of them, and is
booked in parts. Fees are booked to the site's own platform.
"""

from dataclasses import replace
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import Platform
from payouts import ledger
from payouts.accounts import AccountKind
from payouts.balance_transactions import (
    book_connect_fee,
    book_platform_payout,
    book_stripe_fee,
    posted,
)
from payouts.gateway_models import StripeBooks
from payouts.lots import part
from payouts.postings import BalanceTransaction, Books
from payouts.stripe_facts import StripeBalanceTransaction


async def book_site_payout(session: AsyncSession, *, site: UUID, line: BalanceTransaction) -> None:
    """Each platform's part is in proportion to its own part of the balance, exact to the unit. If a
    payout came back, so do the parts. The site's platform has the rest, and the payout's fee."""
    await session.get_one(StripeBooks, 1, with_for_update=True)
    if await posted(session, [line.id]):
        return  # booked meanwhile, by balances that have changed since
    parts = await _paid_before(session, line) or await _parts(session, line)
    others = {platform: amount for platform, amount in parts.items() if platform != site and amount}
    for platform, amount in others.items():
        own = replace(line, amount_minor=amount, fee_minor=0)
        await book_platform_payout(session, platform_id=platform, line=own)
    rest = replace(line, amount_minor=line.amount_minor - sum(others.values()))
    if rest.amount_minor or rest.fee_minor:
        await book_platform_payout(session, platform_id=site, line=rest)


async def book_site_fee(session: AsyncSession, *, site: UUID, line: BalanceTransaction) -> None:
    book = book_connect_fee if line.is_of_connect else book_stripe_fee
    await book(session, platform_id=site, line=line)


async def _paid_before(session: AsyncSession, line: BalanceTransaction) -> dict[UUID, int]:
    """If the line is a payout that came back: what it had taken from each platform, positive."""
    if line.amount_minor < 0 or not line.source:
        return {}
    rows = await session.execute(
        sa.select(
            StripeBalanceTransaction.platform_id, StripeBalanceTransaction.amount_minor
        ).where(
            StripeBalanceTransaction.source == line.source,
            StripeBalanceTransaction.kind == "payout",
        )
    )
    return {platform: -amount for platform, amount in rows}


async def _parts(session: AsyncSession, line: BalanceTransaction) -> dict[UUID, int]:
    """Cumulative floors over what each platform has at Stripe; empty if none has anything."""
    account = Books(line.currency).of(AccountKind.STRIPE)
    platforms = (await session.scalars(sa.select(Platform.id).order_by(Platform.id))).all()
    has = {each: max(0, await ledger.balance(session, each, account)) for each in platforms}
    whole, begin, parts = sum(has.values()), 0, dict[UUID, int]()
    if line.amount_minor > 0 or not whole:
        return {}
    for platform, amount in has.items():
        mine = part(-line.amount_minor, begin=begin, end=begin + amount, whole=whole)
        parts[platform], begin = -mine, begin + amount
    return parts
