"""Lines of Stripe's that no platform's sale is behind: payouts to our bank, and fees.

All platforms of a site share one account at Stripe, so a payout takes of each one's money. The
books of each hold its part; fees are the site's own.
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
    """Each platform's part is by what of the balance is its own, exact to the unit; one that came
    back goes where it came from. The site takes the rest, and what the payout cost."""
    await session.get_one(StripeBooks, 1, with_for_update=True)
    if await posted(session, [line.id]):
        return  # by somebody else, meanwhile: the parts are by today's balances
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
    """What of this payout had left whose books, to be given back."""
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
    """By cumulative floors over what each platform has at Stripe; nothing where nobody has any."""
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
